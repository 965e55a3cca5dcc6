"""What is kept of evaluation texts to know them again: 64-bit keys of whole texts, and hashes of runs.

Only some runs are kept, chosen by winnowing (Schleimer, Wilkerson, Aiken 2003): of every WINDOW runs that
begin one after the other the one with the least hash, in evaluation texts and in training texts alike. A
stretch of 32 characters (RUN + WINDOW - 1) holds WINDOW such runs, and whoever has it chooses the same one of
them: so every shared stretch of that length is found, although a fifth of the runs is kept. It all lies on
the disk, 12 bytes per run and 16 per text: 2.1 per character of texts of 73 characters, 1 GB for 500 million
of them.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import xxhash

from cpack_lib.corpus.clean.text import folded, normalised
from cpack_lib.corpus.copies.grams import grams
from cpack_lib.corpus.copies.keys import keys_of
from cpack_lib.corpus.languages import language

RUN = 24  # characters, a clause of Chinese; times the spread of a language that needs more for it
WINDOW = 9  # runs
COMMON = 5  # a run in more texts of one task is a phrase of its trade: a formula of statutes, a bus fare
AT_A_TIME = 1 << 20  # characters whose runs are in memory, in arrays of 8 MiB
HIGHEST = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class Evaluation:
    """Keys and runs of evaluation texts, in files that are mapped into memory: to send it is to send a path.

    keys, key_tasks: every text of every task; runs, run_texts: the chosen runs; text_lengths, text_tasks: of
    the texts that run_texts counts. keys and runs are sorted. The folder's name is a digest of its files.
    Texts in `language` were mended as it asks, and a run is RUN characters times its spread.
    """

    folder: Path
    tasks: tuple[str, ...]
    language: str = "zh"

    @property
    def run(self) -> int:
        """Characters of a run, white space left out."""
        return run_in(self.language)

    def array(self, name: str) -> np.ndarray:
        """One of the arrays above."""
        return mapped(self.folder / f"{name}.npy")


def run_in(code: str) -> int:
    """Characters of a run in a language, white space left out."""
    return RUN * language(code).spread


@lru_cache(maxsize=64)
def mapped(path: Path) -> np.ndarray:
    """An array on the disk, read where it is looked at."""
    return np.load(path, mmap_mode="r")


def indexed(texts: Iterable[tuple[str, pl.Series]], folder: Path, code: str = "zh") -> Evaluation:
    """The Evaluation of (task, some of its texts), tasks one after the other, in a folder below this one.

    `code` is the language that they are in.
    """
    numbers: dict[str, int] = {}
    known = defaultdict(lambda: np.empty(0, np.uint64))
    parts = defaultdict(list)
    count = 0
    for task, some in texts:
        number = numbers.setdefault(task, len(numbers))
        folds = folds_of(mended(some, code)).unique(maintain_order=True)
        folds = folds.filter(folds != "")
        keys = keys_of(folds).to_numpy()
        new = ~np.isin(keys, known[task])
        known[task] = np.append(known[task], keys[new])
        hashes, rows, _ = winnowed(folds.filter(pl.Series(new)), run_in(code))
        parts["keys"].append(keys[new])
        parts["text_lengths"].append(folds.str.len_chars().to_numpy()[new])
        parts["text_tasks"].append(np.full(new.sum(), number))
        parts["runs"].append(hashes)
        parts["run_texts"].append((rows + count).astype(np.uint32))
        count += new.sum()
    if not count:
        raise ValueError(f"the evaluation's tasks ({', '.join(numbers) or 'none'}) hold no text: name others")
    found = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    return stored(arranged(**found), tuple(numbers), folder, code)


def arranged(
    keys: np.ndarray,
    text_lengths: np.ndarray,
    text_tasks: np.ndarray,
    runs: np.ndarray,
    run_texts: np.ndarray,
) -> dict[str, np.ndarray]:
    """The arrays of an Evaluation: keys and runs sorted, a run once for a text and not if it is COMMON."""
    by_key, by_run = np.argsort(keys, kind="stable"), np.argsort(runs, kind="stable")
    runs, run_texts = runs[by_run], run_texts[by_run]
    once = is_first(runs, run_texts)
    runs, run_texts = runs[once], run_texts[once]
    in_task = np.flatnonzero(is_first(runs, text_tasks[run_texts]))  # texts are numbered task by task
    texts_with = np.diff(in_task, append=len(runs))
    rare = np.repeat(texts_with, texts_with) <= COMMON
    return {
        "keys": keys[by_key],
        "key_tasks": text_tasks[by_key].astype(np.uint16),
        "runs": runs[rare],
        "run_texts": run_texts[rare],
        "text_lengths": text_lengths.astype(np.uint32),
        "text_tasks": text_tasks.astype(np.uint16),
    }


def is_first(*columns: np.ndarray) -> np.ndarray:
    """Which rows of sorted columns differ from the row before: (M,) each -> (M,) bool."""
    first = np.ones(len(columns[0]), bool)
    first[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return first


def stored(arrays: dict[str, np.ndarray], tasks: tuple[str, ...], folder: Path, code: str) -> Evaluation:
    """The Evaluation of these arrays, in files that are whole or not there."""
    digest = xxhash.xxh3_64("\n".join([code, *tasks]).encode())
    for array in arrays.values():
        digest.update(array)
    place = folder / digest.hexdigest()
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".new-") as aside:
            made = Path(aside) / "made"
            made.mkdir()
            for name, array in arrays.items():
                np.save(made / f"{name}.npy", array)
            os.rename(made, place)
    return Evaluation(place, tasks, code)


def mended(texts: pl.Series, code: str) -> pl.Series:
    """The texts after all repairs, as those that are looked for are: simplified, masked."""
    return texts.fill_null("").to_frame("text").select(normalised(pl.col("text"), code)).to_series()


def folds_of(texts: pl.Series) -> pl.Series:
    """The texts as they are compared; a null is an empty text."""
    return texts.fill_null("").to_frame("text").select(folded(pl.col("text"))).to_series()


def winnowed(folds: pl.Series, run: int = RUN) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chosen runs of folded texts: hashes, the rows of their texts, their places in these: (F,) each.

    `run` is how many characters a run has.
    """
    lengths = folds.str.len_chars().to_numpy().astype(np.int64)
    long = np.flatnonzero(lengths >= run)
    group = np.cumsum(lengths[long]) // AT_A_TIME
    parts = [(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))]
    for rows in np.split(long, np.flatnonzero(np.diff(group)) + 1):
        hashes, own, places = chosen_runs(folds.gather(rows), run)
        parts.append((hashes, rows[own], places))
    hashes, rows, places = map(np.concatenate, zip(*parts, strict=True))
    return hashes, rows, places


def chosen_runs(folds: pl.Series, run: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same for texts of that many characters or more.

    Windows hang over both ends of a text: the shortest text has a chosen run, and of a longer one the first
    and the last are chosen. Where windows meet, a run is chosen if the least of one of them is its own, which
    is then the greatest of the least of all that hold it.
    """
    hashes, offsets = grams(folds, run)  # (M,)
    counts, margin = np.diff(offsets), WINDOW - 1
    rows = np.repeat(np.arange(len(folds)), counts)  # (M,)
    spaced = np.arange(len(hashes)) + margin * rows  # (M,), texts apart by what no window bridges
    line = np.full(len(hashes) + margin * (len(folds) + 2), HIGHEST)
    line[spaced + margin] = hashes
    greatest = sliding(np.maximum, sliding(np.minimum, line, WINDOW), WINDOW)
    chosen = np.flatnonzero(greatest[spaced] == hashes)  # (F,)
    rows = rows[chosen]
    return hashes[chosen], rows, chosen - offsets[rows]


def sliding(pick: Callable, values: np.ndarray, width: int) -> np.ndarray:
    """The least (np.minimum) or greatest (np.maximum) of every `width` values: (L,) -> (L - width + 1,)."""
    length = 1
    while 2 * length <= width:
        values, length = pick(values[:-length], values[length:]), 2 * length
    rest = width - length
    return pick(values[: len(values) - rest], values[rest:])


def meetings(kept: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where two arrays hold the same, `kept` being sorted: (K,), (A,) -> (P,) in asked, (P,) in kept."""
    order = np.argsort(asked)
    first = np.searchsorted(kept, asked[order], "left")  # in order: several times as fast in a large array
    counts = np.searchsorted(kept, asked[order], "right") - first
    starts = np.repeat(first - np.cumsum(counts) + counts, counts)
    return np.repeat(order, counts), starts + np.arange(counts.sum())
