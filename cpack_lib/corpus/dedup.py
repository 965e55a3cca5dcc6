"""Exact copies: texts that are equal once folded, found by 64-bit keys and never by comparing texts.

Two of n different texts share a key with a chance of about n² / 2⁶⁵: 3 in 10,000 for a hundred million.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash

from cpack_lib.corpus.rules import SET, TEXTS
from cpack_lib.corpus.text import folded

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


def equals_before(keys: np.ndarray) -> np.ndarray:
    """How many equal keys stand before each: (N,) -> (N,). By sorting: 43 bytes a key, less than grouping."""
    order = np.argsort(keys, kind="stable")  # (N,)
    ranked, place = keys[order], np.arange(len(keys))  # (N,), (N,)
    first = np.append(True, ranked[1:] != ranked[:-1])[: len(keys)]  # (N,)
    found = np.empty_like(place)
    found[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return found


@dataclass(frozen=True)
class First:
    """A rule over a whole set's keys: of the rows that share a key, the first `limit` in reading order stay.

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

    def judge(self, keys: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""
        return pl.Series(self.name, equals_before(keys[self.key].to_numpy()) < self.limit)


def copies(same_text: int) -> list[First]:
    """The rules against copies: each pair and each text once, a side in at most `same_text` pairs."""
    return [
        First("pair again", SET, "pair_key", 1),
        First("text_a again", SET, "a_key", same_text),
        First("text_b again", SET, "b_key", same_text),
        First("text again", TEXTS, "text_key", 1),
    ]
