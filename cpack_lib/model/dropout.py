"""Dropout that spends little on chance: 16 random bits decide over a number, four numbers from one draw.

On two CPU cores PyTorch's own draws one number at a time and took a fifth of a training step
(`python benchmarks/contrastive.py`); on a GPU it is as fast as any, and is used.
"""

import torch
from torch import Tensor, nn

LEVELS = 1 << 16  # as many chances as 16 bits tell apart
DRAWS = 4  # of 16 bits in one of 64


class Dropped(torch.autograd.Function):
    """Each number set to 0 by chance `share` (to the nearest of LEVELS), the others scaled up: same mean."""

    @staticmethod
    def forward(ctx, x: Tensor, share: float) -> Tensor:
        N, hidden = x.numel(), round(share * LEVELS)
        bits = torch.empty(-(-N // DRAWS), dtype=torch.int64).random_(-(1 << 63), None)
        kept = (bits.view(torch.int16)[:N] >= hidden - LEVELS // 2).view(x.shape)
        ctx.save_for_backward(kept)
        ctx.scale = LEVELS / (LEVELS - hidden)
        return x.mul(kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return gradient.mul(kept).mul_(ctx.scale), None


def dropped(x: Tensor, part: nn.Dropout) -> Tensor:
    """What `part` makes of x, any shape; the random state it draws from is PyTorch's own."""
    if x.device.type != "cpu" or not part.training or part.p in (0.0, 1.0):
        return part(x)
    return Dropped.apply(x, part.p)
