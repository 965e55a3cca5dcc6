"""Exact copies: texts that are equal once folded, found by 64-bit keys and never by comparing texts.

Two of n different texts share a key with a chance of about n² / 2⁶⁵: 3 in 10,000 for a hundred million.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import xxhash

from cpack_lib.corpus.clean.rule import SET, TEXTS
from cpack_lib.corpus.clean.text import folded
from cpack_lib.corpus.copies.runs import Place, buckets, places_among_equals, write_runs

BETWEEN = "\x1f"  # joins the sides of a pair: folding takes it out of every text


def keys_of(folds: pl.Series) -> pl.Series:
    """XXH3's 64 bits of each folded text: the same everywhere and always, unlike those of `Series.hash`."""
    return pl.Series(folds.name, [xxhash.xxh3_64_intdigest(text.encode()) for text in folds], dtype=pl.UInt64)


def pair_keys(pairs: pl.DataFrame) -> pl.DataFrame:
    """a_key, b_key, pair_key of every pair."""
    folds = pairs.select(a_key=folded(pl.col("text_a")), b_key=folded(pl.col("text_b")))
    folds = folds.with_columns(pair_key=pl.concat_str("a_key", "b_key", separator=BETWEEN))
    return folds.select(keys_of(folds[name]) for name in folds.columns)


def text_keys(texts: pl.Series) -> pl.Series:
    """text_key of every text."""
    return keys_of(texts.to_frame("text_key").select(folded(pl.col("text_key"))).to_series())


@dataclass(frozen=True)
class First:
    """A rule over a whole set: of the rows that share a key, the first `limit` in reading order stay.

    Documents are read before given pairs, files in the order of their names, rows in the order of the file.
    """

    name: str
    stage: str
    key: str
    limit: int

    @property
    def reason(self) -> str:
        """The rule in words."""
        return f"more than {self.limit} rows with the same {self.key.removesuffix('_key')}"

    def prepare(self, folder: Path, rows: pl.DataFrame) -> None:
        """Write the keys of a part's rows, sorted."""
        write_runs(folder, self.key, rows[self.key].to_numpy()[None])

    def gone(self, places: Sequence[Place], left: np.ndarray, *_: object) -> np.ndarray:
        """The rows of all parts that go, of those `left` by the rules before: (N,) bool -> (M,)."""
        found = [np.empty(0, np.int64)]
        for keys, rows in buckets(places, self.key):
            stay = left[rows]
            keys, rows = keys[stay], rows[stay]
            found.append(rows[places_among_equals(keys) >= self.limit])
        return np.concatenate(found)


def copies(same_text: int) -> list[First]:
    """The rules against copies: each pair and each text once, a side in at most `same_text` pairs."""
    return [
        First("pair again", SET, "pair_key", 1),
        First("text_a again", SET, "a_key", same_text),
        First("text_b again", SET, "b_key", same_text),
        First("text again", TEXTS, "text_key", 1),
    ]
