"""Distillation: what a teacher thinks of some passages, as a distribution that the student is drawn to.

Axes: Q queries, P passages, D width, E width of a teacher, C rows of a chunk.  Loss: the divergence of Hinton
et al. 2015 (arXiv 1503.02531), over lists of passages as in Lin et al. 2020 (arXiv 2010.11386).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cpack_lib.training.contrast import ROWS_PER_CHUNK, check_temperature, outside_the_group, single

Taught = Callable[[Tensor], Tensor]  # rows (C,) -> the teacher's scores (C, P), -inf where none is compared


class Divergence(torch.autograd.Function):
    """Sum over some queries of KL(teacher ‖ student); no Q × P matrix outlives a chunk.

    As in `contrast.Contrast`, value and gradient are made together, chunk by chunk.
    """

    @staticmethod
    def forward(ctx, queries, passages, rows, taught, temperature, rows_per_chunk):
        """(Q, D), (P, D), rows (R,) of the queries, what they are taught -> loss ()."""
        to_queries, to_passages = torch.zeros_like(queries), torch.zeros_like(passages)
        loss = queries.new_zeros(())
        for some in rows.split(rows_per_chunk):
            wanted = taught(some).to(queries.dtype)  # (C, P)
            scores = queries[some] @ passages.T / temperature
            found = scores.masked_fill_(wanted == -torch.inf, -torch.inf).log_softmax(dim=1)
            wanted = wanted.log_softmax(dim=1)
            share = wanted.exp()
            loss += share.mul(wanted - found).masked_fill_(share == 0, 0.0).sum()
            pull = found.exp_().sub_(share)
            to_queries[some] = pull @ passages
            to_passages.addmm_(pull.T, queries[some])
        ctx.save_for_backward(to_queries.div_(temperature), to_passages.div_(temperature))
        return loss

    @staticmethod
    def backward(ctx, upstream):
        to_queries, to_passages = ctx.saved_tensors
        return to_queries * upstream, to_passages * upstream, None, None, None, None


def distillation_loss(
    queries: Tensor,
    passages: Tensor,
    temperature: float,
    taught: Taught,
    rows: Tensor | None = None,
    rows_per_chunk: int = ROWS_PER_CHUNK,
) -> Tensor:
    """Mean over Q queries (Q, D) of KL(teacher ‖ student) over the passages (P, D) they are taught about: ().

    The student's distribution is the softmax of cosine / temperature, as in the contrast; the teacher's is
    that of what `taught` gives. There is no factor temperature², which would make this loss small beside the
    contrast. `rows` (R,) takes the part of these queries, a share of the mean over all. A query with a single
    passage has nothing to learn and costs nothing.
    """
    check_temperature(temperature)
    Q = len(queries)
    rows = torch.arange(Q, device=queries.device) if rows is None else rows
    queries, passages = single(queries), single(passages)
    return Divergence.apply(queries, passages, rows, taught, temperature, rows_per_chunk) / max(1, Q)


def by_scores(scores: Tensor, targets: Tensor, temperature: float) -> Taught:
    """A teacher's scores (P,), each for the query whose group its passage is in, divided by a temperature.

    A group goes from its target up to the next: targets (Q,) ascend.
    """
    elsewhere = outside_the_group(targets, torch.ones_like(targets, dtype=torch.bool), len(scores))
    scores = scores / temperature

    def taught(rows: Tensor) -> Tensor:
        return scores.expand(len(rows), -1).masked_fill(elsewhere(rows, None), -torch.inf)

    return taught


def by_encoder(
    queries: Tensor, passages: Tensor, targets: Tensor, temperature: float, alone: Tensor | None = None
) -> Taught:
    """The cosines of a teacher's embeddings (Q, E), (P, E), divided by a temperature.

    Over all passages, or over their own group's for the queries that are `alone` (Q,).
    """
    elsewhere = None if alone is None else outside_the_group(targets, alone, len(passages))

    def taught(rows: Tensor) -> Tensor:
        scores = queries[rows] @ passages.T / temperature  # (C, P)
        return scores if elsewhere is None else scores.masked_fill_(elsewhere(rows, None), -torch.inf)

    return taught
