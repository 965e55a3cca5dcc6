"""What mteb asks of a model, on top of one question: the vectors of some texts in a role.

Axes: Q queries, N passages, D width (the size of the vocabulary for sparse vectors).
"""

import numpy as np
from datasets import Dataset
from mteb.models import ModelMeta
from scipy.sparse import issparse, spmatrix

from cpack_lib.evaluation.tasks.texts import passage_texts

QUERY, DOCUMENT, TEXT = "query", "document", "text"  # two of a search; and everything else
QUERIES_PER_CHUNK = 256  # whose scores are in memory at once

Vectors = np.ndarray | spmatrix


class Adapter:
    """A model that mteb runs on all six types. A subclass gives `vectors` and `scores`.

    `fingerprint` stands for its weights: results of other weights under the same name are not reused.
    """

    def __init__(self, name: str, fingerprint: str):
        self.name, self.fingerprint = name, fingerprint
        owner_and_name = name if name.count("/") == 1 else f"local/{name.replace('/', '-')}"
        self.mteb_model_meta = ModelMeta.create_empty({"name": owner_and_name, "revision": fingerprint})

    def vectors(self, texts: list[str], role: str) -> Vectors:
        """(N, D) vectors of the texts in a role."""
        raise NotImplementedError

    def scores(self, queries: Vectors, passages: Vectors) -> np.ndarray:
        """(Q, D), (N, D) -> (Q, N): how well each passage answers each query."""
        raise NotImplementedError

    def prepare(self, task) -> None:
        """Look at a task's texts before it runs (their statistics, for lexical models)."""

    def release(self) -> None:
        """Give back the memory of weights and vectors."""

    # mteb's EncoderProtocol

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs) -> Vectors:
        """The vectors of a data loader's texts; mteb calls this outside of searches."""
        return self.vectors(list(inputs.dataset["text"]), TEXT)

    def similarity(self, embeddings1: np.ndarray, embeddings2: np.ndarray) -> np.ndarray:
        """(Q, D), (N, D) -> (Q, N) scores."""
        return self.scores(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Vectors, embeddings2: Vectors) -> np.ndarray:
        """(N, D), (N, D) -> (N,) dot products of the rows."""
        multiply = embeddings1.multiply if issparse(embeddings1) else embeddings1.__mul__
        return np.asarray(multiply(embeddings2).sum(axis=1)).ravel()

    # mteb's SearchProtocol

    def index(self, corpus: Dataset, **asked: object) -> None:
        """Take the corpus of the search that follows; of what mteb says beside it, nothing is needed."""
        self.ids, self.passages = list(corpus["id"]), self.vectors(passage_texts(corpus), DOCUMENT)

    def search(
        self, queries: Dataset, *, top_k: int, top_ranked: dict | None = None, **asked: object
    ) -> dict[str, dict[str, float]]:
        """{query id: {passage id: score}} of the best `top_k`, or of its candidates; `found` keeps it."""
        qids, vectors = list(queries["id"]), self.vectors(list(queries["text"]), QUERY)
        if top_ranked is None:
            self.found = self.rank_corpus(qids, vectors, top_k)
        else:
            self.found = self.rank_candidates(qids, vectors, top_ranked)
        return self.found

    def rank_corpus(self, qids: list[str], vectors: Vectors, top_k: int) -> dict[str, dict[str, float]]:
        """Score the whole corpus for each query and keep the best."""
        found = {}
        for start in range(0, len(qids), QUERIES_PER_CHUNK):
            scores = self.scores(vectors[start : start + QUERIES_PER_CHUNK], self.passages)  # (Q, N)
            best = best_columns(scores, top_k)  # (Q, k)
            values = np.take_along_axis(scores, best, axis=1)
            for qid, columns, row in zip(qids[start:], best.tolist(), values.tolist(), strict=False):
                found[qid] = {self.ids[column]: value for column, value in zip(columns, row, strict=True)}
        return found

    def rank_candidates(self, qids: list[str], vectors: Vectors, candidates: dict) -> dict[str, dict]:
        """Score each query's own candidates."""
        place = {pid: row for row, pid in enumerate(self.ids)}
        found = {}
        for row, qid in enumerate(qids):
            pids = candidates[qid]
            scores = self.scores(vectors[row : row + 1], self.passages[[place[pid] for pid in pids]])
            found[qid] = dict(zip(pids, scores[0].tolist(), strict=True))
        return found


def best_columns(scores: np.ndarray, top_k: int) -> np.ndarray:
    """(Q, N) -> (Q, min(k, N)): the columns of the largest scores, unordered."""
    if top_k >= scores.shape[1]:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, -top_k, axis=1)[:, -top_k:]
