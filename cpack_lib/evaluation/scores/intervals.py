"""How sure a score is: the bootstrap (Efron 1979) for one model, paired tests for two.

The items of a task (queries, pairs, texts, bags) are drawn anew, the same draws for every model, so that the
difference of two models' draws is a paired bootstrap. Where an item was answered several times (ten draws of
training texts in classification), the repeats are drawn as well (Owen 2007), and the interval holds both.
Intervals are percentiles. Axes: R draws, N items, D repeats of an item.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cpack_lib.evaluation.scores import weighed

DRAWS = (
    2_000  # of a bootstrap or a permutation: an end of an interval is then known to a thirtieth of its width
)
AT_ONCE = 1 << 20  # numbers of one array of counts, so that it stays in cache


@dataclass(frozen=True)
class Interval:
    """A score, and the bounds that hold the middle `level` of its bootstrap draws."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}]"


def interval(score: float, drawn: np.ndarray, level: float = 0.95) -> Interval:
    """The percentile interval of (R,) draws; a draw without a score (NaN) is left out."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(float(score), float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(score), float(low), float(high))


@dataclass(frozen=True)
class Mean:
    """A score that is the mean over items, and over the repeats of each."""

    values: np.ndarray  # (N, D)

    def __len__(self) -> int:
        return len(self.values)

    def score(self) -> float:
        """The mean of all."""
        return float(self.values.mean())

    def drawn(self, draws: int, draw: np.random.Generator) -> np.ndarray:
        """(R,) means of items, and of repeats where there are several, drawn with replacement."""
        items, repeats = self.values.shape
        weight = draw.multinomial(repeats, np.full(repeats, 1 / repeats), size=draws)  # (R, D)
        sums = np.concatenate([counts @ self.values for counts in counts_of(items, draws, draw)])
        return (sums * weight).sum(axis=1) / (items * repeats)

    def exchanged(self, other: "Mean", draws: int, draw: np.random.Generator) -> np.ndarray:
        """(R,) differences to another model's mean, if a coin decides per item which answer is whose."""
        apart = (self.values - other.values).mean(axis=1)  # (N,)
        coins = coins_of(len(apart), draws, draw)
        return np.concatenate([(apart.sum() - 2 * (tossed @ apart)) / len(apart) for tossed in coins])


@dataclass(frozen=True)
class Ranked:
    """A score of the order of all items against their labels; the best of several orders, if there are."""

    orders: Sequence[np.ndarray]  # (N,) places each
    labels: np.ndarray  # (N,)
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return len(self.labels)

    def score(self) -> float:
        """The measure of the sample itself."""
        return float(self.best(self.orders, np.ones((1, len(self))))[0])

    def best(self, orders: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
        """(R,) the largest measure of the orders."""
        return np.max([self.measure(places, self.labels, counts) for places in orders], axis=0)

    def drawn(self, draws: int, draw: np.random.Generator) -> np.ndarray:
        """(R,) measures of items drawn with replacement."""
        return np.concatenate(
            [self.best(self.orders, counts) for counts in counts_of(len(self), draws, draw)]
        )

    def exchanged(self, other: "Ranked", draws: int, draw: np.random.Generator) -> np.ndarray:
        """(R,) differences to another model's measure, if a coin decides per item which place is whose.

        The two models' scores may lie on different scales, so that their ranks are exchanged.
        """
        found = []
        ours, theirs = ([middle_ranks(places) for places in one.orders] for one in (self, other))
        for tossed in coins_of(len(self), draws, draw):
            ones, swap = np.ones(tossed.shape), tossed.astype(bool)
            heads = [np.where(swap, b, a) for a, b in zip(ours, theirs, strict=True)]
            tails = [np.where(swap, a, b) for a, b in zip(ours, theirs, strict=True)]
            found.append(self.best(heads, ones) - self.best(tails, ones))
        return np.concatenate(found)


Sample = Mean | Ranked


def middle_ranks(places: np.ndarray) -> np.ndarray:
    """(N,) places -> (N,) twice the rank, ties in their middle: whole numbers from 0 to 2 N - 2."""
    ranks, _ = weighed.ranks_of_items(places, np.ones((1, len(places))))
    return np.rint(2 * ranks[0] + len(places) - 1).astype(np.int64)


def counts_of(items: int, draws: int, draw: np.random.Generator) -> Iterator[np.ndarray]:
    """Chunks (r, N), R rows in all: how often each item comes in N draws with replacement."""
    for rows in chunks(items, draws):
        taken = draw.integers(items, size=(rows, items)) + items * np.arange(rows)[:, None]
        yield np.bincount(taken.ravel(), minlength=rows * items).reshape(rows, items).astype(np.float64)


def coins_of(items: int, draws: int, draw: np.random.Generator) -> Iterator[np.ndarray]:
    """Chunks (r, N), R rows in all, of fair coins, 0.0 or 1.0."""
    for rows in chunks(items, draws):
        yield draw.integers(2, size=(rows, items), dtype=np.uint8).astype(np.float64)


def chunks(items: int, draws: int) -> Iterator[int]:
    """Numbers of rows that add up to the draws, each with about AT_ONCE numbers."""
    rows = max(1, AT_ONCE // items)
    yield from (min(rows, draws - start) for start in range(0, draws, rows))


def generator(*names: object) -> np.random.Generator:
    """The random numbers that belong to these names (a seed, a task, a split), the same on every machine."""
    digest = hashlib.sha256(repr(names).encode()).digest()
    return np.random.default_rng(list(digest))


def tail(difference: float, exchanged: np.ndarray) -> float:
    """Two-sided p: how often an exchange of the two models differs as much as they do; never 0.

    The observed order counts as one of the draws (Phipson and Smyth 2010).
    """
    known = exchanged[np.isfinite(exchanged)]
    as_large = np.count_nonzero(np.abs(known) >= abs(difference) * (1 - 1e-9))
    return (1 + as_large) / (1 + len(known))


def holm(chances: Sequence[float]) -> np.ndarray:
    """p of several tests -> p that keep the chance of one false discovery among all of them (Holm 1979)."""
    chances = np.asarray(chances, dtype=np.float64)
    order = np.argsort(chances)
    raised = np.maximum.accumulate(chances[order] * np.arange(len(chances), 0, -1))
    found = np.empty_like(chances)
    found[order] = np.minimum(raised, 1)
    return found


def bootstrap_mean(values: np.ndarray, level: float = 0.95, seed: int = 0) -> Interval:
    """The mean of one value per query (or task), with its interval from 10,000 draws."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"an interval needs two or more finite values; here are {len(values)}, "
            f"{np.count_nonzero(~np.isfinite(values))} of them not finite"
        )
    sample = Mean(values[:, None])
    return interval(sample.score(), sample.drawn(5 * DRAWS, np.random.default_rng(seed)), level)


def paired_difference(ours: np.ndarray, theirs: np.ndarray, level: float = 0.95, seed: int = 0) -> Interval:
    """Mean of ours - theirs, query by query in one order; it is sure where the interval excludes 0."""
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"a paired difference needs equal numbers, not {len(ours)} and {len(theirs)}")
    return bootstrap_mean(ours - theirs, level, seed)
