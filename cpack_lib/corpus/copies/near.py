"""Near copies: rows that meet in a band and are truly alike are joined; of each group one stays.

Sketches say which of those that meet may be alike; where they leave a doubt, the texts themselves decide.

Band by band and bucket by bucket: what is held is one bucket's keys, the rows that meet in it, and 8 bytes
for each pair of rows that may be alike. Every row of a bucket's group is compared with the first of the group
and with the one before it, so that a group of a million costs two million comparisons, not 10¹².
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cpack_lib.corpus.clean.rule import SET, TEXTS
from cpack_lib.corpus.copies.minhash import (
    PERMUTATIONS,
    band_keys,
    bands,
    jaccard,
    likeness,
    minima,
    sketches,
)
from cpack_lib.corpus.copies.runs import Place, buckets, places_among_equals, write_runs
from cpack_lib.work.workers.pool import each

AT_A_TIME = 1 << 16  # pairs of rows whose sketches are compared: 2 × 16 MiB with two sides
READ_AT_A_TIME = 1 << 13  # pairs of rows whose texts are compared
DOUBTFUL = np.uint64(2**63)  # added to a pair of rows whose sketches do not decide
DOUBT = 0.12  # from the limit, within which an estimate decides nothing: five times its usual error


@dataclass(frozen=True)
class Near:
    """A rule over a whole set: of the rows joined by a likeness of at least `limit`, the first stays."""

    name: str
    stage: str
    sides: tuple[str, ...]
    limit: float

    @property
    def reason(self) -> str:
        """The rule in words."""
        return f"a copy but for some words: a likeness of at least {self.limit}"

    @property
    def runs(self) -> str:
        """The name of its files in a part."""
        return f"near-{'-'.join(self.sides)}"

    @property
    def table(self) -> str:
        """Which of a part's tables has the sides."""
        return "texts" if self.sides == ("text",) else "pairs"

    def prepare(self, folder: Path, rows: pl.DataFrame) -> None:
        """Write the bands and the sketches of a part's rows."""
        found = [minima(rows[side]) for side in self.sides]
        whole = np.logical_and.reduce([filled for _, filled in found])  # both sides have n-grams
        sides = [side for side, _ in found]
        keys = band_keys([side[whole] for side in sides], self.limit)
        write_runs(folder, self.runs, keys, np.flatnonzero(whole))
        np.save(folder / f"{self.runs}.sketches.npy", sketches(sides))

    def gone(
        self, places: Sequence[Place], left: np.ndarray, folder: Path, workers: int | str = 1
    ) -> np.ndarray:
        """The rows of all parts that go, of those `left` by the rules before: (N,) bool -> (M,)."""
        return later_ones(self.edges(places, left, folder, workers))

    def edges(
        self, places: Sequence[Place], left: np.ndarray, folder: Path, workers: int | str = 1
    ) -> np.ndarray:
        """The rows of all parts that are alike: (N,) bool -> (E, 2).

        The bands' edges are kept in `folder`: a killed search goes on with the bands that are missing.
        """
        np.save(folder / f"{self.runs}.left.npy", left)
        count, _ = bands(self.limit)
        tasks = [(f"band {band} of {self.runs}", (self, places, folder, band)) for band in range(count)]
        found = np.empty(0, np.uint64)
        for _, path in each(band_edges, tasks, workers):  # most edges are found in several bands
            found = np.union1d(found, np.load(path))
        doubtful, sure = (unpacked(found[(found >= DOUBTFUL) == flag]) for flag in (True, False))
        tasks = [
            (f"{self.runs} from {start}", (self, places, doubtful[start : start + READ_AT_A_TIME]))
            for start in range(0, len(doubtful), READ_AT_A_TIME)
        ]
        return np.concatenate([sure, *(some for _, some in each(true_edges, tasks, workers))])


def band_edges(rule: Near, places: Sequence[Place], folder: Path, band: int) -> Path:
    """The file with the rows that meet in a band and may be alike, packed: (E,); made unless it is there."""
    path = folder / f"{rule.runs}.edges-{band:03}.npy"
    if not path.exists():
        left = np.load(folder / f"{rule.runs}.left.npy", mmap_mode="r")
        edges = [likely(rule, places, meetings(*bucket, left)) for bucket in buckets(places, rule.runs, band)]
        aside = path.with_name(f".{path.name}")
        np.save(aside.with_suffix(".new.npy"), np.concatenate([np.empty(0, np.uint64), *edges]))
        aside.with_suffix(".new.npy").replace(path)
    return path


def true_edges(rule: Near, places: Sequence[Place], edges: np.ndarray) -> np.ndarray:
    """Those of the edges whose rows are as alike as the rule asks, by their texts: (E, 2) -> (F, 2)."""
    alike = np.ones(len(edges))
    for side in rule.sides:
        alike *= jaccard(*(texts_of(rule, places, edges[:, end], side) for end in (0, 1)))
    return edges[alike >= rule.limit]


def meetings(keys: np.ndarray, rows: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Each row with the first of its group and with the one before it: (M,), (M,) -> (E, 2), once each."""
    stay = left[rows]
    keys, rows = keys[stay], rows[stay]
    place = places_among_equals(keys)
    later = np.flatnonzero(place > 0)
    firsts, befores = rows[later - place[later]], rows[later - 1]
    third = place[later] > 1  # a second row's first is the one before it
    again = np.stack([befores[third], rows[later][third]], axis=1)
    return np.concatenate([np.stack([firsts, rows[later]], axis=1), again])


def likely(rule: Near, places: Sequence[Place], edges: np.ndarray) -> np.ndarray:
    """Those of the edges whose sketches are as alike as the rule asks, or nearly, packed: (E, 2) -> (F,)."""
    kept = [np.empty(0, np.uint64)]
    for start in range(0, len(edges), AT_A_TIME):
        some = edges[start : start + AT_A_TIME]
        one, other = (sketches_of(rule, places, some[:, end]) for end in (0, 1))
        alike = likeness(one, other)
        sure = (alike >= rule.limit + DOUBT) | (one == other).all(axis=(1, 2))
        kept.append(packed(some, ~sure)[alike >= rule.limit - DOUBT])
    return np.concatenate(kept)


def packed(edges: np.ndarray, doubtful: np.ndarray) -> np.ndarray:
    """Pairs of rows below 2³¹ as one number, DOUBTFUL more where it is so: (E, 2), (E,) -> (E,) uint64."""
    rows = edges.astype(np.uint64)
    return (rows[:, 0] << np.uint64(32)) + rows[:, 1] + doubtful * DOUBTFUL


def unpacked(numbers: np.ndarray) -> np.ndarray:
    """The pairs of rows again: (E,) -> (E, 2) int64."""
    rows = numbers & (DOUBTFUL - np.uint64(1))
    return np.stack([rows >> np.uint64(32), rows & np.uint64(2**32 - 1)], axis=1).astype(np.int64)


def by_part(places: Sequence[Place], rows: np.ndarray) -> Iterator[tuple[Place, np.ndarray]]:
    """(a part, which of the rows of all parts are its): of empty parts none."""
    starts = np.array([place.start for place in places])
    part = np.searchsorted(starts, rows, "right") - 1  # (M,); of empty parts the last, which holds the row
    for number in np.unique(part):
        yield places[number], np.flatnonzero(part == number)


def sketches_of(rule: Near, places: Sequence[Place], rows: np.ndarray) -> np.ndarray:
    """The sketches of rows of all parts, each read from its part's file: (M,) -> (M, S, P) uint8."""
    found = np.empty((len(rows), len(rule.sides), PERMUTATIONS), np.uint8)
    for place, own in by_part(places, rows):
        file = np.load(place.folder / f"{rule.runs}.sketches.npy", mmap_mode="r")
        found[own] = file[rows[own] - place.start]
    return found


def texts_of(rule: Near, places: Sequence[Place], rows: np.ndarray, side: str) -> pl.Series:
    """One side of rows of all parts, each read from its part's table: (M,) -> M texts."""
    found = np.empty(len(rows), object)
    for place, own in by_part(places, rows):
        texts = pl.read_ipc(place.folder / f"{rule.table}.arrow", columns=[side])[side]
        found[own] = texts.gather(rows[own] - place.start).to_list()  # a Series would keep all of the column
    return pl.Series(found.tolist(), dtype=pl.String)


def later_ones(edges: np.ndarray) -> np.ndarray:
    """The rows of each connected group but its first: (E, 2) -> (M,), sorted."""
    rows, ends = np.unique(edges, return_inverse=True)  # (V,): the rows that have an edge
    ends = ends.reshape(edges.shape)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(len(rows), len(rows)))
    _, group = connected_components(graph, directed=False)
    _, first = np.unique(group, return_index=True)
    return np.delete(rows, first)


def near_copies(limit: float) -> list[Near]:
    """The rules against near copies of pairs and of texts; none for a limit of 0."""
    if not limit:
        return []
    return [
        Near("pair nearly again", SET, ("text_a", "text_b"), limit),
        Near("text nearly again", TEXTS, ("text",), limit),
    ]
