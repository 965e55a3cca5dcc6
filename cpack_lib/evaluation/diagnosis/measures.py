"""Numbers that several diagnostics share. Axes: N texts or pairs, D width, k neighbours."""

import numpy as np

SURE = 3.0  # standard errors of a mean that a difference must exceed: one false alarm in 700 comparisons


def length_one(vectors: np.ndarray) -> np.ndarray:
    """(N, D) -> (N, D) float64, each row of length one; ValueError for numbers that are none, or a zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        row = int(np.argmax(~(np.isfinite(lengths) & (lengths > 0))))
        raise ValueError(f"the vector of row {row} has the length {lengths[row, 0]}; see `vectors_finite`")
    return vectors / lengths


def mean_cosine(vectors: np.ndarray) -> float:
    """(N, D) -> the mean cosine over all pairs of different rows."""
    x, N = length_one(vectors), len(vectors)
    if N < 2:
        raise ValueError(f"{N} vectors make no pair; give two or more")
    return float((np.square(x.sum(axis=0)).sum() - N) / (N * (N - 1)))


def effective_rank(vectors: np.ndarray) -> float:
    """(N, D) -> exp of the entropy of the singular values, centred: 1 for a line, at most min(N - 1, D).

    Roy and Vetterli 2007, "The effective rank: a measure of effective dimensionality".
    """
    x = length_one(vectors)
    values = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    if not values.sum() > 0:
        return 1.0  # one point
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def occurrences(vectors: np.ndarray, k: int = 10) -> np.ndarray:
    """(N, D) -> (N,): among the k others with the largest inner product, of how many rows each one is."""
    N = len(vectors)
    if k >= N:
        raise ValueError(f"{N} vectors have no {k} neighbours each; give more, or a smaller k")
    scores = np.asarray(vectors, dtype=np.float64) @ np.asarray(vectors, dtype=np.float64).T  # (N, N)
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return np.bincount(nearest.ravel(), minlength=N)


def skewness(values: np.ndarray) -> float:
    """Third standardised moment; 0 for values that are all equal."""
    off = values - values.mean()
    spread = off.std()
    return float((off**3).mean() / spread**3) if spread > 0 else 0.0


def reciprocal_ranks(queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
    """(N, D), (N, D): query i belongs to passage i -> (N,) 1 over its rank; of equal scores it comes last."""
    if queries.shape != passages.shape:
        raise ValueError(f"pairs need two equal shapes, not {queries.shape} and {passages.shape}")
    scores = queries @ passages.T  # (N, N)
    return 1.0 / np.maximum((scores >= np.diagonal(scores)[:, None]).sum(axis=1), 1)


def surely(differences: np.ndarray) -> float:
    """(N,) -> how far their mean lies above 0 at least: the mean less SURE standard errors."""
    differences = np.asarray(differences, dtype=np.float64)
    if len(differences) < 2:
        raise ValueError(f"{len(differences)} differences have no error; give two or more")
    return float(differences.mean() - SURE * differences.std(ddof=1) / np.sqrt(len(differences)))
