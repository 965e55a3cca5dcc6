"""The shape of an embedding space on the unit sphere. Axes: B texts or pairs, D width.

Alignment and uniformity stand in model/sphere.py, because a training's probe looks at them as well.
"""

import numpy as np
import polars as pl

ROWS_PER_CHUNK = 1024  # whose products with all B are in memory at once


def cosines_of_pairs(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(B, D), (B, D) of length one -> (B,)."""
    return np.einsum("bd,bd->b", left, right)


def cosines_of_strangers(vectors: np.ndarray, pairs: int = 20_000, seed: int = 0) -> np.ndarray:
    """(B, D) of length one -> (pairs,) cosines of rows drawn at random, never a row with itself."""
    draw = np.random.default_rng(seed)
    left = draw.integers(len(vectors), size=pairs)
    right = (left + draw.integers(1, len(vectors), size=pairs)) % len(vectors)
    return cosines_of_pairs(vectors[left], vectors[right])


def histogram(cosines: np.ndarray, bins: int = 50) -> pl.DataFrame:
    """Cosines -> (low, high, share) over [-1, 1]; shares add up to 1."""
    counts, edges = np.histogram(np.clip(cosines, -1.0, 1.0), bins=bins, range=(-1.0, 1.0))
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], "share": counts / max(len(cosines), 1)})


def nearest_others(vectors: np.ndarray, count: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """(B, D) of length one -> the rows of each text's nearest others and their cosines: (B, count) each.

    The nearest comes first, and no row is its own. ValueError where there are not so many others.
    """
    B = len(vectors)
    if not 0 < count < B:
        raise ValueError(f"{B} vectors have no {count} others each; give more vectors, or ask for fewer")
    rows, cosines = np.empty((B, count), dtype=np.int64), np.empty((B, count), dtype=vectors.dtype)
    for start in range(0, B, ROWS_PER_CHUNK):
        part = slice(start, min(start + ROWS_PER_CHUNK, B))
        near = vectors[part] @ vectors.T  # (chunk, B)
        near[np.arange(part.stop - start), np.arange(start, part.stop)] = -np.inf
        rows[part] = np.argsort(-near, axis=1, kind="stable")[:, :count]
        cosines[part] = np.take_along_axis(near, rows[part], axis=1)
    return rows, cosines


def variance_shares(vectors: np.ndarray) -> np.ndarray:
    """(B, D) -> (min(B, D),) share of the variance along each principal direction, the largest first.

    All 1/D for a space that is filled evenly (B large); ValueError for vectors that are all one.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    energy = np.linalg.svd(centred, compute_uv=False) ** 2
    if not energy.sum() > 0:
        raise ValueError(f"{len(vectors)} equal vectors have no variance; give different texts")
    return energy / energy.sum()
