"""How sure a mean is: percentile bootstrap (Efron 1979), for one model and for the difference of two."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

DRAWS = 10_000
DRAWS_PER_CHUNK = 500  # drawn at once: this times the number of values


@dataclass(frozen=True)
class Interval:
    """A mean, and the bounds that hold the middle `level` of its bootstrap draws."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}]"


def bootstrap_mean(values: np.ndarray, level: float = 0.95, seed: int = 0) -> Interval:
    """The mean of one value per query (or task), with its interval."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"an interval needs two or more finite values; here are {len(values)}, "
            f"{np.count_nonzero(~np.isfinite(values))} of them not finite"
        )
    found = bootstrap(
        (values,),
        np.mean,
        n_resamples=DRAWS,
        batch=DRAWS_PER_CHUNK,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return Interval(float(values.mean()), float(low), float(high))


def paired_difference(ours: np.ndarray, theirs: np.ndarray, level: float = 0.95, seed: int = 0) -> Interval:
    """Mean of ours - theirs, query by query in one order; it is sure where the interval excludes 0."""
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"a paired difference needs equal numbers, not {len(ours)} and {len(theirs)}")
    return bootstrap_mean(ours - theirs, level, seed)
