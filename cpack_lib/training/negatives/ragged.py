"""Lists of unequal length in two arrays: what is right for each query, and which partners it has.

Axes: Q lists, S numbers of all lists, C some of the lists, T numbers asked for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """Q lists of numbers from 0 up: list q is `values[starts[q] : starts[q + 1]]`."""

    values: np.ndarray  # (S,) int64
    starts: np.ndarray  # (Q + 1,) int64

    @classmethod
    def of(cls, lists: "Ragged | Sequence[Iterable[int]]") -> "Ragged":
        """From any sequence of collections; what is ragged already stays as it is."""
        if isinstance(lists, Ragged):
            return lists
        lists = [list(each) for each in lists]
        values = np.fromiter(chain.from_iterable(lists), dtype=np.int64)
        return cls.cut(values, np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))

    @classmethod
    def cut(cls, values: np.ndarray, lengths: np.ndarray) -> "Ragged":
        """From all values (S,), list after list, and the length of each list (Q,)."""
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(np.asarray(values, dtype=np.int64), starts)

    @classmethod
    def grouped(cls, owners: np.ndarray, values: np.ndarray, Q: int) -> "Ragged":
        """From pairs in any order: values (S,), and the list from 0 to Q - 1 that each belongs to (S,)."""
        order = np.argsort(owners, kind="stable")
        return cls.cut(values[order], np.bincount(owners, minlength=Q))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, q: int) -> np.ndarray:
        """The numbers of one list."""
        return self.values[self.starts[q] : self.starts[q + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """How many numbers each list has: (Q,)."""
        return np.diff(self.starts)

    def pairs(self, lists: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of some lists (C,), after the list, 0 to C - 1, that each is from: (S',) twice."""
        lengths = self.lengths[lists]
        owners = np.repeat(np.arange(len(lists)), lengths)
        before = np.cumsum(lengths) - lengths
        places = np.arange(len(owners)) + np.repeat(self.starts[:-1][lists] - before, lengths)
        return owners, self.values[places]

    def some(self, lists: np.ndarray) -> "Ragged":
        """These lists (C,) alone."""
        return Ragged.cut(self.pairs(lists)[1], self.lengths[lists])

    def joined(self, other: "Ragged") -> "Ragged":
        """Each list, followed by the other's of the same number."""
        every = np.arange(len(self))
        owners, values = map(np.concatenate, zip(self.pairs(every), other.pairs(every), strict=True))
        return Ragged.grouped(owners, values, len(self))

    def padded(self, filling: int) -> np.ndarray:
        """Each list as a line, filled up to the longest: (Q, length)."""
        found = np.full((len(self), int(self.lengths.max(initial=0))), filling)
        owners = np.repeat(np.arange(len(self)), self.lengths)
        found[owners, np.arange(len(owners)) - np.repeat(self.starts[:-1], self.lengths)] = self.values
        return found

    def hold(self, lists: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Whether each of some lists (C,) holds the numbers that are asked of it: (C, T) -> (C, T) bool."""
        owners, values = self.pairs(lists)
        if not len(values) or not asked.size:
            return np.zeros(asked.shape, dtype=bool)
        size = max(values.max(), asked.max()) + 1
        codes = np.unique(owners * size + values)
        wanted = np.arange(len(lists))[:, None] * size + asked
        held = codes[np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)] == wanted
        return held & (asked >= 0)
