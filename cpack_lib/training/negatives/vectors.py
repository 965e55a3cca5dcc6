"""Embeddings of many texts in one file: each text once, in parts, so that memory does not grow with them.

Axes: N different texts, R of them, D width.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
import xxhash

from cpack_lib.model.encoder import LONGEST, Encoder
from cpack_lib.work.files import read_json, write_json

Encode = Callable[[list[str]], np.ndarray]  # texts -> (N, D), each row of length one
TEXTS_AT_A_TIME = 8192  # embedded, and then safe on the disk
ROWS_AT_A_TIME = 16_384  # read from a map, which is given back then
SAME = 0.999  # cosine of two embeddings of a text by one encoder, whatever texts stood beside it
STATE = {"texts": int, "digest": str, "width": int, "done": int}


def embedder(
    encoder: Encoder, longest: int = LONGEST, precision: str = "float32", tokens_per_chunk: int = 4_096
) -> Encode:
    """How an encoder embeds texts for mining: cut at `longest` tokens, products in float32 or bfloat16.

    A chunk of few thousand padded tokens is fastest on a CPU; GPUs want some ten thousands.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision is {precision!r}; choose float32 or bfloat16")

    def encode(texts: list[str]) -> np.ndarray:
        device = next(encoder.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return encoder.encode(texts, longest=longest, budget=tokens_per_chunk)

    return encode


class Vectors:
    """The embeddings (N, D) in a folder: `vectors.f32`, row after row, and `state.json`."""

    def __init__(self, folder: Path):
        state = read_json(folder / "state.json", STATE)
        if state["done"] < state["texts"]:
            raise ValueError(
                f"{folder} holds {state['done']} of {state['texts']} vectors; go on with write_vectors"
            )
        self.path, self.shape = folder / "vectors.f32", (state["texts"], state["width"])

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """The embeddings of some texts, copied: (R,) -> (R, D) float32.

        A map that stayed open would keep in memory what it has touched, so each is open for a moment.
        """
        found = np.empty((len(numbers), self.shape[1]), dtype=np.float32)
        for start in range(0, len(numbers), ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            file = np.memmap(self.path, np.float32, "r", shape=self.shape)
            np.take(file, numbers[part], axis=0, out=found[part], mode="clip")
            del file
        return found


@dataclass(frozen=True)
class Rows:
    """Some of the embeddings in a folder (R, D): read where they are asked for, by a slice or an array."""

    vectors: Vectors
    numbers: np.ndarray  # (R,)
    sign: float = 1.0  # what they are multiplied by: 1 or -1

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, int]:
        """(R, D)."""
        return len(self.numbers), self.vectors.shape[1]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """In memory, (R', D)."""
        found = self.vectors.rows(self.numbers[rows])
        return found if self.sign > 0 else np.negative(found, out=found)

    def some(self, rows: np.ndarray) -> "Rows":
        """These rows alone, still on the disk."""
        return replace(self, numbers=self.numbers[rows])


def write_vectors(folder: Path, texts: pl.Series, encode: Encode) -> Vectors:
    """Embed different texts (N,) into a folder; where that was interrupted before, go on.

    ValueError where an embedding is not finite, with its text, and where the folder holds the vectors of
    other texts or of another encoder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = begun(folder, texts, encode)
    path = folder / "vectors.f32"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(state["done"] * state["width"] * 4)  # bytes of a float32
        file.seek(0, os.SEEK_END)
        for start in range(state["done"], len(texts), TEXTS_AT_A_TIME):
            part = texts[start : start + TEXTS_AT_A_TIME].to_list()
            found = finite(encode(part), part)
            file.write(np.ascontiguousarray(found, dtype=np.float32))
            file.flush()
            os.fsync(file.fileno())
            state |= {"width": found.shape[1], "done": start + len(part)}
            write_json(folder / "state.json", state)
    return Vectors(folder)


def begun(folder: Path, texts: pl.Series, encode: Encode) -> dict:
    """How far the folder is; a text that is in it already is embedded once more, to know the encoder."""
    path, fresh = folder / "state.json", {"texts": len(texts), "digest": digest(texts), "width": 0, "done": 0}
    if not path.exists():
        write_json(path, fresh)
        return fresh
    state = read_json(path, STATE)
    if state["digest"] != fresh["digest"]:
        raise ValueError(
            f"{folder} holds vectors of {state['texts']} other texts; delete it, or name another folder"
        )
    if state["done"]:
        stored = np.fromfile(folder / "vectors.f32", np.float32, state["width"])
        again = finite(encode(texts[:1].to_list()), texts[:1].to_list())[0]
        if again.shape != stored.shape or again @ stored < SAME * np.linalg.norm(again) ** 2:
            raise ValueError(f"{folder} holds another encoder's vectors; delete it, or name another folder")
    return state


def finite(vectors: np.ndarray, texts: list[str]) -> np.ndarray:
    """The same vectors, one for each text, or ValueError with the first text whose vector is none."""
    if vectors.shape[:1] != (len(texts),):
        raise ValueError(f"the encoder made vectors of shape {vectors.shape} for {len(texts)} texts")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise ValueError(
            f"the encoder makes NaN or infinity of {texts[bad[0]][:60]!r} and {len(bad) - 1} more of "
            f"{len(texts)} texts; mine with weights from before they broke"
        )
    return vectors


def digest(texts: pl.Series) -> str:
    """What tells these texts, in this order, from any others."""
    found = xxhash.xxh3_64()
    for start in range(0, len(texts), TEXTS_AT_A_TIME):
        found.update("\0".join([*texts[start : start + TEXTS_AT_A_TIME], ""]).encode())
    return found.hexdigest()
