"""Vectors of texts on disk: a model embeds each distinct text once, for all tasks, notebooks and runs.

A model's folder holds two files that only grow: `vectors.f32`, N rows of D float32, and `keys.u128`, a hash
of 16 bytes for each row. It takes 4 · D + 16 bytes for a text: the 35 sets of C-MTEB have 1.8 million,
so 3.7 GB at a width of 512, 7.3 GB at 1,024. Delete the folder of a model, or all of them, whenever nothing
is being evaluated; what is missing is embedded again.

Axes: N texts, D width.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import xxhash

from cpack_lib.work import lock
from cpack_lib.work.files import runs_folder

KEY_BYTES = 16
PATIENCE = 60.0  # seconds for another process to finish its rows
SECONDS, MOST = 10.0, 16_384  # that vectors wait in memory, and how many: what a killed run embeds again
INDEX = {"first": pl.UInt64, "second": pl.UInt64, "row": pl.Int64}


def kept_vectors() -> Path:
    """Where notebooks keep the vectors of all models: runs/.vectors."""
    return runs_folder() / ".vectors"


def keys_of(texts: Sequence[str], prompt: str, side: str = "") -> np.ndarray:
    """(N, 2) uint64: a hash of each text behind its prompt, and of the side of a search if that counts."""
    before = f"{side}\0{len(prompt)}\0{prompt}".encode()
    digests = b"".join(xxhash.xxh3_128_digest(before + text.encode()) for text in texts)
    return np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2)


class Kept:
    """The vectors in a folder, read through a map; of a text, 24 bytes are in memory.

    A row counts once its key is whole, and a key is written after its vector has reached the disk. So a
    process may be killed at any moment: what it has torn is behind the last whole row, and goes when somebody
    writes next. Any number of processes may read and write at once.
    """

    def __init__(self, folder: Path, width: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.row_bytes, self.width = folder, 4 * width, width
        self.keys, self.vectors = folder / "keys.u128", folder / "vectors.f32"
        for path in (self.keys, self.vectors):
            path.touch()
        self.index = pl.DataFrame(schema=INDEX)
        self.refresh()

    def __len__(self) -> int:
        return len(self.index)

    def whole(self) -> int:
        """How many rows are whole on disk."""
        sizes = self.keys.stat().st_size // KEY_BYTES, self.vectors.stat().st_size // self.row_bytes
        return min(sizes)

    def refresh(self) -> None:
        """Take in the rows that were added since, by whomever."""
        known, whole = len(self.index), self.whole()
        if whole > known:
            more = np.fromfile(
                self.keys, dtype=np.uint64, offset=known * KEY_BYTES, count=2 * (whole - known)
            ).reshape(-1, 2)
            rows = np.arange(known, whole)
            columns = dict(zip(INDEX, (more[:, 0], more[:, 1], rows), strict=True))
            self.index = pl.concat([self.index, pl.DataFrame(columns, schema=INDEX)], rechunk=True)
        if whole:
            self.map = np.memmap(self.vectors, dtype=np.float32, mode="r", shape=(whole, self.width))

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """(N, 2) -> (N,) int64: the row of each key, -1 for one that is not there."""
        asked = pl.DataFrame({"first": keys[:, 0], "second": keys[:, 1]}).with_row_index("asked")
        both = self.index.join(asked, on=["first", "second"])  # polars hashes the smaller side
        found = np.full(len(keys), -1)
        found[both["asked"].to_numpy()] = both["row"].to_numpy()
        return found

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(N,) -> (N, D) float32, a copy."""
        if not len(rows):
            return np.empty((0, self.width), dtype=np.float32)
        return np.asarray(self.map[rows])

    def add(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        """Append the rows of keys that are not there yet: (N, 2), (N, D) float32."""
        with self.writing():
            self.refresh()
            os.truncate(self.vectors, len(self) * self.row_bytes)
            os.truncate(self.keys, len(self) * KEY_BYTES)
            new = np.flatnonzero(self.rows(keys) < 0)
            new = new[np.unique(keys[new], axis=0, return_index=True)[1]]
            self.append(self.vectors, np.asarray(vectors[new], dtype=np.float32))
            self.append(self.keys, keys[new])
            self.refresh()

    def append(self, path: Path, values: np.ndarray) -> None:
        """Add bytes at the end of a file and wait until the disk has them."""
        try:
            with path.open("ab") as file:
                file.write(np.ascontiguousarray(values).data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(
                f"{path} takes no more vectors ({error.strerror}): make room, for instance by deleting "
                f"folders of models in {self.folder.parent} that you no longer need, and run again"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one that writes; ValueError where another process does for too long."""
        with (self.folder / "lock").open("a") as file:
            if not lock.attempt(file, PATIENCE):
                raise ValueError(
                    f"another process has been writing {self.folder} for {PATIENCE:.0f} seconds: end it "
                    "if it hangs, and run again"
                )
            yield


class Gathering:
    """Vectors on their way to a store: written from time to time, and at the end, however it comes."""

    def __init__(self, kept: Kept):
        self.kept, self.since = kept, time.monotonic()
        self.waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def take(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        """Some more: (B, 2), (B, D)."""
        self.waiting.append((keys, vectors))
        if time.monotonic() - self.since > SECONDS or sum(len(one) for one, _ in self.waiting) >= MOST:
            self.write()

    def write(self) -> None:
        """Add what waits to the store."""
        waiting, self.waiting = self.waiting, []
        if waiting:
            self.kept.add(*map(np.concatenate, zip(*waiting, strict=True)))
        self.since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.write()


class Rows:
    """Some rows of a store as if they were an array (N, D): read when a part of them is asked for."""

    def __init__(self, kept: Kept, rows: np.ndarray):
        self.kept, self.rows = kept, rows

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return len(self.rows), self.kept.width

    def __getitem__(self, which: slice | Sequence[int]) -> np.ndarray:
        return self.kept.read(self.rows[which])
