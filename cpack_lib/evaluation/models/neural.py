"""Any sentence-transformers model for mteb: fast, in one process or several, no text embedded twice.

Axes: N texts, D width, Q queries.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from mteb.abstasks.task_metadata import TaskMetadata
from sentence_transformers.util import get_device_name
from torch import Tensor

from cpack_lib.evaluation.models.adapter import DOCUMENT, QUERY, TEXT, Adapter
from cpack_lib.evaluation.models.embedding import BUDGETS, OTHER_BUDGET, PRECISIONS, WINDOW, Embedder
from cpack_lib.evaluation.models.kept import Gathering, Kept, Rows, keys_of
from cpack_lib.evaluation.models.several import Load, Several, processes_of
from cpack_lib.evaluation.tasks.texts import passage_texts
from cpack_lib.model.quiet import quietly
from cpack_lib.work.progress import Progress

PROMPTS = {QUERY: ("query",), DOCUMENT: ("document", "passage", "corpus")}  # names in use for the two roles
MANY = 10_000  # texts from which on progress is told


class Neural(Adapter):
    """An encoder opened when its first vector is asked for, and whose vectors are kept.

    `vectors` is the folder that keeps them for other notebooks and runs as well (models/kept.py); without one
    they are kept in a temporary folder until `release`. `precision` "bfloat16" computes products in half
    precision, and is part of the fingerprint: scores of the two are never mixed up; "float32" computes in
    full even where weights were saved in half. `workers` are the processes that embed (models/several.py).
    """

    def __init__(
        self,
        name: str,
        fingerprint: str,
        load: Load,
        *,
        precision: str = "float32",
        workers: int | str = 1,
        vectors: Path | None = None,
        revision: str | None = None,
    ):
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}; write one of {', '.join(PRECISIONS)}")
        marked = fingerprint if precision == "float32" else f"{fingerprint}-{precision}"
        super().__init__(name, marked, revision)
        self.load, self.precision, self.folder = load, precision, vectors
        self.processes, self.device = processes_of(workers), torch.device(get_device_name())
        self.embedder: Embedder | None = None

    def opened(self) -> Embedder:
        """The model, on the accelerator if there is one and it is embedded here; its vectors; its helpers."""
        if self.embedder is None:
            several = self.processes > 1
            with quietly():
                self.embedder = Embedder(self.load(device="cpu" if several else None), self.precision)
            self.several = Several(self.load, self.precision, self.processes) if several else None
            self.made = None if self.folder else tempfile.TemporaryDirectory(prefix="cpack-vectors-")
            folder = self.folder or Path(self.made.name)
            self.kept = Kept(folder / self.fingerprint, self.embedder.width)
        return self.embedder

    def release(self) -> None:
        """Drop the weights, end the processes, and forget vectors that are in no folder of their own."""
        if self.embedder is None:
            return
        if self.several:
            self.several.stop()
        self.embedder = self.several = self.kept = self.passages = None
        if self.made:
            self.made.cleanup()

    def prompt(self, role: str, task: TaskMetadata | None = None) -> str:
        """What the model's folder puts before a text in a role, by mteb's order of precedence.

        Task and role, task, type and role, type, role; then what sentence-transformers itself would take:
        other names of the role, then its default.
        """
        model = self.opened().model
        names = prompt_names(role, task)
        if model.default_prompt_name:
            names.append(model.default_prompt_name)
        return next((model.prompts[name] or "" for name in names if name in model.prompts), "")

    def vectors(self, texts: list[str], role: str, task: TaskMetadata | None = None) -> np.ndarray:
        """(N, D) float32; only texts that are new under this role's prompt are embedded."""
        return self.rows(texts, role, task)[:]

    def task_vectors(self, texts: list[str], role: str, task: TaskMetadata | None) -> np.ndarray:
        """(N, D) float32, with the prompt for this task if the model has one."""
        return self.vectors(texts, role, task)

    def indexed(self, corpus: Dataset, task: TaskMetadata | None) -> Rows:
        """(N, D): the passages of a corpus, whose vectors stay on disk until they are compared."""
        starts = range(0, len(corpus), WINDOW)
        parts = (corpus.select(range(start, min(start + WINDOW, len(corpus)))) for start in starts)
        rows = [self.rows(passage_texts(part), DOCUMENT, task).rows for part in parts]
        return Rows(self.kept, np.concatenate(rows))

    def rows(self, texts: list[str], role: str, task: TaskMetadata | None) -> Rows:
        """Where the vectors of texts are kept, the new ones embedded first."""
        prompt, side = self.prompt(role, task), role if role != TEXT and self.opened().has_sides else ""
        keys = keys_of(texts, prompt, side)
        new = np.flatnonzero(self.kept.rows(keys) < 0)
        if len(new):
            new = new[np.unique(keys[new], axis=0, return_index=True)[1]]
            self.keep(keys[new], [texts[row] for row in new], prompt, side)
        return Rows(self.kept, self.kept.rows(keys))

    def keep(self, keys: np.ndarray, texts: list[str], prompt: str, side: str) -> None:
        """Embed texts into the store."""
        done = 0
        with Progress("embed", len(texts)) as progress, Gathering(self.kept) as gathering:
            for rows, vectors in self.embedded(texts, prompt, side):
                check_finite(vectors, texts, rows)
                gathering.take(keys[rows], vectors)
                done += len(rows)
                if len(texts) >= MANY:
                    progress.show(done, model=self.name)

    def embedded(
        self, texts: Sequence[str], prompt: str, side: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(which texts, their vectors) batch by batch, here or by the helpers."""
        embedder = self.opened()
        batches = embedder.batches(texts, prompt, BUDGETS.get(self.device.type, OTHER_BUDGET))
        if self.several:
            yield from self.several.embedded(batches, prompt, side)
        else:
            for rows, items in batches:
                yield rows, embedder.embed(items, prompt, side)

    def scores(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """(Q, D), (N, D) -> (Q, N) by the model's own similarity, cosine for this project's encoders."""
        return self.block_scores(queries, passages).cpu().numpy()

    def block_scores(self, queries: np.ndarray, passages: np.ndarray) -> Tensor:
        """The same, left on the accelerator if there is one."""
        compared = (torch.as_tensor(each).to(self.device) for each in (queries, passages))
        return self.opened().model.similarity(*compared)

    def similarity_pairwise(self, embeddings1: np.ndarray, embeddings2: np.ndarray) -> np.ndarray:
        """(N, D), (N, D) -> (N,) by the model's own similarity."""
        return self.opened().model.similarity_pairwise(embeddings1, embeddings2).numpy()


def prompt_names(role: str, task: TaskMetadata | None) -> list[str]:
    """The names under which a prompt for a role is looked for, most specific first."""
    roles = PROMPTS.get(role, ())
    names = []
    for of in (task.name, task.type) if task else ():
        names += [f"{of}-{role}", of] if roles else [of]
    return [*names, *roles]


def check_finite(vectors: np.ndarray, texts: Sequence[str], rows: np.ndarray) -> None:
    """ValueError with the first text whose vector is not finite."""
    wrong = ~np.isfinite(vectors).all(axis=1)
    if wrong.any():
        text = texts[rows[wrong.argmax()]]
        raise ValueError(
            f"the vector of {text[:40]!r} is not finite: the model's training has diverged, or it overflows "
            'in half precision; take another checkpoint, or precision "float32"'
        )
