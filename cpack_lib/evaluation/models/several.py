"""Embedding by several processes: one for each GPU, or on CPUs each with its share of the cores.

Batches are made by the process that asks, and they alone travel: so a vector does not depend on how many
processes there are. On one CPU they gain nothing: one process has all its cores, too.
"""

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import cloudpickle
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models.embedding import Batch, Embedder
from cpack_lib.model.quiet import quietly
from cpack_lib.work import lock
from cpack_lib.work.provenance import usable_cores
from cpack_lib.work.workers.team import Task, Team

Load = Callable[..., SentenceTransformer]  # opens a model; takes the keyword `device`


def processes_of(workers: int | str) -> int:
    """How many processes embed: so many, or with "auto" one for each GPU, and one where there is none."""
    gpus = torch.cuda.device_count()
    if workers == "auto":
        return max(1, gpus)
    if not str(workers).isdecimal() or not (number := int(workers)):
        raise ValueError(f'workers is {workers!r}; write a number such as 2, or "auto" for one per GPU')
    if gpus and number > gpus:
        raise ValueError(f'workers is {number}, but there are {gpus} GPUs; write so many at most, or "auto"')
    return number


class Helper:
    """What one process does: it opens the model on a device of its own at its first batch, then embeds."""

    def __init__(self, load: Load, precision: str, processes: int, places: Path):
        self.load, self.precision, self.processes, self.places = load, precision, processes, places
        self.embedder: Embedder | None = None

    def __call__(self, items: list[Any], prompt: str, side: str) -> np.ndarray:
        if self.embedder is None:
            with quietly():
                self.embedder = Embedder(self.load(device=self.device()), self.precision)
        return self.embedder.embed(items, prompt, side)

    def device(self) -> str:
        """A GPU that no other helper has, or the CPU with a share of the cores."""
        if not torch.cuda.is_available():
            torch.set_num_threads(max(1, usable_cores() // self.processes))
            return "cpu"
        number, self.place = free_place(self.places, torch.cuda.device_count())
        return f"cuda:{number}"


def free_place(folder: Path, places: int) -> tuple[int, TextIO]:
    """The first of some places that nobody holds, and the open file that holds it until this process ends."""
    for number in range(places):
        file = (folder / f"{number}.lock").open("a")
        if lock.attempt(file, 0.0):
            return number, file
        file.close()
    raise RuntimeError(f"all {places} GPUs have a process of ours")


class Several:
    """Processes that stay until `stop`, and then start anew when they are needed."""

    def __init__(self, load: Load, precision: str, processes: int):
        self.places = tempfile.TemporaryDirectory(prefix="cpack-places-")
        self.team = Team(Helper(load, precision, processes, Path(self.places.name)), processes)

    def embedded(
        self, batches: Iterable[Batch], prompt: str, side: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(rows, their vectors) of each batch, in order; a process that dies or fails is an error at once."""
        asked, finished = deque[np.ndarray](), False  # the rows of batches under way

        def tasks() -> Iterator[Task]:
            for rows, items in batches:
                asked.append(rows)
                yield Task("batch", cloudpickle.dumps((items, prompt, side)))

        try:
            for task in self.team.in_order(tasks()):
                yield asked.popleft(), result_of(task)
            finished = True
        finally:
            if not finished:
                self.stop()

    def stop(self) -> None:
        """End the processes, and forget what they were doing."""
        self.team.stop()
        self.team.waiting.clear()
        self.team.suspects.clear()


def result_of(task: Task) -> np.ndarray:
    """What came of a task; RuntimeError with the cause."""
    result, failure = task.outcome
    if failure:
        error = RuntimeError(
            f"a process that embeds texts has failed ({failure.splitlines()[0]}): run again, what was "
            "embedded is kept; if memory ran out, with fewer workers"
        )
        error.add_note(failure)
        raise error
    return result
