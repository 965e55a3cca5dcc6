"""Texts of the evaluation sets, kept out of training: by the same folded 64-bit keys as copies."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cpack_lib.corpus import world
from cpack_lib.corpus.dedup import text_keys
from cpack_lib.corpus.rules import SET, TEXTS
from cpack_lib.work.files import ROOT

TEXT_COLUMNS = ("text", "query", "positive", "negative", "sentence1", "sentence2", "sentences")


def evaluation_keys(name: str, seed: int = 0) -> pl.Series:
    """The keys of every text of an evaluation folder, sorted: `folder:PATH` or `world:evaluation`."""
    if name == "world:evaluation":
        with tempfile.TemporaryDirectory() as folder:
            world.write_evaluation(Path(folder), seed)
            return keys_in(Path(folder))
    folder = ROOT / name.removeprefix("folder:")
    if not name.startswith("folder:") or not folder.is_dir():
        raise ValueError(
            f"{name!r} names no evaluation folder: write world:evaluation, or folder:PATH for a "
            "folder of <type>/<name>/*.parquet"
        )
    return keys_in(folder)


def keys_in(folder: Path) -> pl.Series:
    """The keys of the texts in a folder's Parquet files, sorted; ValueError where there are none."""
    found = [pl.Series("text_key", [], dtype=pl.UInt64)]
    for path in sorted(folder.rglob("*.parquet")):
        frame = pl.read_parquet(path)
        for column in TEXT_COLUMNS:
            if column in frame.columns:
                texts = frame[column].explode() if frame[column].dtype == pl.List else frame[column]
                found.append(text_keys(texts.cast(pl.String).drop_nulls()).unique())
    keys = pl.concat(found).unique().sort()
    if keys.is_empty():
        raise ValueError(
            f"{folder} holds no evaluation texts: no Parquet file in it has a column named "
            f"{', '.join(TEXT_COLUMNS)}"
        )
    return keys


@dataclass(frozen=True)
class Unseen:
    """A rule over a whole set's keys: no side of a row may be a text of the evaluation."""

    stage: str
    evaluation: pl.Series
    name: str = "evaluation"
    reason: str = "a text of the evaluation sets, white space, width and case aside"

    def judge(self, keys: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""
        sides = [pl.col(name) for name in keys.columns if name.endswith("_key") and name != "pair_key"]
        seen = pl.any_horizontal(side.is_in(self.evaluation.implode()) for side in sides)
        return keys.select(~seen).to_series()


def decontamination(name: str) -> list[Unseen]:
    """The rules that keep an evaluation folder out of pairs and texts; none for an empty name."""
    keys = evaluation_keys(name) if name else None
    return [] if keys is None else [Unseen(SET, keys), Unseen(TEXTS, keys)]
