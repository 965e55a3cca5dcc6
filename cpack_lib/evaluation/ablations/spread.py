"""Effects over seeds: means, paired differences and slopes, each with an interval.

A seed is one draw of the whole training. Three of them are few, so that intervals are Student's t, which
knows it; a bootstrap of three values does not. Every effect is computed once for each seed, where what else a
seed decides is the same on both sides, and its interval is that of the mean over seeds.
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from scipy.stats import t

from cpack_lib.evaluation.scores.intervals import Interval

LEVEL = 0.95


def mean_of_seeds(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """The mean of one value per seed, and Student's interval of it; without bounds for a single seed."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"a mean over seeds needs finite values; here are {values.tolist()}")
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return Interval(mean, float("nan"), float("nan"))
    half = t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return Interval(mean, mean - float(half), mean + float(half))


def summed_up(
    table: pl.DataFrame, by: Sequence[str], value: str = "score", level: float = LEVEL
) -> pl.DataFrame:
    """A value per seed -> (by..., mean, low, high, seeds), one row for each group, in order."""
    rows = []
    for key, group in table.group_by(list(by), maintain_order=True):
        found = mean_of_seeds(group[value].to_numpy(), level)
        rows.append((*key, found.mean, found.low, found.high, len(group)))
    schema = {name: table.schema[name] for name in by}
    schema |= {"mean": pl.Float64, "low": pl.Float64, "high": pl.Float64, "seeds": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def paired(scores: pl.DataFrame, column: str, baseline: object) -> pl.DataFrame:
    """The same table with `score` as the difference to the point where `column` is `baseline`, seed by seed.

    All other columns (seed, type, other places) have to be equal; rows without such a partner are an error.
    """
    keys = [name for name in scores.columns if name not in (column, "score")]
    base = scores.filter(pl.col(column) == baseline).select(*keys, pl.col("score").alias("of_baseline"))
    if base.is_empty():
        known = ", ".join(map(str, scores[column].unique(maintain_order=True)))
        raise ValueError(f"{column}={baseline} is no point here; there are {known}")
    both = scores.join(base, on=keys, how="left", maintain_order="left")
    if both["of_baseline"].null_count():
        lost = both.filter(pl.col("of_baseline").is_null()).row(0, named=True)
        raise ValueError(f"{lost} has no partner with {column}={baseline}: run the same seeds for both")
    return both.with_columns(score=pl.col("score") - pl.col("of_baseline")).drop("of_baseline")


def slope(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """The slope of the least-squares line."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(np.unique(x)) < 2:
        raise ValueError(f"a slope needs two different places; here is {np.unique(x).tolist()}")
    apart = x - x.mean()
    return float(apart @ (y - y.mean()) / (apart @ apart))


def slope_per_doubling(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """How much y rises when x doubles, by the least-squares line over log2 x."""
    return slope(np.log2(np.asarray(x, dtype=np.float64)), y)


def slopes(scores: pl.DataFrame, column: str, by: Sequence[str] = ("type",)) -> pl.DataFrame:
    """Points per doubling of a column, once for each seed -> (by..., mean, low, high, seeds)."""
    return effects(scores, by, lambda seed: slope_per_doubling(seed[column], seed["score"]))


def effects(
    scores: pl.DataFrame, by: Sequence[str], effect: Callable[[pl.DataFrame], float], level: float = LEVEL
) -> pl.DataFrame:
    """An effect computed from each seed's rows -> (by..., mean, low, high, seeds)."""
    groups = scores.group_by([*by, "seed"], maintain_order=True)
    each = [(*key, effect(rows)) for key, rows in groups]
    schema = {name: scores.schema[name] for name in [*by, "seed"]} | {"score": pl.Float64}
    return summed_up(pl.DataFrame(each, schema=schema, orient="row"), by, level=level)


def verdict(found: Interval, paper: float, least: float = 0.0) -> str:
    """Whether an effect has the paper's sign: reproduced, reversed, or not decided by these seeds.

    `least` is what counts as an effect at all, in points.
    """
    if abs(paper) <= least:
        return "no effect in the paper"
    if not found.low > 0 and not found.high < 0:
        return "undecided"
    return "reproduced" if (found.mean > 0) == (paper > 0) else "reversed"
