"""Labelled rows that training has not seen: how an encoder does on them, and their questions as a search.

Axes: N texts, R rows of a task, P texts of the pool, D width.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from cpack_lib.corpus.clean.text import folded
from cpack_lib.corpus.labelled.instructions import INSTRUCTED
from cpack_lib.evaluation.geometry import cosines_of_pairs
from cpack_lib.model.instructions import Sides

Encode = Callable[[list[str]], np.ndarray]  # texts -> (N, D), each row of length one


@dataclass(frozen=True)
class HeldOut:
    """Rows of query, pos, neg and task, and the pool of all their texts that searches look through.

    A row of a search needs a positive; a row of any other task a positive and a label-0 partner. Others are
    no part of `rows`.
    """

    rows: pl.DataFrame
    pool: list[str]

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "HeldOut":
        """The rows that can be judged, and the different texts of all of them."""
        pool = pl.concat([rows["pos"], rows["neg"]]).explode(keep_nulls=False, empty_as_null=False)
        enough = (pl.col("pos").list.len() > 0) & (
            pl.col("task").is_in(INSTRUCTED) | (pl.col("neg").list.len() > 0)
        )
        judged = rows.filter(enough.fill_null(False))
        if not judged.height:
            raise ValueError(
                f"none of the {rows.height} rows can be judged: searches need a positive, other tasks also a "
                "label-0 partner; hold out more rows"
            )
        return cls(judged, pool.unique(maintain_order=True).to_list())

    @property
    def tasks(self) -> list[str]:
        """The tasks that can be judged, in the order in which they come."""
        return self.rows["task"].unique(maintain_order=True).to_list()

    def of_task(self, task: str) -> pl.DataFrame:
        """The rows of a task."""
        return self.rows.filter(pl.col("task") == task)

    def chance(self) -> dict[str, float]:
        """Task -> how often a blind guess is right: one of the pool in a search, else a half."""
        sizes = {task: 0.5 for task in self.tasks}
        return sizes | {task: 1 / len(self.pool) for task in self.tasks if task in INSTRUCTED}

    def hits(self, encode: Encode, before: Mapping[str, Sides]) -> dict[str, np.ndarray]:
        """Task -> (R,) bool: in a search a positive stands first in the pool; else it beats the partner.

        `before` is what stands before the texts of a task. What scores the same as the positive beats it.
        """
        passages = encode(self.pool)
        return {task: self.hits_of(task, encode, before.get(task, Sides()), passages) for task in self.tasks}

    def hits_of(self, task: str, encode: Encode, before: Sides, passages: np.ndarray) -> np.ndarray:
        """The hits of one task, given the vectors of the pool (P, D) with nothing before them."""
        rows = self.of_task(task)
        queries = encode([before.query + query for query in rows["query"]])  # (R, D)
        if task in INSTRUCTED:
            return first_in_pool(queries, passages, self.places(rows["pos"]))
        right, wrong = (
            encode([before.passage + text for text in rows[side].list.first()]) for side in ("pos", "neg")
        )
        return cosines_of_pairs(queries, right) > cosines_of_pairs(queries, wrong)

    def places(self, texts: pl.Series) -> list[list[int]]:
        """The rows of the pool of each list of texts."""
        row_of = {text: place for place, text in enumerate(self.pool)}
        return [[row_of[text] for text in each] for each in texts]


def first_in_pool(queries: np.ndarray, passages: np.ndarray, right: Sequence[Sequence[int]]) -> np.ndarray:
    """(R, D), (P, D), the rows of the pool that are right -> (R,) whether one is above all that are not."""
    found = np.zeros(len(queries), dtype=bool)
    for row, rows in enumerate(right):
        cosines = passages @ queries[row]
        best = cosines[rows].max()
        cosines[rows] = -np.inf
        found[row] = best > cosines.max(initial=-np.inf)
    return found


def margins(queries: np.ndarray, passages: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(Q, D), (P, D), what answers what (Q, P) -> (Q,): the best answer's cosine minus the best other's.

    Above 0 an answer stands first. ValueError for a query without an answer, or with nothing else beside it.
    """
    answered = right.any(axis=1) & ~right.all(axis=1)
    if not answered.all():
        raise ValueError(
            f"query {np.argmin(answered)} has {right[np.argmin(answered)].sum()} answers among "
            f"{right.shape[1]} passages; a margin needs one, and a passage that is none"
        )
    cosines = queries @ passages.T
    best, wrong = (np.where(each, cosines, -np.inf).max(axis=1) for each in (right, ~right))
    return best - wrong


def shared_neighbours(one: np.ndarray, other: np.ndarray, passages: np.ndarray, count: int = 10) -> float:
    """How many of a query's nearest passages stay when it is embedded otherwise: the mean over queries.

    (R, D), (R, D), (P, D) -> 0 to `count`.
    """
    nearest = [np.argsort(-(queries @ passages.T), axis=1)[:, :count] for queries in (one, other)]
    return float(np.mean([len(np.intersect1d(*both)) for both in zip(*nearest, strict=True)]))


def write_search(held_out: pl.DataFrame, labelled: pl.DataFrame, folder: Path) -> dict[str, int]:
    """Write corpus, queries and qrels (layout.TABLES) into the folder; how many rows each has.

    Both frames are labelled tables (schemas.COLUMNS). The corpus is all texts that `labelled` has in `pos`
    and `neg`; every answer that any of its rows gives to a question is relevant. Texts that differ in spaces,
    widths and capitals alone are one text. ValueError where no held-out question has an answer there.
    """
    names = keys(chain(held_out["query"], labelled["query"], *labelled["pos"], *labelled["neg"]))
    answers: dict[str, dict[str, None]] = {}  # key of a question -> keys of what answers it, in order
    for query, pos in labelled.select("query", "pos").iter_rows():
        answers.setdefault(names[query], {}).update(dict.fromkeys(names[text] for text in pos))
    corpus = first_spelling(chain(*labelled["pos"], *labelled["neg"]), names)
    queries = first_spelling((query for query in held_out["query"] if answers.get(names[query])), names)
    if not queries:
        raise ValueError(
            f"none of the {held_out.height} held-out questions has an answer among the {labelled.height} "
            "labelled rows: give the rows that they were taken from"
        )
    place = {key: f"p{number}" for number, key in enumerate(corpus)}
    judged = [(f"q{number}", place[each]) for number, key in enumerate(queries) for each in answers[key]]
    tables = {
        "corpus": {"id": list(place.values()), "text": list(corpus.values())},
        "queries": {"id": [f"q{number}" for number in range(len(queries))], "text": list(queries.values())},
        "qrels": {"qid": [q for q, _ in judged], "pid": [p for _, p in judged], "score": [1] * len(judged)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in tables.items():
        pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")
    return {"corpus": len(corpus), "queries": len(queries), "qrels": len(judged)}


def first_spelling(texts: Iterable[str], names: dict[str, str]) -> dict[str, str]:
    """Key -> the text as it is met first."""
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(names[text], text)
    return found


def keys(texts: Iterable[str]) -> dict[str, str]:
    """Each text -> what it is compared by: spaces, widths and capitals make no difference."""
    distinct = pl.DataFrame({"text": list(dict.fromkeys(texts))}, schema={"text": pl.String})
    return dict(distinct.select("text", folded(pl.col("text")).alias("key")).iter_rows())
