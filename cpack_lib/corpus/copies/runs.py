"""Sorted runs: each part keeps its keys in order, so that equal keys of all parts meet bucket by bucket.

A bucket is a range of keys. In every part it is one stretch, found by bisection in a file that stays on disk,
so that memory is that of a bucket, however many parts there are (an external sort that never merges).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

KEYS_PER_BUCKET = 1 << 20  # of all parts together: 16 MiB of keys and rows, three times that while sorted


class Place(NamedTuple):
    """Where a part stands: its folder, and the number of its first row among the rows of all parts."""

    folder: Path
    start: int


def write_runs(folder: Path, name: str, keys: np.ndarray, rows: np.ndarray | None = None) -> None:
    """NAME.keys.npy (K, N) uint64, each line sorted, and NAME.rows.npy (K, N) uint32, the rows they are of.

    `keys` is (K, N): K keys for each of N rows; `rows` are their numbers in the part, 0 to N - 1 by default.
    """
    rows = np.arange(keys.shape[1]) if rows is None else rows
    order = np.argsort(keys, axis=1, kind="stable")  # (K, N)
    np.save(folder / f"{name}.keys.npy", np.take_along_axis(keys, order, axis=1))
    np.save(folder / f"{name}.rows.npy", rows.astype(np.uint32)[order])


def buckets(places: Sequence[Place], name: str, line: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(keys, rows) of all parts: (M,) uint64 sorted, (M,) int64; equal keys together, their rows in order."""
    sizes = [np.load(place.folder / f"{name}.keys.npy", mmap_mode="r").shape[1] for place in places]
    count = -(-sum(sizes) // KEYS_PER_BUCKET)
    for number in range(count):
        yield bucket(places, name, line, number * 2**64 // count, (number + 1) * 2**64 // count - 1)


def bucket(
    places: Sequence[Place], name: str, line: int, least: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """The keys from `least` to `most` of every part, sorted, and the rows of all parts that they are of."""
    keys, rows = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for place in places:
        run = np.load(place.folder / f"{name}.keys.npy", mmap_mode="r")[line]
        first = np.searchsorted(run, np.uint64(least), "left")
        last = np.searchsorted(run, np.uint64(most), "right")
        if first < last:
            keys.append(np.array(run[first:last]))
            own = np.load(place.folder / f"{name}.rows.npy", mmap_mode="r")[line]
            rows.append(own[first:last].astype(np.int64) + place.start)
    keys, rows = np.concatenate(keys), np.concatenate(rows)
    order = np.argsort(keys, kind="stable")  # parts come in the order of their rows
    return keys[order], rows[order]


def places_among_equals(keys: np.ndarray) -> np.ndarray:
    """How many equal keys stand before each, the keys sorted: (N,) -> (N,)."""
    place = np.arange(len(keys))
    first = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    return place - np.maximum.accumulate(np.where(first, place, 0))
