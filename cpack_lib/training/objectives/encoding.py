"""Texts to embeddings: chunk by chunk with the encoder that learns, and with others that are only asked.

Axes: N texts of a step, B texts of a chunk, L tokens, D width, E width of an encoder that is asked.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from cpack_lib.model.encoder import Encoder, load_encoder
from cpack_lib.model.tokens import pad
from cpack_lib.training.objectives.chunked import autocast
from cpack_lib.training.objectives.groups import Groups
from cpack_lib.training.ranks import Ranks
from cpack_lib.training.settings import Settings

Padded = tuple[Tensor, Tensor]  # ids (B, L), which are tokens (B, L)
COPIES_OF_STATES = 6  # of a layer: its input, query, key, value, what attention found, its output


class Frozen:
    """An encoder that is asked and never trained: a guide or a teacher, with the texts in its own tokens.

    It reads what the encoder that learns reads, behind the same instructions.
    """

    def __init__(self, place: str, settings: Settings, folder: Path, ranks: Ranks):
        self.encoder, self.settings, self.ranks = load_encoder(place).to(ranks.device), settings, ranks
        self.groups = Groups(settings, folder, self.encoder.tokenizer)

    def read(self, rows: np.ndarray, mine: np.ndarray, parts: Sequence[Tensor]) -> list[Padded]:
        """This process's texts of a step, in the same chunks as those of the encoder that learns."""
        step = self.groups.step(rows)
        both = step.queries + step.passages
        return [padded(both, mine[part.numpy()], self.encoder.tokenizer) for part in parts]

    @torch.inference_mode()
    def embeddings(
        self, chunks: Sequence[Padded], parts: Sequence[Tensor], shares: list[np.ndarray]
    ) -> Tensor:
        """Of all texts of the step, (N, E); each process asks for its share."""
        count, device = len(shares[self.ranks.rank]), self.ranks.device
        mine = torch.zeros(count, self.encoder.width, device=device)
        for part, chunk in zip(parts, chunks, strict=True):
            mine[part.to(device)] = embedded(self.encoder, chunk, self.settings)
        return self.ranks.everything(mine, shares)

    @property
    def bytes_of_a_chunk(self) -> int:
        """What it needs for the states of a chunk, of which it keeps none."""
        config = self.encoder.backbone.config
        width = config.intermediate_size + COPIES_OF_STATES * config.hidden_size
        return 4 * max(self.settings.tokens_per_chunk, self.groups.longest) * width


def padded(texts: list[np.ndarray], numbers: np.ndarray, tokenizer) -> Padded:
    """Some of the texts as one batch."""
    return pad([texts[i] for i in numbers], tokenizer)


def embedded(encoder: Encoder, chunk: Padded, settings: Settings) -> Tensor:
    """Ids and tokens (B, L) -> (B, D); of no text, rows that take no gradient anywhere."""
    device = next(encoder.parameters()).device
    ids, is_token = (part.to(device, non_blocking=True) for part in chunk)
    if not len(ids):
        return torch.zeros(0, encoder.width, device=device, requires_grad=True)
    with autocast(settings.precision, device):
        return encoder(ids, is_token, settings.way)


def last_layer(encoder: Encoder) -> list[nn.Parameter]:
    """The weights of the layer that makes the embedding."""
    return list(encoder.backbone.encoder.layer[-1].parameters())


def bytes_of_a_watch(settings: Settings, encoder: Encoder) -> int:
    """What the gradients of all tasks need, if the settings name a watch."""
    if not settings.watch:
        return 0
    tasks = pl.read_parquet(settings.watch, columns=["task"])["task"].n_unique()
    return 4 * (tasks + 1) * sum(weight.numel() for weight in last_layer(encoder))
