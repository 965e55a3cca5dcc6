"""How weights are changed: AdamW, its learning rate over the steps, clipping."""

import math

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from cpack_lib.training.settings import Settings

MATRIX = 2  # axes of a weight that decays; biases and LayerNorm have one


class NotFinite(FloatingPointError):
    """A loss or a gradient that is no number: `NotFinite(loss, norm)`."""


def new_optimizer(model: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW; only matrices decay."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in weights if w.dim() >= MATRIX], "weight_decay": settings.weight_decay},
        {"params": [w for w in weights if w.dim() < MATRIX], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, fused=True)


def change_weights(
    model: nn.Module, optimizer: torch.optim.Optimizer, settings: Settings, step: int, loss: float
) -> dict[str, float]:
    """Clip the gradients and take the step: the rate and the norm before clipping, for the log.

    NotFinite, and no weight is changed, where the loss or the norm is no number.
    """
    norm = float(clip_grad_norm_(model.parameters(), settings.gradient_norm))
    if not math.isfinite(loss) or not math.isfinite(norm):
        raise NotFinite(loss, norm)
    rate = settings.learning_rate * schedule(step, settings.steps, settings.warmup_share, settings.schedule)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return {"learning_rate": rate, "gradient_norm": norm}


def schedule(step: int, steps: int, warmup_share: float, form: str = "linear") -> float:
    """Share of the peak learning rate at a step counted from 0: up linearly, then down to 0 in a form."""
    warmup = max(1, round(steps * warmup_share))
    left = (steps - step) / max(1, steps - warmup + 1)
    if form == "cosine":
        left = (1 - math.cos(math.pi * min(left, 1.0))) / 2
    return min((step + 1) / warmup, left)
