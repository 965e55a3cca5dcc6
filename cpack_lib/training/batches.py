"""The plan: which rows stand in step n, a pure function of the seed and n.

Nothing is remembered between steps, so a run resumes anywhere, with the same batches, on any number of
processes. An epoch has as many entries as there are rows.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

import numpy as np

from cpack_lib.training.distinct import Lane

MIXINGS = ("mixed", "one source", "one task")
SAMPLED = ("source", "task")  # what shares are told of
ALL = "all"  # the name of rows without a source, and of a mixed lane
PASS, MIXTURE, TURNS = range(3)  # what chance is for: part of the seed, so that no two agree


class Stratum(NamedTuple):
    """Rows of one source and, where tasks matter, one task."""

    source: str
    task: str | None = None


class Plan:
    """Batches of row numbers. A pass over a source takes each row once; no batch is short, no row left out.

    `mixed` shuffles the rows of all sources together. `one source` fills each batch from a single source and
    shuffles the batches; a source with fewer rows than a batch makes batches of all its rows. `one task` does
    so with tasks, and shuffles a task's sources together.

    `sources` and `tasks` tell those of each row, `weights` the shares of the sources in an epoch, relative to
    each other; or of the tasks, if they are what is `sampled`. Weights name every one, since a forgotten one
    would vanish without a word; 0 leaves it out. Without weights shares grow as rows ** `power`: at 1 each
    epoch is one pass over everything, at 0 they are equal (temperature sampling of mT5, arXiv 2010.11934).

    `keys` (rows,) or (rows, K) are hashes of each row's texts. No batch holds a row or, in whichever columns,
    a key twice, where random exchanges with other batches achieve that.
    """

    def __init__(
        self,
        rows: int,
        rows_per_step: int,
        seed: int,
        mixing: str = "mixed",
        sources: Sequence[str] | None = None,
        weights: dict[str, float] | None = None,
        keys: np.ndarray | None = None,
        tasks: Sequence[str] | None = None,
        sampled: str = "source",
        power: float = 1.0,
    ):
        tasks = tasks if tasks_matter(mixing, sampled, tasks) else None
        if rows_per_step < 1 or rows < 1:
            raise ValueError(f"no batch of {rows_per_step} rows can be made of {rows} rows; give 1 or more")
        members, keys = strata(rows, sources, tasks), two_axes(rows, keys)
        shares = told_shares({each: len(found) for each, found in members.items()}, weights, sampled, power)
        streams = {each: Stream(found, seed, i) for i, (each, found) in enumerate(members.items())}
        lanes = in_lanes(shares, mixing)
        self.quotas = shared_out(
            rows,
            {name: sum(len(members[each]) for each in lane) for name, lane in lanes.items()},
            {name: sum(lane.values()) for name, lane in lanes.items()},
        )
        self.lanes = []
        for number, lane in enumerate(lanes.values()):
            if mixing == "mixed":
                endless = mixture(streams, lane, np.arange(rows), (seed, MIXTURE))
            elif len(lane) > 1:
                together = np.sort(np.concatenate([members[each] for each in lane]))
                endless = mixture(streams, lane, together, (seed, MIXTURE, number))
            else:
                endless = streams[next(iter(lane))]
            self.lanes.append(Lane(endless, rows_per_step, keys, seed, number))
        self.seed, self.turns = seed, lru_cache(maxsize=2)(self.shuffled_turns)
        self.steps_per_epoch = sum(
            self.before(1)
        )  # of the first one; others complete a rest in each lane, too

    def step(self, number: int) -> np.ndarray:
        """The row numbers of one step, counted from 0 over all epochs."""
        epoch = self.epoch(number)
        before, turns = self.before(epoch), self.turns(epoch)
        turn = number - sum(before)
        lane = turns[turn]
        return self.lanes[lane].batch(before[lane] + int(np.count_nonzero(turns[:turn] == lane)))

    def epoch(self, number: int) -> int:
        """The epoch that completes the batch of a step.

        At most as many went by as steps: in each, some source gets all its rows or more, so fills a batch.
        """
        return bisect_right(range(number + 1), number, key=lambda epoch: sum(self.before(epoch))) - 1

    def before(self, epoch: int) -> list[int]:
        """How many batches of each lane the epochs before this one complete."""
        return [epoch * quota // lane.size for quota, lane in zip(self.quotas, self.lanes, strict=True)]

    def shuffled_turns(self, epoch: int) -> np.ndarray:
        """Which lane each batch of an epoch comes from; a lane's own batches keep their order."""
        counts = np.subtract(self.before(epoch + 1), self.before(epoch))
        chance = np.random.default_rng([self.seed, TURNS, epoch])
        return chance.permutation(np.repeat(np.arange(len(counts)), counts))


class Stream:
    """The rows of a source, endlessly: pass after pass, each shuffled by (seed, source, pass) alone."""

    def __init__(self, rows: np.ndarray, seed: int, number: int):
        self.rows, self.words = rows, (seed, PASS, number)

    def part(self, number: int) -> np.ndarray:
        """One pass, as places among the rows: (rows,)."""
        return np.random.default_rng([*self.words, number]).permutation(len(self.rows))

    def take(self, start: int, stop: int) -> np.ndarray:
        """The row numbers from one position up to another, above it: (stop - start,)."""
        first, last = start // len(self.rows), (stop - 1) // len(self.rows)
        passes = np.concatenate([self.part(number) for number in range(first, last + 1)])
        skipped = first * len(self.rows)
        return self.rows[passes[start - skipped : stop - skipped]]


class Mixture:
    """The rows of several streams, endlessly: part e takes each stream's e-th quota, and shuffles them."""

    def __init__(self, streams: list[Stream], quotas: list[int], rows: np.ndarray, words: tuple[int, ...]):
        self.streams, self.quotas, self.rows, self.words = streams, quotas, rows, words

    def part(self, number: int) -> np.ndarray:
        """One part, as places among the rows, which ascend: (rows,)."""
        taken = [
            stream.take(number * quota, (number + 1) * quota)
            for stream, quota in zip(self.streams, self.quotas, strict=True)
            if quota
        ]
        found = np.random.default_rng([*self.words, number]).permutation(np.concatenate(taken))
        return np.searchsorted(self.rows, found) if self.rows[-1] >= len(self.rows) else found


def by_source(rows: int, sources: Sequence[str] | None) -> dict[str, np.ndarray]:
    """The row numbers of each source, ascending; the sources in the order in which they come."""
    if sources is None:
        return {ALL: np.arange(rows)}
    if len(sources) != rows:
        raise ValueError(f"{len(sources)} sources for {rows} rows; name one for each row")
    number = {name: i for i, name in enumerate(dict.fromkeys(sources))}
    numbers = np.fromiter((number[name] for name in sources), dtype=np.int64, count=rows)
    ends = np.cumsum(np.bincount(numbers))
    return dict(zip(number, np.split(np.argsort(numbers, kind="stable"), ends[:-1]), strict=True))


def tasks_matter(mixing: str, sampled: str, tasks: Sequence[str] | None) -> bool:
    """Whether a plan asks for the task of a row; it has to be known then."""
    for name, value, choices in (("mixing", mixing, MIXINGS), ("sampled", sampled, SAMPLED)):
        if value not in choices:
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
    asked = mixing == "one task" or sampled == "task"
    if asked and tasks is None:
        raise ValueError(
            f"mixing is {mixing!r} and sampled {sampled!r}, but no row names its task; add a column task"
        )
    return asked


def strata(
    rows: int, sources: Sequence[str] | None, tasks: Sequence[str] | None
) -> dict[Stratum, np.ndarray]:
    """The row numbers of each stratum, ascending."""
    if tasks is None:
        return {Stratum(name): found for name, found in by_source(rows, sources).items()}
    if len(tasks) != rows:
        raise ValueError(f"{len(tasks)} tasks for {rows} rows; name one for each row")
    names = list(zip(repeat(ALL, rows) if sources is None else sources, tasks, strict=True))
    return {Stratum(*name): found for name, found in by_source(rows, names).items()}


def told_shares(
    sizes: dict[Stratum, int], weights: dict[str, float] | None, sampled: str, power: float
) -> dict[Stratum, Fraction]:
    """The weight of each stratum: of its source's, or task's, what the stratum has of the rows."""
    whole: dict[str, int] = {}
    for each, size in sizes.items():
        name = getattr(each, sampled)
        whole[name] = whole.get(name, 0) + size
    weights = weights or {name: size**power for name, size in whole.items()}
    check(weights, whole, sampled)
    named = {each: getattr(each, sampled) for each in sizes}
    return {each: Fraction(weights[named[each]]) * size / whole[named[each]] for each, size in sizes.items()}


def in_lanes(shares: dict[Stratum, Fraction], mixing: str) -> dict[str, dict[Stratum, Fraction]]:
    """Which strata fill batches together."""
    found: dict[str, dict[Stratum, Fraction]] = {}
    for each, share in shares.items():
        name = ALL if mixing == "mixed" else getattr(each, mixing.removeprefix("one "))
        found.setdefault(name, {})[each] = share
    return found


def mixture(
    streams: dict[Stratum, Stream], lane: dict[Stratum, Fraction], rows: np.ndarray, words: tuple[int, ...]
) -> Mixture:
    """The streams of a lane together, which have these rows; without a share nobody draws from it."""
    sizes = {each: len(streams[each].rows) for each in lane}
    quotas = shared_out(len(rows), sizes, lane if any(lane.values()) else None)
    return Mixture([streams[each] for each in lane], quotas, rows, words)


def two_axes(rows: int, keys: np.ndarray | None) -> np.ndarray:
    """Keys (rows,), (rows, K) or none, as (rows, K)."""
    keys = np.empty((rows, 0), dtype=np.int64) if keys is None else np.asarray(keys)
    if keys.ndim not in (1, 2) or len(keys) != rows:
        raise ValueError(f"keys have the shape {keys.shape}; it has to be ({rows},) or ({rows}, K)")
    return keys[:, None] if keys.ndim == 1 else keys


def shared_out(rows: int, sizes: dict[str, int], weights: dict[str, float] | None) -> list[int]:
    """How many of an epoch's entries each source gets: by its weight, or else its size; largest remainder."""
    weights = weights or sizes
    check(weights, sizes)
    exact = [Fraction(weights[name]) for name in sizes]
    shares = [rows * each / sum(exact) for each in exact]
    given = [math.floor(share) for share in shares]
    nearest = sorted(range(len(shares)), key=lambda i: given[i] - shares[i])  # to one entry more
    for i in nearest[: rows - sum(given)]:
        given[i] += 1
    return given


def check(weights: dict[str, float], sizes: dict[str, int], kind: str = "source") -> None:
    """Refuse weights that do not fit the sources or tasks, or tell no shares."""
    if unknown := [name for name in weights if name not in sizes]:
        raise ValueError(
            f"a weight is given to {unknown[0]!r}, which is no {kind}; choose from {', '.join(sizes)}"
        )
    if missing := [name for name in sizes if name not in weights]:
        raise ValueError(f"the {kind} {missing[0]!r} has no weight; give it one, 0 to leave it out")
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"the weight of {name!r} is {weight}; it has to be 0 or a number above")
    if not any(weights.values()):
        raise ValueError(f"the weight of every {kind} is 0; give one of {', '.join(sizes)} more")
