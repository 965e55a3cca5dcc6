"""Whether the two sides of a pair mean the same thing: the cosine that an encoder gives them.

C-Pack keeps a pair from 0.43 on (section 3.2), with another encoder than any of ours: the threshold belongs
to the encoder that it was chosen for, so look at the pairs on both sides of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

Encode = Callable[[list[str]], np.ndarray]  # N texts -> (N, D), any length of vectors
PAPER_THRESHOLD = 0.43  # C-Pack, section 3.2


def scores(pairs: pl.DataFrame, encode: Encode) -> pl.Series:
    """The cosine of the two sides of each pair, -1 to 1; each different text is encoded once."""
    texts = pl.concat([pairs["text_a"], pairs["text_b"]]).unique(maintain_order=True)
    vectors = np.asarray(encode(texts.to_list()), dtype=np.float32)  # (N, D)
    if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
        raise ValueError(f"encode gave {vectors.shape} for {len(texts)} texts: give a finite vector for each")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(lengths > 0, lengths, 1)
    place = dict(zip(texts, range(len(texts)), strict=True))
    a, b = ([place[text] for text in pairs[side]] for side in ("text_a", "text_b"))
    return pl.Series("score", np.einsum("nd,nd->n", vectors[a], vectors[b]), dtype=pl.Float32)


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
