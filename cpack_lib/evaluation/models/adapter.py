"""What mteb asks of a model, on top of one question: the vectors of some texts in a role.

Axes: Q queries, N passages, D width (the size of the vocabulary for sparse vectors).
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from datasets import Dataset
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import ModelMeta
from mteb.types import PromptType
from scipy.sparse import issparse, spmatrix
from torch import Tensor

from cpack_lib.evaluation.models.searching import best_passages
from cpack_lib.evaluation.tasks.texts import passage_texts

QUERY, DOCUMENT, TEXT = "query", "document", "text"  # two of a search; and everything else
QUERIES_PER_CHUNK = 1_024  # whose found passages are turned into dictionaries at once

Vectors = np.ndarray | spmatrix


class Passages(Protocol):
    """Vectors (N, D) of which a part can be had: an array, a sparse matrix, or rows of a store."""

    shape: tuple[int, int]

    def __getitem__(self, which: slice | list[int]) -> Vectors: ...


class Adapter:
    """A model that mteb runs on all six types. A subclass gives `vectors` and `scores`.

    `fingerprint` stands for its weights: results of other weights under the same name are not reused.
    `revision` is the hub's commit of a model that came from there.
    """

    def __init__(self, name: str, fingerprint: str, revision: str | None = None):
        self.name, self.fingerprint = name, fingerprint
        plain = name.partition("@")[0] if revision else name
        owner_and_name = plain if plain.count("/") == 1 else f"local/{plain.replace('/', '-')}"
        facts = {"name": owner_and_name, "revision": revision or fingerprint}
        self.mteb_model_meta = ModelMeta.create_empty(facts)

    def vectors(self, texts: list[str], role: str) -> Vectors:
        """(N, D) vectors of the texts in a role."""
        raise NotImplementedError

    def task_vectors(self, texts: list[str], role: str, task: TaskMetadata | None) -> Vectors:
        """The same for a task; a model that treats all tasks alike need not care."""
        return self.vectors(texts, role)

    def indexed(self, corpus: Dataset, task: TaskMetadata | None) -> Passages:
        """(N, D) vectors of a corpus, to be searched."""
        return self.task_vectors(passage_texts(corpus), DOCUMENT, task)

    def scores(self, queries: Vectors, passages: Vectors) -> np.ndarray:
        """(Q, D), (N, D) -> (Q, N): how well each passage answers each query."""
        raise NotImplementedError

    def block_scores(self, queries: Vectors, passages: Vectors) -> Tensor:
        """The same as a tensor, where it was computed."""
        return torch.from_numpy(self.scores(queries, passages))

    def prepare(self, task) -> None:
        """Look at a task's texts before it runs (their statistics, for lexical models)."""

    def release(self) -> None:
        """Give back the memory of weights and vectors."""

    # mteb's EncoderProtocol

    def encode(
        self,
        inputs,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> Vectors:
        """The vectors of a data loader's texts; mteb calls this outside of searches."""
        role = prompt_type.value if prompt_type else TEXT
        return self.task_vectors(list(inputs.dataset["text"]), role, task_metadata)

    def similarity(self, embeddings1: Vectors, embeddings2: Vectors) -> Tensor:
        """(Q, D), (N, D) -> (Q, N) scores; of two single vectors (1, 1), which mteb turns into a number."""
        sides = (each if issparse(each) else np.atleast_2d(each) for each in (embeddings1, embeddings2))
        return self.block_scores(*sides)

    def similarity_pairwise(self, embeddings1: Vectors, embeddings2: Vectors) -> np.ndarray:
        """(N, D), (N, D) -> (N,) dot products of the rows."""
        multiply = embeddings1.multiply if issparse(embeddings1) else embeddings1.__mul__
        return np.asarray(multiply(embeddings2).sum(axis=1)).ravel()

    # mteb's SearchProtocol

    def index(self, corpus: Dataset, *, task_metadata: TaskMetadata | None = None, **asked: object) -> None:
        """Take the corpus of the search that follows; of what mteb says beside it, only the task counts."""
        self.ids, self.passages = list(corpus["id"]), self.indexed(corpus, task_metadata)

    def search(
        self,
        queries: Dataset,
        *,
        top_k: int,
        task_metadata: TaskMetadata | None = None,
        top_ranked: dict | None = None,
        **asked: object,
    ) -> dict[str, dict[str, float]]:
        """{query id: {passage id: score}} of the best `top_k`, or of its candidates; `found` keeps it.

        A passage with the query's own id does not count towards `top_k`, because some tasks then drop it.
        """
        qids, vectors = list(queries["id"]), self.task_vectors(list(queries["text"]), QUERY, task_metadata)
        if top_ranked is None:
            self.found = dict(self.rank_corpus(qids, vectors, top_k))
        else:
            self.found = self.rank_candidates(qids, vectors, top_ranked)
        return self.found

    def rank_corpus(self, qids: list[str], vectors: Vectors, top_k: int) -> Iterator[tuple[str, dict]]:
        """Each query with the best of the whole corpus."""
        scores, columns = best_passages(self.block_scores, vectors, self.passages, top_k + 1)  # (Q, k) each
        for start in range(0, len(qids), QUERIES_PER_CHUNK):
            rows = slice(start, start + QUERIES_PER_CHUNK)
            for qid, values, places in zip(
                qids[rows], scores[rows].tolist(), columns[rows].tolist(), strict=True
            ):
                found = {self.ids[place]: value for place, value in zip(places, values, strict=True)}
                if len(found) > top_k and qid not in found:
                    del found[self.ids[places[-1]]]
                yield qid, found

    def rank_candidates(self, qids: list[str], vectors: Vectors, candidates: dict) -> dict[str, dict]:
        """Score each query's own candidates."""
        place = {pid: row for row, pid in enumerate(self.ids)}
        found = {}
        for row, qid in enumerate(qids):
            pids = candidates[qid]
            scores = self.scores(vectors[row : row + 1], self.passages[[place[pid] for pid in pids]])
            found[qid] = dict(zip(pids, scores[0].tolist(), strict=True))
        return found
