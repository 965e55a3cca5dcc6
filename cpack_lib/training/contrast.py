"""The contrast: every query of a step against all its passages, in chunks of rows.

Axes: Q queries, P passages, D width, C rows of a chunk.  Loss: C-Pack, section 3.2.
"""

from collections.abc import Callable

import torch
from torch import Tensor

ROWS_PER_CHUNK = 256
Guard = Callable[[Tensor, Tensor], Tensor]  # rows (C,), their scores (C, P) -> which are no negatives (C, P)


class Contrast(torch.autograd.Function):
    """Sum of some queries' cross-entropies among all passages; no Q × P matrix outlives a chunk.

    The gradient of a softmax is known with its value, so both are made chunk by chunk in the forward pass.
    """

    @staticmethod
    def forward(ctx, queries, passages, targets, rows, guards, temperature, rows_per_chunk):
        """(Q, D), (P, D), (Q,), rows (R,) of the queries, guards -> loss ()."""
        to_queries, to_passages = torch.zeros_like(queries), torch.zeros_like(passages)
        loss = queries.new_zeros(())
        for some in rows.split(rows_per_chunk):
            scores = queries[some] @ passages.T / temperature  # (C, P)
            wanted = targets[some, None]  # (C, 1)
            for guard in guards:
                scores.masked_fill_(guard(some, scores * temperature), -torch.inf)
            total = scores.logsumexp(dim=1, keepdim=True)  # (C, 1)
            loss += (total - scores.gather(1, wanted)).sum()
            scores.sub_(total).exp_()  # the softmax, in place
            scores.scatter_add_(1, wanted, scores.new_full(wanted.shape, -1.0))
            to_queries[some] = scores @ passages
            to_passages.addmm_(scores.T, queries[some])
        ctx.save_for_backward(to_queries.div_(temperature), to_passages.div_(temperature))
        return loss

    @staticmethod
    def backward(ctx, upstream):
        to_queries, to_passages = ctx.saved_tensors
        return to_queries * upstream, to_passages * upstream, None, None, None, None, None


def contrastive_loss(
    queries: Tensor,
    passages: Tensor,
    temperature: float,
    targets: Tensor | None = None,
    texts: Tensor | None = None,
    both_ways: bool = False,
    rows_per_chunk: int = ROWS_PER_CHUNK,
    query_texts: Tensor | None = None,
    rows: Tensor | None = None,
    margin: float | None = None,
    guide: tuple[Tensor, Tensor] | None = None,
    alone: Tensor | None = None,
) -> Tensor:
    """Mean over Q queries (Q, D) of -log softmax over P passages (P, D) of cosine / temperature: float32, ().

    Query i belongs to passage `targets[i]`, i · P/Q where none are given: a positive and its negatives stand
    together. `rows` (R,) takes the part of these queries alone, a share of the mean over all Q. `both_ways`
    averages with the loss of each positive among all queries.

    Left out as no negatives: by `texts` (P,) and `query_texts` (Q,), int64 hashes, what repeats the positive,
    the query or an answer to it; by `margin`, cosines that much above the positive's; by `guide`, a frozen
    encoder's embeddings (Q, E), (P, E), what it ranks above the positive (GISTEmbed, arXiv 2402.16829); for
    queries that are `alone` (Q,), every passage but those from its target up to the next (targets ascend).
    """
    check_temperature(temperature)
    Q, P, own = len(queries), len(passages), torch.arange(len(queries), device=queries.device)
    targets = shared_out(own, P) if targets is None else targets
    rows = own if rows is None else rows
    query_texts = texts[targets] if texts is not None and query_texts is None else query_texts
    queries, passages = single(queries), single(passages)
    guards = guarded(targets, texts, query_texts, margin, guide, alone, P)
    loss = Contrast.apply(queries, passages, targets, rows, guards, temperature, rows_per_chunk)
    if both_ways:
        mirrored = (None, None) if texts is None else (query_texts, texts[targets])
        turned = None if guide is None else (guide[1][targets], guide[0])
        guards = guarded(own, *mirrored, margin, turned, alone, Q)
        back = Contrast.apply(passages[targets], queries, own, rows, guards, temperature, rows_per_chunk)
        loss = (loss + back) / 2
    return loss / max(1, Q)


def check_temperature(temperature: float) -> None:
    """Refuse what cannot divide cosines."""
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; cosines are divided by it, so it is positive")


def shared_out(own: Tensor, P: int) -> Tensor:
    """The first passage of each query, (Q,) numbers in and out, if P passages share out evenly."""
    Q = len(own)
    if P < Q or (Q and P % Q):
        raise ValueError(f"{P} passages do not share out over {Q} queries; give targets")
    return own * (P // max(1, Q))


def single(embeddings: Tensor) -> Tensor:
    """Embeddings in float32, or in float64 where they are in it."""
    return embeddings if embeddings.dtype == torch.float64 else embeddings.float()


def guarded(
    targets: Tensor,
    texts: Tensor | None,
    query_texts: Tensor | None,
    margin: float | None,
    guide: tuple[Tensor, Tensor] | None,
    alone: Tensor | None,
    P: int,
) -> list[Guard]:
    """The guards that are asked for, over P passages."""
    return [
        *([] if texts is None else [repeats(texts, query_texts, targets)]),
        *([] if margin is None else [closer_than_the_positive(targets, margin)]),
        *([] if guide is None else [closer_to_a_guide(*guide, targets)]),
        *([] if alone is None else [outside_the_group(targets, alone, P)]),
    ]


def outside_the_group(targets: Tensor, alone: Tensor, P: int) -> Guard:
    """Passages of other groups, for the queries that are `alone` (Q,); a group goes up to the next target.

    In the other direction a group is one query, so its positive has nothing to lose to, and costs nothing.
    """
    if not (targets[1:] > targets[:-1]).all():
        raise ValueError("targets have to ascend where queries are contrasted with their own group alone")
    owner = torch.searchsorted(targets, torch.arange(P, device=targets.device), right=True) - 1  # (P,)

    def hidden(rows: Tensor, cosines: Tensor | None) -> Tensor:
        return alone[rows, None] & (owner != rows[:, None])  # (C, P)

    return hidden


def repeats(passages: Tensor, queries: Tensor, targets: Tensor) -> Guard:
    """Passages that repeat the positive, or the query, or are the positive of another query with its text.

    Not the positive itself. The cosines are not asked for.
    """
    asked = passages.index_copy(0, targets, queries)  # (P,) the query a passage answers, if it answers one

    def hidden(rows: Tensor, cosines: Tensor | None) -> Tensor:
        positive, query = passages[targets[rows], None], queries[rows, None]  # (C, 1)
        same = (passages == positive) | (passages == query) | (asked == query)  # (C, P)
        return same.scatter_(1, targets[rows, None], False)

    return hidden


def closer_than_the_positive(targets: Tensor, margin: float) -> Guard:
    """Passages whose cosine with the query is above the positive's by more than a margin."""

    def hidden(rows: Tensor, cosines: Tensor) -> Tensor:
        return cosines > cosines.gather(1, targets[rows, None]) + margin

    return hidden


def closer_to_a_guide(queries: Tensor, passages: Tensor, targets: Tensor) -> Guard:
    """Passages (P, E) that a guide puts closer to its query (Q, E) than the positive."""

    def hidden(rows: Tensor, cosines: Tensor) -> Tensor:
        told = queries[rows] @ passages.T  # (C, P)
        return told > told.gather(1, targets[rows, None])

    return hidden
