"""A linear head on frozen vectors, trained by contrast: a training in seconds, for an experiment in a lesson.

The vectors of an encoder, or of no encoder, go through one matrix; that is all there is to learn. It has the
engine's loss, its batches without replacement, and Adam; no warm-up, no schedule.
Axes: N pairs, D width of the vectors, K width of the head, Q pairs of a step, G passages of a query.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from sklearn.feature_extraction.text import HashingVectorizer
from torch.nn.functional import normalize

from cpack_lib.training.contrast import contrastive_loss


def letters_of(texts: Sequence[str], among: Sequence[str], buckets: int) -> np.ndarray:
    """Texts as counts of their characters and pairs of characters: (N, buckets) float32, rows of length one.

    A count is the log of one plus itself, times its rarity `among` some texts; an encoder that knows nothing.
    """
    counter = HashingVectorizer(
        analyzer="char", ngram_range=(1, 2), n_features=buckets, alternate_sign=False, norm=None
    )
    stands_in = np.asarray((counter.transform(among) > 0).sum(axis=0))[0]
    counts = counter.transform(texts)
    counts.data = np.log1p(counts.data)
    weighed = counts.toarray() * np.log((len(among) + 1) / (stands_in + 1))
    return (weighed / np.maximum(np.linalg.norm(weighed, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def new_head(width: int, narrowed: int, seed: int = 0) -> np.ndarray:
    """A random matrix that keeps lengths on average: (D, K)."""
    draw = np.random.default_rng([seed, width, narrowed])
    return (draw.standard_normal((width, narrowed)) / narrowed**0.5).astype(np.float32)


def through(vectors: np.ndarray, head: np.ndarray) -> np.ndarray:
    """(N, D), (D, K) -> (N, K), each row of length one."""
    found = vectors @ head
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def batches(rows: int, size: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Rows of each step: every row once before any comes again; a step never holds one twice."""
    draw = np.random.default_rng([seed, rows, size])
    size, order = min(size, rows), np.empty(0, dtype=np.int64)
    for _ in range(steps):
        if len(order) < size:
            order = draw.permutation(rows)
        taken, order = order[:size], order[size:]
        yield taken


def train_head(
    head: np.ndarray,
    queries: np.ndarray,
    passages: np.ndarray,
    *,
    steps: int,
    rows_per_step: int,
    learning_rate: float = 0.01,
    temperature: float = 0.05,
    seed: int = 0,
) -> np.ndarray:
    """The head after some steps of in-batch contrast: (D, K), (N, D), (N, G, D) or (N, D) -> (D, K).

    Of G passages the first is a query's own, the others are known to be wrong; all of a step's passages are
    contrasted with all of its queries.
    """
    groups = torch.from_numpy(passages.reshape(len(queries), -1, queries.shape[1]))  # (N, G, D)
    asked, weight = torch.from_numpy(queries), torch.from_numpy(head.copy()).requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=learning_rate)
    for rows in batches(len(queries), rows_per_step, steps, seed):
        q = normalize(asked[rows] @ weight, dim=-1)  # (Q, K)
        p = normalize(groups[rows].flatten(0, 1) @ weight, dim=-1)  # (Q·G, K)
        optimizer.zero_grad()
        contrastive_loss(q, p, temperature, torch.arange(len(q)) * groups.shape[1]).backward()
        optimizer.step()
    return weight.detach().numpy()


def found_first(queries: np.ndarray, passages: np.ndarray, answers: np.ndarray | None = None) -> float:
    """How often the nearest passage is a right one: (Q, D), (P, D) -> a share.

    Query i's answer is passage i, or any passage whose number in `answers` (P,) equals that of passage i.
    """
    nearest = (queries @ passages.T).argmax(axis=1)
    own = np.arange(len(queries))
    return float(np.mean(nearest == own if answers is None else answers[nearest] == answers[own]))
