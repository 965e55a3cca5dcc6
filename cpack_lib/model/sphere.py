"""Two wishes for embeddings on the unit sphere. Axes: B texts or pairs, D width.

Alignment and uniformity: Wang and Isola 2020 (arXiv 2005.10242), with their exponents 2 and 2.
"""

import numpy as np

ROWS_PER_CHUNK = 1024  # whose products with all B are in memory at once


def alignment(left: np.ndarray, right: np.ndarray) -> float:
    """(B, D), (B, D) pairs that belong together -> mean squared distance; 0 is best, 2 is no relation."""
    if left.shape != right.shape:
        raise ValueError(f"pairs need two equal shapes, not {left.shape} and {right.shape}")
    return float(np.mean(np.sum((left.astype(np.float64) - right) ** 2, axis=1)))


def uniformity(vectors: np.ndarray) -> float:
    """(B, D) of length one -> log of the mean of exp(-2 · squared distance) over all pairs of different rows.

    0 when all vectors are one, about -4 when they cover the sphere evenly (D large); lower is more even.
    """
    B, total = len(vectors), 0.0
    if B < 2:
        raise ValueError(f"uniformity needs at least two vectors, not {B}")
    for start in range(0, B, ROWS_PER_CHUNK):
        cosines = vectors[start : start + ROWS_PER_CHUNK] @ vectors.T  # (chunk, B)
        total += float(np.exp(4.0 * (cosines.astype(np.float64) - 1.0)).sum())
    return float(np.log((total - np.exp(4.0 * (squared_lengths(vectors) - 1.0)).sum()) / (B * (B - 1))))


def squared_lengths(vectors: np.ndarray) -> np.ndarray:
    """(B, D) -> (B,)."""
    return np.einsum("bd,bd->b", vectors, vectors).astype(np.float64)
