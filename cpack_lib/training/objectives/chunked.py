"""Chunks of a step: which texts are embedded together, and in which precision."""

import numpy as np
import torch
from torch import Tensor

from cpack_lib.model.tokens import chunks


def cut(lengths: np.ndarray, budget: int) -> list[Tensor]:
    """Chunks under a token budget; an empty one where there is no text: every process takes part."""
    return [torch.from_numpy(part) for part in chunks(lengths, budget)] or [torch.zeros(0, dtype=torch.long)]


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Matrix products in bfloat16 where it is asked for."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
