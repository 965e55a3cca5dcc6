"""The contrast as an objective: an encoder on pairs, or on queries with mined negatives."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cpack_lib.model.encoder import Encoder, load_encoder, save_encoder
from cpack_lib.model.tokens import pad
from cpack_lib.training.cache import cached_backward, random_state, restore
from cpack_lib.training.clock import Clock
from cpack_lib.training.memory import kept_bytes
from cpack_lib.training.objectives.chunked import autocast, cut
from cpack_lib.training.objectives.groups import Groups, Step
from cpack_lib.training.ranks import ALONE, Ranks
from cpack_lib.training.settings import Settings
from cpack_lib.work.measure import GIB

Padded = tuple[Tensor, Tensor]  # ids (B, L), which are tokens (B, L)


class Texts(NamedTuple):
    """What a process embeds of a step: its share of all texts, in chunks."""

    step: Step
    shares: list[np.ndarray]  # the texts of each process
    parts: list[Tensor]  # of each chunk: which of this process's texts
    chunks: list[Padded]
    guided: list[Padded] = []  # the same texts in the guide's tokens

    @property
    def tokens(self) -> int:
        """Tokens of this process."""
        return sum(int(is_token.sum()) for _, is_token in self.chunks)

    @property
    def places(self) -> list[int]:
        """Tokens of each chunk with its padding."""
        return [is_token.numel() for _, is_token in self.chunks]


class EncoderContrast:
    """Contrast of an encoder's embeddings."""

    def __init__(self, settings: Settings, folder: Path, ranks: Ranks = ALONE):
        self.settings, self.ranks, self.clock = settings, ranks, Clock()
        self.model = load_encoder(settings.start).to(ranks.device)
        for part in self.model.modules():
            if isinstance(part, nn.Dropout):
                part.p = settings.dropout
        self.tokenizer = self.model.tokenizer
        self.groups = Groups(settings, folder / "tokens", self.tokenizer)
        self.rows, self.sources, self.keys = self.groups.rows, self.groups.sources, self.groups.keys
        self.longest = self.groups.longest
        self.guide = load_encoder(settings.guide).to(ranks.device) if settings.guide else None
        if self.guide is not None:
            self.guided = Groups(settings, folder / "guide", self.guide.tokenizer)
        self.bytes_per_place: float | None = None  # what a padded token keeps for the way back, once known

    def prepare(self, rows: np.ndarray) -> Texts:
        """Read this process's texts of a step, in chunks of similar length."""
        step = self.groups.step(rows)
        both = step.queries + step.passages
        lengths = np.asarray([len(ids) + 2 for ids in both])
        shares = self.ranks.shares(lengths)
        mine = shares[self.ranks.rank]
        parts = cut(lengths[mine], self.settings.tokens_per_chunk)
        texts = Texts(
            step, shares, parts, [padded(both, mine[part.numpy()], self.tokenizer) for part in parts]
        )
        if self.guide is None:
            return texts
        other = self.guided.step(rows)
        both = other.queries + other.passages
        return texts._replace(
            guided=[padded(both, mine[part.numpy()], self.guide.tokenizer) for part in parts]
        )

    def backward(self, texts: Texts) -> dict[str, float]:
        """Gradients of this process's part of the step: its texts, its queries against all passages."""
        step, ranks = texts.step, self.ranks
        Q, own, positives = len(step.queries), ranks.own(len(step.queries)), 0.0
        guide = self.asked_guide(texts)

        def embed(c: int) -> Tensor:
            return embedded(self.model, texts.chunks[c], self.settings)

        def loss(embeddings: Tensor) -> Tensor:
            nonlocal positives
            everything = ranks.everything(embeddings, texts.shares)  # (N, D)
            with torch.no_grad():
                partners = everything[Q:][step.targets.to(ranks.device)]
                positives = float((everything[:Q] * partners)[own.to(ranks.device)].sum()) / Q
            return step.loss(everything, self.settings, own, guide)

        kept = self.fitting(texts.places, embed)
        count = len(texts.shares[ranks.rank])
        value, _ = cached_backward(embed, texts.parts, loss, count, kept, self.clock)
        return {
            "loss": float(value),
            "positive_cosine": positives,
            "tokens": texts.tokens,
            "places": sum(texts.places),
            "embedded_twice": sum(texts.places[kept:]),
        }

    def asked_guide(self, texts: Texts) -> Tensor | None:
        """The guide's embeddings of all texts of the step (N, E); each process asks for its share."""
        if self.guide is None:
            return None
        with self.clock("guide"), torch.inference_mode():
            mine = torch.zeros(len(texts.shares[self.ranks.rank]), self.guide.width, device=self.ranks.device)
            for part, chunk in zip(texts.parts, texts.guided, strict=True):
                mine[part.to(mine.device)] = embedded(self.guide, chunk, self.settings)
            return self.ranks.everything(mine, texts.shares)

    def fitting(self, places: list[int], embed: Callable[[int], Tensor]) -> int:
        """How many chunks can be kept for the way back in the memory that the settings give.

        What a padded token keeps is measured once, on the first chunk.
        """
        if self.bytes_per_place is None and places[0]:
            state = random_state()
            self.bytes_per_place = kept_bytes(lambda: embed(0), self.model) / places[0]
            restore(state)
        allowed = self.settings.activations_gib * GIB
        return int((np.cumsum(places) * (self.bytes_per_place or 0.0) <= allowed).sum())

    def sample(self, settings: Settings, texts: int) -> Callable[[], Tensor]:
        """A forward pass over so many of the longest texts, to weigh it."""
        ids = torch.full((texts, self.longest), self.tokenizer.unk_token_id)
        return lambda: embedded(self.model, (ids, torch.ones_like(ids, dtype=torch.bool)), settings)

    def places(self) -> int:
        """Padded tokens of this process's texts of a step, at most."""
        return -(-self.groups.most_texts(self.settings.rows_per_step) // self.ranks.size) * self.longest

    def besides(self) -> int:
        """Bytes of a step that belong to no chunk."""
        return self.groups.bytes_of_a_loss(self.settings.rows_per_step, self.model.width)

    @property
    def encoder(self) -> Encoder:
        """What is trained."""
        return self.model

    def save(self, folder: Path) -> None:
        """Write encoder/, a sentence-transformers folder."""
        save_encoder(self.model.cpu(), folder / "encoder", self.settings.instruction)


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
