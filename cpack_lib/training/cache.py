"""The gradient cache: a step of any size in the memory of a part of it, exactly.

Texts are embedded without what the way back needs, the loss gives the gradient of every embedding, and then
each chunk is embedded again and takes its part of that gradient to the weights.  Gao et al. 2021 (arXiv
2101.06983). What fits into memory is kept from the first time, and not embedded again.

Axes: N texts of a step, D width.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from cpack_lib.training.clock import IDLE, Clock


def cached_backward(
    embed: Callable[[int], Tensor],
    chunks: Sequence[Tensor],
    loss: Callable[[Tensor], Tensor],
    count: int,
    kept: int = 0,
    clock: Clock = IDLE,
) -> tuple[Tensor, Tensor]:
    """Leave the gradients of a loss on the weights that embed: the loss () and the embeddings (N, D).

    `embed(c)` gives the rows of chunk c; `chunks[c]` tells where among the N = `count` they belong. The first
    `kept` chunks are embedded once, the others twice; the second time, each starts from the random state it
    had the first time, so dropout drops the same. Gradients are added up in the order of the chunks, so that
    they are the same bits for any `kept`.
    """
    states, found = [], []
    with clock("embed"):
        for c in range(len(chunks)):
            states.append(random_state())
            with nullcontext() if c < kept else torch.no_grad():
                found.append(embed(c))
        embeddings = ordered([rows.detach() for rows in found], chunks, count)
    with clock("loss"):
        value, gradient = value_and_gradient(loss, embeddings)
    after = random_state()
    for c, rows in enumerate(chunks):
        with clock("back" if c < kept else "embed again"):
            if c >= kept:
                restore(states[c])
                found[c] = embed(c)
            found[c].backward(gradient[rows.to(gradient.device)])
            found[c] = None  # frees what was kept for it
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
    everything = torch.cat(list(found))
    places = torch.cat(list(chunks)).to(everything.device)
    return torch.empty_like(everything).index_copy_(0, places, everything)


def random_state() -> tuple[Tensor, Tensor | None]:
    """The random state of this process, on the CPU and on its GPU."""
    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None


def restore(state: tuple[Tensor, Tensor | None]) -> None:
    """Go back to a random state."""
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
