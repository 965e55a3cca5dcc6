"""Exact search: the best passages of each query, over blocks of both, so that few scores are held at once.

Axes: Q queries, N passages, k passages kept of each query.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

QUERIES, PASSAGES = 1_024, 16_384  # of a block: 64 MiB of scores


def best_passages(
    score: Callable[[Any, Any], Tensor], queries: Any, passages: Any, top_k: int
) -> tuple[Tensor, Tensor]:
    """Scores (Q, k) float32, best first, and which passages they are (Q, k) int32; k is at most N.

    `score` gives the scores (q, n) of a slice of the queries and a slice of the passages. Each passage is
    sliced once, and of the scores only the best so far and those of one block are held. Among equal scores
    at the end of the list it is not said which stay.
    """
    Q, N = queries.shape[0], passages.shape[0]
    top_k = min(top_k, N)
    best = torch.full((Q, top_k), -torch.inf)
    which = torch.zeros((Q, top_k), dtype=torch.int32)
    for left in range(0, N, PASSAGES):
        block = passages[left : left + PASSAGES]
        for top in range(0, Q, QUERIES):
            rows = slice(top, top + QUERIES)
            merge(score(queries[rows], block), left, best[rows], which[rows])
    return best, which


def merge(scores: Tensor, left: int, best: Tensor, which: Tensor) -> None:
    """Put the scores (q, n) of passages `left` and following among the best so far, in place."""
    held = min(left, best.shape[1])  # the rest is still to be filled
    candidates = torch.cat([best[:, :held].to(scores.device), scores], dim=1)
    kept = min(best.shape[1], candidates.shape[1])
    values, places = torch.topk(candidates, kept, dim=1)
    values, places = values.cpu(), places.cpu()
    known = which[:, :held].gather(1, places.clamp(max=max(held - 1, 0))) if held else which[:, :kept]
    which[:, :kept] = torch.where(places < held, known, (places - held + left).int())
    best[:, :kept] = values
