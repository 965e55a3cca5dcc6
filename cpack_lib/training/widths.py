"""Matryoshka: the first numbers of an embedding as an embedding of their own (arXiv 2205.13147).

Axes: N texts, D width, d fewer numbers of it.
"""

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn.functional import normalize


def cut_to(embeddings: Tensor, width: int) -> Tensor:
    """(N, D) -> (N, d), of length one again; all of it as it is."""
    D = embeddings.shape[1]
    if not 0 < width <= D:
        raise ValueError(f"no {width} numbers can be taken of embeddings of {D}; take 1 to {D}")
    return embeddings if width == D else normalize(embeddings[:, :width], dim=1)


def over_widths(
    embeddings: Tensor, widths: Mapping[int, float] | None, loss: Callable[[Tensor], Tensor]
) -> Tensor:
    """The mean of a loss over embeddings (N, D) cut to widths, weighted; without widths, of all of it: ()."""
    if not widths:
        return loss(embeddings)
    parts = [weight * loss(cut_to(embeddings, width)) for width, weight in widths.items()]
    return sum(parts) / sum(widths.values())
