"""The contrast: every query against all passages of a step, and a gradient cache for steps of any size.

Axes: Q queries, P passages, D width, C rows of a chunk.  Loss: C-Pack, section 3.2; cache: Gao et al. 2021
(arXiv 2101.06983).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cpack_lib.training.clock import IDLE, Clock

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
) -> Tensor:
    """Mean over Q queries (Q, D) of -log softmax over P passages (P, D) of cosine / temperature: float32, ().

    Query i belongs to passage `targets[i]`, i · P/Q where none are given: a positive and its negatives stand
    together. `rows` (R,) takes the part of these queries alone, still a share of the mean over all Q: the
    parts of several processes add up to the whole. `both_ways` averages with the loss of each positive among
    all queries.

    Left out as no negatives: by `texts` (P,) and `query_texts` (Q,), int64 hashes, what repeats the positive,
    the query or an answer to it; by `margin`, cosines that much above the positive's; by `guide`, a frozen
    encoder's embeddings (Q, E), (P, E), what it ranks above the positive (GISTEmbed, arXiv 2402.16829).
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; cosines are divided by it, so it is positive")
    Q = len(queries)
    own = torch.arange(Q, device=queries.device)
    targets = shared_out(own, len(passages)) if targets is None else targets
    rows = own if rows is None else rows
    query_texts = texts[targets] if texts is not None and query_texts is None else query_texts
    queries, passages = queries.float(), passages.float()
    guards = guarded(targets, texts, query_texts, margin, guide)
    loss = Contrast.apply(queries, passages, targets, rows, guards, temperature, rows_per_chunk)
    if both_ways:
        mirrored = (None, None) if texts is None else (query_texts, texts[targets])
        guards = guarded(own, *mirrored, margin, None if guide is None else (guide[1][targets], guide[0]))
        back = Contrast.apply(passages[targets], queries, own, rows, guards, temperature, rows_per_chunk)
        loss = (loss + back) / 2
    return loss / max(1, Q)


def shared_out(own: Tensor, P: int) -> Tensor:
    """The first passage of each query, (Q,) numbers in and out, if P passages share out evenly."""
    Q = len(own)
    if P < Q or (Q and P % Q):
        raise ValueError(f"{P} passages do not share out over {Q} queries; give targets")
    return own * (P // max(1, Q))


def guarded(
    targets: Tensor,
    texts: Tensor | None,
    query_texts: Tensor | None,
    margin: float | None,
    guide: tuple[Tensor, Tensor] | None,
) -> list[Guard]:
    """The guards that are asked for."""
    return [
        *([] if texts is None else [repeats(texts, query_texts, targets)]),
        *([] if margin is None else [closer_than_the_positive(targets, margin)]),
        *([] if guide is None else [closer_to_a_guide(*guide, targets)]),
    ]


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


def plain_backward(
    embed: Callable[[int], Tensor],
    chunks: Sequence[Tensor],
    loss: Callable[[Tensor], Tensor],
    count: int,
    clock: Clock = IDLE,
) -> tuple[Tensor, Tensor]:
    """Embed everything once with its graph, and back-propagate: the loss () and the embeddings (N, D).

    `embed(c)` gives the rows of chunk c; `chunks[c]` tells where among the N = `count` they belong.
    """
    with clock("embed"):
        embeddings = ordered([embed(c) for c in range(len(chunks))], chunks, count)
    with clock("loss"):
        value, gradient = value_and_gradient(loss, embeddings)
    with clock("embed again"):
        embeddings.backward(gradient)
    return value, embeddings.detach()


def cached_backward(
    embed: Callable[[int], Tensor],
    chunks: Sequence[Tensor],
    loss: Callable[[Tensor], Tensor],
    count: int,
    clock: Clock = IDLE,
) -> tuple[Tensor, Tensor]:
    """As `plain_backward`, with the memory of one chunk: embed twice, and bring the gradient from the first.

    The second time, each chunk starts from the random state it had the first time, so dropout drops the same.
    """
    states, found = [], []
    with clock("embed"), torch.no_grad():
        for c in range(len(chunks)):
            states.append(random_state())
            found.append(embed(c))
        embeddings = ordered(found, chunks, count)
    with clock("loss"):
        value, gradient = value_and_gradient(loss, embeddings)
    after = random_state()
    with clock("embed again"):
        for c, rows in enumerate(chunks):
            restore(states[c])
            embed(c).backward(gradient[rows])
    restore(after)
    return value, embeddings


def value_and_gradient(loss: Callable[[Tensor], Tensor], embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """The loss () of embeddings (N, D), and its gradient for them."""
    leaf = embeddings.detach().requires_grad_()
    value = loss(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def ordered(found: Sequence[Tensor], chunks: Sequence[Tensor], count: int) -> Tensor:
    """The rows of all chunks in the order of the texts: (N, D)."""
    if sum(map(len, chunks)) != count:
        raise ValueError(f"chunks hold {sum(map(len, chunks))} texts, {count} expected")
    back = torch.empty(count, dtype=torch.long)
    back[torch.cat(list(chunks))] = torch.arange(count)
    return torch.cat(list(found))[back.to(found[0].device)]


def random_state() -> tuple[Tensor, Tensor | None]:
    """The random state of this process, on the CPU and on its GPU."""
    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None


def restore(state: tuple[Tensor, Tensor | None]) -> None:
    """Go back to a random state."""
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
