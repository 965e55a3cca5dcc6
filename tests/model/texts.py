"""Random texts for tests of RetroMAE, in the vocabulary of the fixture `language_model`."""

from dataclasses import dataclass

import torch
from torch import Tensor

V = 11  # words of the fixture `language_model`
CLS, SEP, MASK, PAD = 1, 2, 3, 0


@dataclass
class Batch:
    """Ids, real tokens and words, all (B, L)."""

    ids: Tensor
    is_token: Tensor
    is_word: Tensor


def batch_of(lengths: list[int], wide: int = 0) -> Batch:
    """Texts of random words, [CLS] and [SEP] around each, padded to the longest or to `wide`."""
    L = max(wide, max(lengths, default=0) + 2)
    ids = torch.full((len(lengths), L), PAD)
    for row, length in zip(ids, lengths, strict=True):
        row[: length + 2] = torch.tensor([CLS, *torch.randint(4, V, (length,)).tolist(), SEP])
    return Batch(ids, ids != PAD, ids >= MASK)
