"""Batches without a text twice, where that is avoidable: entries that collide change places with others.

Axes: R rows, K keys of a row, M = 1 + K marks of a row, N entries (a row may be entered twice), C that move.
"""

from functools import lru_cache
from typing import Protocol

import numpy as np

NOTHING = -1  # in place of a mark: collides with none
TRIES = 64  # random places offered to an entry that collides
ALONE, JOINED, RUN = range(10, 13)  # what chance is for: part of the seed, so that no two agree


class Parts(Protocol):
    """Endless entries in parts of equal length; an entry is a number of a row."""

    rows: np.ndarray  # (R,), as many as a part has entries

    def part(self, number: int) -> np.ndarray:
        """The entries of one part, places among the rows: (R,)."""


class Lane:
    """Batches cut from parts, one after the other: the tail that a part leaves begins a batch of the next.

    Entries that collide change places within their part. Each part is settled alone first, and its tail stays
    as it is then. Joined to the tail of the part before, the rest of it is settled once more. So a batch
    depends on two parts, not on a chain of them.
    """

    def __init__(self, parts: Parts, rows_per_step: int, keys: np.ndarray, seed: int, number: int):
        self.parts, self.length = parts, len(parts.rows)
        self.size = min(rows_per_step, self.length)
        self.marks = new_marks(keys[parts.rows])
        self.seed, self.number = seed, number
        self.alone = lru_cache(maxsize=2)(self.settle_alone)
        self.joined = lru_cache(maxsize=2)(self.settle_joined)

    def batch(self, number: int) -> np.ndarray:
        """The row numbers of one batch, counted from 0: (size,)."""
        part = ((number + 1) * self.size - 1) // self.length  # the one that completes it
        start = number * self.size - part * self.length + self.tail(part - 1)
        return self.parts.rows[self.joined(part)[start : start + self.size]]

    def tail(self, part: int) -> int:
        """How many entries a part leaves to the next."""
        return (part + 1) * self.length % self.size

    def settle_alone(self, part: int) -> np.ndarray:
        """The entries of a part in an order that depends on no other part: (length,)."""
        entries = self.drawn(part)
        batches = (np.arange(self.length) + self.tail(part - 1)) // self.size
        chance = np.random.default_rng([self.seed, ALONE, self.number, part])
        return entries[spread(self.marks[entries], batches, (0, self.length), chance)]

    def settle_joined(self, part: int) -> np.ndarray:
        """What the part before leaves, and the entries of a part: (tail + length,)."""
        tail = self.tail(part - 1)
        left = self.alone(part - 1)[self.length - tail :] if tail else self.parts.rows[:0]
        entries = np.concatenate([left, self.alone(part)])
        batches, movable = np.arange(len(entries)) // self.size, (tail, len(entries) - self.tail(part))
        chance = np.random.default_rng([self.seed, JOINED, self.number, part])
        return entries[spread(self.marks[entries], batches, movable, chance)]

    def drawn(self, part: int) -> np.ndarray:
        """The entries of a part, (length,); if it is shorter than two batches, in an order that a run shares.

        Such a part may have no whole batch between what completes the last one and its own tail, so nothing
        to exchange. But one order repeated holds no row twice in any `size` places that follow each other.
        """
        entries = self.parts.part(part)
        if not self.size < self.length < 2 * self.size:
            return entries
        run = (part + 1) * (self.length - self.size) // self.size  # a part with a whole batch begins one
        order = np.random.default_rng([self.seed, RUN, self.number, run]).permutation(self.length)
        return entries[np.argsort(order[entries])]


def new_marks(keys: np.ndarray) -> np.ndarray:
    """What two entries of a batch must not share: any int64 (R, K) -> numbers from 0 up, or NOTHING: (R, M).

    The first mark is the row's own number, so that no row stands twice in a batch. The others stand for keys
    that another row has too, in whichever column; a row does not collide with itself.
    """
    _, numbers = np.unique(keys, return_inverse=True)  # (R, K)
    numbers.sort(axis=1)
    again = np.zeros(numbers.shape, dtype=bool)
    again[:, 1:] = numbers[:, 1:] == numbers[:, :-1]
    owners = np.bincount(numbers[~again])  # how many rows have a key
    marks = np.where(again | (owners[numbers] == 1), NOTHING, len(keys) + numbers)
    return np.hstack([np.arange(len(keys))[:, None], marks])


def spread(
    marks: np.ndarray, batches: np.ndarray, movable: tuple[int, int], chance: np.random.Generator
) -> np.ndarray:
    """An order (N,) of entries with marks (N, M) in which, if it is found, no batch holds a mark twice.

    `batches` (N,) tells the batch of each place, from 0 up. Entries from movable[0] up to movable[1] may
    change places with each other. Round by round, each of them that collides draws one at random; the two
    change places if neither collides then, so collisions only become fewer.
    """
    marks = separable(marks, batches[-1] + 1)
    entry, column = np.nonzero(marks != NOTHING)
    numbers, kinds = marks[entry, column], marks.max(initial=NOTHING) + 1
    place = np.arange(len(marks))  # of each entry
    for _ in range(TRIES):
        held = batches[place[entry]] * kinds + numbers  # a mark in a batch, as one number
        ranked = np.argsort(held)
        held = held[ranked]
        movers = np.unique(entry[ranked[repeated(held)]])
        movers = movers[(movable[0] <= movers) & (movers < movable[1])]  # (C,)
        if not len(movers):
            break
        swaps = np.stack([movers, chance.integers(*movable, size=len(movers))], axis=1)  # (C, 2)
        brought = marks[swaps]  # (C, 2, M)
        after = np.where(brought == NOTHING, NOTHING, batches[place[swaps[:, ::-1], None]] * kinds + brought)
        swaps = swaps[~among(held, after).any(axis=(1, 2)) & compatible(swaps, after)]
        place[swaps] = place[swaps[:, ::-1]]
    return np.argsort(place)


def separable(marks: np.ndarray, batches: int) -> np.ndarray:
    """Marks (N, M) without those that one entry alone has, and those of more entries than there are batches.

    Two of the latter meet wherever they stand; they would hold back what has to move for another mark.
    """
    entries = np.bincount(marks.ravel() - NOTHING)[marks - NOTHING]  # (N, M), how many have the mark
    return np.where((entries > 1) & (entries <= batches), marks, NOTHING)


def repeated(ranked: np.ndarray) -> np.ndarray:
    """Which of some sorted numbers (S,) stand there more than once: (S,) bool."""
    found = np.zeros(len(ranked), dtype=bool)
    found[1:] = ranked[1:] == ranked[:-1]
    found[:-1] |= found[1:]
    return found


def among(ranked: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of the wanted numbers, in any shape, stand among sorted ones (S,); S is above 0."""
    return ranked[np.minimum(np.searchsorted(ranked, wanted), len(ranked) - 1)] == wanted


def compatible(swaps: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Which swaps (C, 2) can be made at once: no entry moves twice, no batch is brought a mark twice.

    `after` (C, 2, M) holds the marks with their new batches, each as one number.
    """
    below = NOTHING - 1 - swaps  # entries as numbers that no mark has
    claims = np.hstack([after.reshape(len(after), -1), below])  # (C, 2M + 2)
    first = np.zeros(claims.size, dtype=bool)
    first[np.unique(claims, return_index=True)[1]] = True
    return (first.reshape(claims.shape) | (claims == NOTHING)).all(axis=1)
