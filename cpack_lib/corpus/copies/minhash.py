"""MinHash: sketches of texts that are as alike as the texts are (Broder 1997), and their bands.

N texts, P permutations, K bands of R minima each. The share of equal minima of two texts estimates the
Jaccard similarity J of their sets of character n-grams; two texts meet in a band, all R minima equal, with a
chance of J^R. A pair meets another where both sides do: its likeness is the product of the sides' J, so that
two questions about one passage are not taken for one.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import polars as pl
from rensa import RMinHash

from cpack_lib.corpus.clean.text import folded
from cpack_lib.corpus.copies.grams import grams, mixed

NGRAM = 3  # characters: words of Chinese have one to four, and short questions need n-grams, too
PERMUTATIONS = 128
FOUND = 0.99  # of what is just as alike as the threshold shall meet in a band at least
SEED = 2309_07597
ROWS_AT_A_TIME = 8_192  # rensa hands minima over as Python integers: 40 MB of them
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing


def bare(text: pl.Expr) -> pl.Expr:
    """A text as likeness is measured: folded, letters and digits alone."""
    return folded(text).str.replace_all(r"[^\p{L}\p{N}]", "")


def minima(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """The P minima of each text's n-grams, and whether it has any: N texts -> (N, P) uint32, (N,) bool."""
    hashes, offsets = grams_of(texts)
    found = np.empty((len(texts), PERMUTATIONS), np.uint32)
    for start in range(0, len(texts), ROWS_AT_A_TIME):
        own = offsets[start : start + ROWS_AT_A_TIME + 1]
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes[own[0] : own[-1]], (own - own[0]).astype(np.uint64), PERMUTATIONS, SEED
        )
        filled = found[start : start + ROWS_AT_A_TIME]
        filled.flat = np.fromiter(chain.from_iterable(matrix.to_rows()), np.uint32, filled.size)
    return found, offsets[1:] > offsets[:-1]


def grams_of(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of each text's n-grams, and where they begin: N texts -> (M,) uint64, (N + 1,) int64."""
    return grams(texts.to_frame("text").select(bare(pl.col("text"))).to_series(), NGRAM)


def jaccard(one: pl.Series, other: pl.Series) -> np.ndarray:
    """J itself, text by text, 0 where neither has n-grams: M texts, M texts -> (M,)."""
    sets = [distinct(*grams_of(texts)) for texts in (one, other)]
    sizes = [np.bincount(number, minlength=len(one)) for number, _ in sets]  # (M,) each
    number, hashes = (np.concatenate(both) for both in zip(*sets, strict=True))
    order = np.lexsort((hashes, number))
    number, hashes = number[order], hashes[order]
    again = (number[1:] == number[:-1]) & (hashes[1:] == hashes[:-1])
    shared = np.bincount(number[1:][again], minlength=len(one))  # (M,)
    return shared / np.maximum(sizes[0] + sizes[1] - shared, 1)


def distinct(hashes: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each text's hashes once: (M,), (N + 1,) -> numbers of the texts (F,), hashes (F,)."""
    number = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((hashes, number))
    number, hashes = number[order], hashes[order]
    first = np.append(True, (number[1:] != number[:-1]) | (hashes[1:] != hashes[:-1]))[: len(number)]
    return number[first], hashes[first]


def bands(threshold: float) -> tuple[int, int]:
    """(K, R): the longest bands in which texts as alike as `threshold` still meet FOUND of the time."""
    for rows in range(PERMUTATIONS, 1, -1):
        count = PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** count >= FOUND:
            return count, rows
    return PERMUTATIONS, 1


def band_keys(sides: Sequence[np.ndarray], threshold: float) -> np.ndarray:
    """The keys of the bands of texts (one side) or pairs (two): (N, P) each -> (K, N) uint64."""
    count, rows = bands(threshold)
    keys = np.arange(count, dtype=np.uint64)[:, None] + np.zeros((1, len(sides[0])), np.uint64)  # (K, N)
    for side in sides:
        banded = side[:, : count * rows].reshape(-1, count, rows)  # (N, K, R)
        for place in range(rows):
            keys = mixed(keys * SPREAD + banded[:, :, place].T)
    return keys


def sketches(sides: Sequence[np.ndarray]) -> np.ndarray:
    """The last eight bits of all minima (Li, König 2010): (N, P) for each of S sides -> (N, S, P) uint8."""
    return np.stack([side.astype(np.uint8) for side in sides], axis=1)


def likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The product of the sides' estimated J, row by row: (M, S, P), (M, S, P) uint8 -> (M,).

    Eight bits are equal by chance once in 256 times, which is taken off. The estimate's standard deviation is
    at most 0.044 with 128 permutations, and 0 where the texts are equal.
    """
    equal = (one == other).mean(axis=2)  # (M, S)
    return ((equal - 1 / 256) / (1 - 1 / 256)).clip(0).prod(axis=1)
