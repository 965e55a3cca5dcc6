"""Several processes as one: who embeds which texts, and the three collectives of a step.

One gather of embeddings, one reduction of their gradients, one sum of the weights' gradients, however a step
is cut into chunks. What decides who does what is known to all beforehand, so no sizes are sent.

Axes: W processes, N texts of a step, n of them on this process, D width.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from cpack_lib.work.tied import tie_to


@dataclass(frozen=True)
class Ranks:
    """This process among `size`; alone, nothing is sent."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    def shares(self, costs: Sequence[int]) -> list[np.ndarray]:
        """The texts of each process, W arrays of indices into (N,) costs: dealt out from the dearest on."""
        order = np.argsort(-np.asarray(costs), kind="stable")
        return [order[rank :: self.size] for rank in range(self.size)]

    def own(self, Q: int) -> Tensor:
        """The queries whose loss this process computes, of Q: every W-th, perhaps none."""
        return torch.arange(Q)[self.rank :: self.size]

    def everything(self, mine: Tensor, shares: Sequence[np.ndarray]) -> Tensor:
        """Rows of this process (n, D) -> all rows (N, D) in the order of the texts, differentiable."""
        return Everything.apply(mine, self, shares)

    def sum_gradients(self, model: nn.Module, numbers: Sequence[float]) -> list[float]:
        """Add up the weights' gradients, and some numbers with them, over all processes."""
        if self.size == 1:
            return list(numbers)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        for weight in weights:
            if weight.grad is None:  # no text fell to this process
                weight.grad = torch.zeros_like(weight)
        told = torch.tensor(numbers, dtype=torch.float32, device=self.device)
        flat = torch.cat([*(weight.grad.flatten() for weight in weights), told])
        dist.all_reduce(flat)
        for weight, part in zip(weights, flat.split([*map(Tensor.numel, weights), len(told)]), strict=False):
            weight.grad.copy_(part.view_as(weight))
        return flat[len(flat) - len(told) :].tolist()

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            dist.barrier()


ALONE = Ranks()


class Everything(torch.autograd.Function):
    """Gather rows of all processes; backwards, bring each row's summed gradient to the process it is from."""

    @staticmethod
    def forward(ctx, mine: Tensor, ranks: Ranks, shares: Sequence[np.ndarray]) -> Tensor:
        ctx.ranks, ctx.shares = ranks, shares
        longest = max(map(len, shares))
        found = mine
        if ranks.size > 1:
            padded = mine.new_zeros(longest, mine.shape[1])
            padded[: len(mine)] = mine
            found = mine.new_empty(ranks.size * longest, mine.shape[1])
            dist.all_gather_into_tensor(found, padded)
        rows = mine.new_empty(sum(map(len, shares)), mine.shape[1])
        for rank, share in enumerate(shares):
            rows[torch.from_numpy(share).to(mine.device)] = found[rank * longest :][: len(share)]
        return rows

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        ranks, shares = ctx.ranks, ctx.shares
        longest, n = max(map(len, shares)), len(shares[ranks.rank])
        padded = gradient.new_zeros(ranks.size * longest, gradient.shape[1])
        for rank, share in enumerate(shares):
            padded[rank * longest :][: len(share)] = gradient[torch.from_numpy(share).to(gradient.device)]
        if ranks.size == 1:
            return padded, None, None
        summed = gradient.new_empty(longest, gradient.shape[1])
        dist.reduce_scatter_tensor(summed, padded)
        return summed[:n], None, None


def join() -> Ranks:
    """The processes that torchrun started (gloo on CPUs, nccl on GPUs), or this one alone.

    torchrun gives each a session of its own: none outlives it, even where it was killed.
    """
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    gpus = torch.cuda.device_count()
    device = (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % gpus) if gpus else torch.device("cpu")
    )
    if gpus:
        torch.cuda.set_device(device)
    if size > 1:
        tie_to(os.getppid(), signal.SIGKILL)
        dist.init_process_group("nccl" if gpus else "gloo")
    return Ranks(rank, size, device)


def leave() -> None:
    """End what `join` began."""
    if dist.is_initialized():
        dist.destroy_process_group()
