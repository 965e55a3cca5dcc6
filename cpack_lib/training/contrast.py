"""The contrast: every query against all passages of a step, and a gradient cache for steps of any size.

Axes: Q queries, P passages, D width, C rows of a chunk.  Loss: C-Pack, section 3.2; cache: Gao et al. 2021
(arXiv 2101.06983).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

ROWS_PER_CHUNK = 256


class Contrast(torch.autograd.Function):
    """Mean cross-entropy of each query's target among all passages; no Q × P matrix outlives a chunk.

    The gradient of a softmax is known with its value, so both are made chunk by chunk in the forward pass.
    """

    @staticmethod
    def forward(ctx, queries, passages, targets, hidden, temperature, rows_per_chunk):
        """(Q, D), (P, D), (Q,), hidden(rows) -> (C, P) bool or None -> loss ()."""
        to_queries, to_passages = torch.empty_like(queries), torch.zeros_like(passages)
        loss = queries.new_zeros(())
        for rows in torch.arange(len(queries), device=queries.device).split(rows_per_chunk):
            scores = queries[rows] @ passages.T / temperature  # (C, P)
            if hidden is not None:
                scores.masked_fill_(hidden(rows), -torch.inf)
            total = scores.logsumexp(dim=1)  # (C,)
            loss += (total - scores.gather(1, targets[rows, None])[:, 0]).sum()
            scores.sub_(total[:, None]).exp_()  # the softmax, in place
            scores[torch.arange(len(rows), device=rows.device), targets[rows]] -= 1.0
            to_queries[rows] = scores @ passages
            to_passages += scores.T @ queries[rows]
        share = 1.0 / (temperature * max(1, len(queries)))
        ctx.save_for_backward(to_queries.mul_(share), to_passages.mul_(share))
        return loss / max(1, len(queries))

    @staticmethod
    def backward(ctx, upstream):
        to_queries, to_passages = ctx.saved_tensors
        return to_queries * upstream, to_passages * upstream, None, None, None, None


def contrastive_loss(
    queries: Tensor,
    passages: Tensor,
    temperature: float,
    targets: Tensor | None = None,
    texts: Tensor | None = None,
    both_ways: bool = False,
    rows_per_chunk: int = ROWS_PER_CHUNK,
    query_texts: Tensor | None = None,
) -> Tensor:
    """Mean over Q queries (Q, D) of -log softmax over P passages (P, D) of cosine / temperature: float32, ().

    Query i belongs to passage `targets[i]`, i · P/Q where none are given: a positive and its negatives stand
    together. `texts` (P,) and `query_texts` (Q,) are hashes, int64: a passage is left out, as no negative, if
    it repeats the positive or the query, or answers another query of the same text. `both_ways` averages with
    the loss of each positive among all queries.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; cosines are divided by it, so it is positive")
    Q, P = len(queries), len(passages)
    if targets is None:
        if P < Q or (Q and P % Q):
            raise ValueError(f"{P} passages do not share out over {Q} queries; give targets")
        targets = torch.arange(Q, device=queries.device) * (P // max(1, Q))
    queries, passages = queries.float(), passages.float()
    if texts is not None and query_texts is None:
        query_texts = texts[targets]
    hidden = None if texts is None else repeats(texts, query_texts, targets)
    forward = Contrast.apply(queries, passages, targets, hidden, temperature, rows_per_chunk)
    if not both_ways:
        return forward
    own = torch.arange(Q, device=queries.device)
    hidden = None if texts is None else repeats(query_texts, texts[targets], own)
    backward = Contrast.apply(passages[targets], queries, own, hidden, temperature, rows_per_chunk)
    return (forward + backward) / 2


def repeats(passages: Tensor, queries: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
    """Rows -> (C, P) bool: passages that are no negatives of their query, but for its positive.

    They repeat the positive, or the query, or are the positive of another query with its text.
    """
    asked = passages.index_copy(0, targets, queries)  # (P,) the query a passage answers, if it answers one

    def hidden(rows: Tensor) -> Tensor:
        positive, query = passages[targets[rows], None], queries[rows, None]  # (C, 1)
        same = (passages == positive) | (passages == query) | (asked == query)  # (C, P)
        same[torch.arange(len(rows), device=rows.device), targets[rows]] = False
        return same

    return hidden


def plain_backward(
    embed: Callable[[int], Tensor], chunks: Sequence[Tensor], loss: Callable[[Tensor], Tensor], count: int
) -> tuple[Tensor, Tensor]:
    """Embed everything once with its graph, and back-propagate: the loss () and the embeddings (N, D).

    `embed(c)` gives the rows of chunk c; `chunks[c]` tells where among the N = `count` they belong.
    """
    found = [embed(c) for c in range(len(chunks))]
    embeddings = ordered(found, chunks, count)
    value = loss(embeddings)
    value.backward()
    return value.detach(), embeddings.detach()


def cached_backward(
    embed: Callable[[int], Tensor], chunks: Sequence[Tensor], loss: Callable[[Tensor], Tensor], count: int
) -> tuple[Tensor, Tensor]:
    """As `plain_backward`, with the memory of one chunk: embed twice, and bring the gradient from the first.

    The second time, each chunk starts from the random state it had the first time, so dropout drops the same.
    """
    states, found = [], []
    with torch.no_grad():
        for c in range(len(chunks)):
            states.append(random_state())
            found.append(embed(c))
    embeddings = ordered(found, chunks, count).requires_grad_()
    value = loss(embeddings)
    (gradient,) = torch.autograd.grad(value, embeddings)
    after = random_state()
    for c, rows in enumerate(chunks):
        restore(states[c])
        (embed(c) * gradient[rows]).sum().backward()
    restore(after)
    return value.detach(), embeddings.detach()


def ordered(found: Sequence[Tensor], chunks: Sequence[Tensor], count: int) -> Tensor:
    """The rows of all chunks in the order of the texts: (N, D)."""
    if sum(map(len, chunks)) != count:
        raise ValueError(f"chunks hold {sum(map(len, chunks))} texts, {count} expected")
    back = torch.empty(count, dtype=torch.long)
    back[torch.cat(list(chunks))] = torch.arange(count)
    return torch.cat(list(found))[back.to(found[0].device)]


def random_state() -> tuple[Tensor, list[Tensor]]:
    """The random state of this process, on the CPU and on its GPUs."""
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def restore(state: tuple[Tensor, list[Tensor]]) -> None:
    """Go back to a random state."""
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])
