"""A quick look at an encoder while it learns: rank correlation with scored pairs, and a small retrieval.

Axes: N pairs or queries, D width.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from cpack_lib.model.encoder import Encoder
from cpack_lib.model.sphere import alignment, uniformity

FILES = {"sts": ("sentence1", "sentence2", "score"), "retrieval": ("query", "passage")}
DEPTH = 10  # of nDCG
QUERIES_AT_A_TIME = 1_024
Encode = Callable[..., np.ndarray]  # texts and prompt=... -> (N, D), each row of length one


class Probe:
    """What a folder holds to look at: `sts.parquet`, `retrieval.parquet` or both.

    A query of the retrieval has one right passage, its own, among those of all rows.
    """

    def __init__(self, folder: Path):
        given = [name for name in FILES if table(folder, name).exists()]
        self.tables = {name: pl.read_parquet(table(folder, name)) for name in given}
        if not self.tables:
            raise ValueError(f"{folder} has neither sts.parquet nor retrieval.parquet; a probe needs one")
        for name, found in self.tables.items():
            if missing := [column for column in FILES[name] if column not in found.columns]:
                raise ValueError(f"{table(folder, name)} has no column {missing[0]}; it needs {FILES[name]}")
            if found.height < 2:
                raise ValueError(f"{table(folder, name)} has {found.height} rows; a probe needs 2 or more")

    def scores(self, encode: Encode, instruction: str = "", alike: str = "") -> dict[str, float]:
        """probe_sts, probe_retrieval and their mean, as far as there are tables; between -1 and 1.

        With a retrieval also probe_alignment of its queries with their passages, and probe_uniformity of the
        passages: where the encoder is on the plane of Wang and Isola (2020). They are no part of the mean.
        `instruction` stands before the queries, `alike` before both texts of a scored pair.
        """
        found, places = {}, {}
        if "sts" in self.tables:
            found["probe_sts"] = rank_correlation(self.tables["sts"], encode, alike)
        if "retrieval" in self.tables:
            rows = self.tables["retrieval"]
            queries = encode(rows["query"].to_list(), prompt=instruction)  # (N, D)
            passages = encode(rows["passage"].to_list())
            found["probe_retrieval"] = ndcg(queries, passages)
            places["probe_alignment"] = alignment(queries, passages)
            places["probe_uniformity"] = uniformity(passages)
        return found | {"probe_mean": sum(found.values()) / len(found)} | places


def table(folder: Path, name: str) -> Path:
    """Where a table of a probe is."""
    return folder / f"{name}.parquet"


def looked_at(
    encoder: Encoder, probe: Probe, longest: int, instruction: str = "", alike: str = ""
) -> dict[str, float]:
    """The scores of an encoder as it is now; no random number is drawn, and it goes on training after."""
    return probe.scores(partial(encoder.encode, longest=longest), instruction, alike)


def rank_correlation(rows: pl.DataFrame, encode: Encode, instruction: str = "") -> float:
    """Spearman's correlation of cosines with scores; 0 where all are equal."""
    columns = ("sentence1", "sentence2")
    first, second = (encode(rows[column].to_list(), prompt=instruction) for column in columns)
    cosines = np.einsum("nd,nd->n", first, second)
    if np.ptp(cosines) == 0 or rows["score"].n_unique() == 1:
        return 0.0
    return float(spearmanr(cosines, rows["score"].to_numpy()).statistic)


def ndcg(queries: np.ndarray, passages: np.ndarray) -> float:
    """nDCG@10, (N, D) and (N, D): of each query the passage in its row alone is right.

    Of passages that score the same, it comes last.
    """
    own = np.einsum("nd,nd->n", queries, passages)
    gains = []
    for start in range(0, len(queries), QUERIES_AT_A_TIME):
        part = slice(start, start + QUERIES_AT_A_TIME)
        above = queries[part] @ passages.T >= own[part, None]
        above[np.arange(len(above)), np.arange(start, start + len(above))] = True  # whatever rounding says
        ranks = above.sum(axis=1)
        gains.append(np.where(ranks <= DEPTH, 1 / np.log2(ranks + 1), 0.0))
    return float(np.concatenate(gains).mean())
