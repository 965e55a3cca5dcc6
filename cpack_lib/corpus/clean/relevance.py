"""Whether the two sides of a pair mean the same thing: the cosine that an encoder gives them.

C-Pack keeps a pair from 0.43 on (section 3.2), with another encoder than any of ours: the threshold belongs
to the encoder that it was chosen for, so look at the pairs on both sides of it (`explore`), or ask for a rank
in place of a score (`ranked`).

Axes: N texts or pairs, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

Encode = Callable[[list[str]], np.ndarray]  # N texts -> (N, D), any length of vectors
PAPER_THRESHOLD = 0.43  # C-Pack, section 3.2
PAIRS_AT_ONCE = 8_192  # whose vectors are gathered beside each other: 32 MiB at D = 512


def scores(pairs: pl.DataFrame, encode: Encode) -> pl.Series:
    """The cosine of the two sides of each pair, -1 to 1; each different text is encoded once."""
    vectors, a, b = both_sides(pairs, encode)
    return pl.Series("score", products(vectors, vectors, a, b), dtype=pl.Float32)


def both_sides(pairs: pl.DataFrame, encode: Encode) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(directions of the different texts (M, D), the row of each text_a (N,), of each text_b (N,))."""
    sides = pl.concat([pairs["text_a"], pairs["text_b"]]).alias("text")
    different = sides.unique(maintain_order=True)
    places = row_of(sides, different)
    return directions(different, encode), places[: len(pairs)], places[len(pairs) :]


def row_of(texts: pl.Series, different: pl.Series) -> np.ndarray:
    """Where each text stands among different ones: (N,), -1 for those that do not."""
    numbered = different.alias("text").to_frame().with_row_index("row")
    found = texts.alias("text").to_frame().join(numbered, on="text", how="left", maintain_order="left")
    return found["row"].cast(pl.Int64).fill_null(-1).to_numpy()


def directions(texts: pl.Series, encode: Encode) -> np.ndarray:
    """Texts -> (N, D) float32, each of length one; a vector of zeros stays one."""
    vectors = np.asarray(encode(texts.to_list()), dtype=np.float32)  # (N, D)
    if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
        raise ValueError(f"encode gave {vectors.shape} for {len(texts)} texts: give a finite vector for each")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (N, 1)
    return vectors / np.where(lengths > 0, lengths, 1)


def products(left: np.ndarray, right: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Inner products of the rows i (N,) of one matrix and j (N,) of another: (N,), summed in float64."""
    found = np.empty(len(i))
    for start in range(0, len(i), PAIRS_AT_ONCE):
        some = slice(start, start + PAIRS_AT_ONCE)
        found[some] = np.einsum("nd,nd->n", left[i[some]], right[j[some]], dtype=np.float64)
    return found


@dataclass(frozen=True)
class Relevant:
    """A rule for pairs that all other rules have kept: a score of at least `limit`."""

    stage: str
    encode: Encode
    limit: float = PAPER_THRESHOLD
    name: str = "relevance"
    reason: str = "a cosine of the two sides below this"

    def judge(self, pairs: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""
        return scores(pairs, self.encode) >= self.limit
