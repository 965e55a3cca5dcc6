"""Sorted runs: each part keeps its keys in order, so that equal keys of all parts meet bucket by bucket.

A bucket is a range of keys. In every part it is one stretch, found by bisection in a file that stays on disk,
so that memory is that of a bucket, however many parts there are (an external sort that never merges).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

KEYS_PER_BUCKET = 1 << 21  # of all parts together: 32 MiB of keys and rows, three times that while sorted


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
    files = [[place.folder / f"{name}.{kind}.npy" for kind in ("keys", "rows")] for place in places]
    keys = [np.load(own, mmap_mode="r") for own, _ in files]
    count = -(-sum(run.shape[1] for run in keys) // KEYS_PER_BUCKET)
    ends = np.array([number * 2**64 // count for number in range(1, count)], np.uint64)
    cuts = [np.concatenate([[0], np.searchsorted(run[line], ends), [run.shape[1]]]) for run in keys]
    starts = [line * run.shape[1] for run in keys]
    del keys  # a mapped file is an open one, and a system allows some thousand
    for number in range(count):
        found = [(np.empty(0, np.uint64), np.empty(0, np.int64))]
        for place, own, cut, start in zip(places, files, cuts, starts, strict=True):
            first, last = start + cut[number], start + cut[number + 1]
            if first < last:
                some, rows = (stretch(path, first, last) for path in own)
                found.append((some, rows.astype(np.int64) + place.start))
        bucket, rows = map(np.concatenate, zip(*found, strict=True))
        order = np.argsort(bucket, kind="stable")  # parts come in the order of their rows
        yield bucket[order], rows[order]


def stretch(path: Path, first: int, last: int) -> np.ndarray:
    """The numbers from `first` to before `last` of an array on disk, of whatever shape."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        _, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.fromfile(file, dtype, last - first, offset=int(first) * dtype.itemsize)


def places_among_equals(keys: np.ndarray) -> np.ndarray:
    """How many equal keys stand before each, the keys sorted: (N,) -> (N,)."""
    place = np.arange(len(keys))
    first = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    return place - np.maximum.accumulate(np.where(first, place, 0))
