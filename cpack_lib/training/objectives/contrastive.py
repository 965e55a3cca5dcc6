"""The contrast as an objective: an encoder on pairs, or on queries with mined negatives."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cpack_lib.model.encoder import Encoder, load_encoder, save_encoder
from cpack_lib.model.instructions import prompts
from cpack_lib.training.cache import cached_backward, random_state, restore
from cpack_lib.training.clock import Clock
from cpack_lib.training.memory import kept_bytes
from cpack_lib.training.objectives.chunked import cut
from cpack_lib.training.objectives.encoding import Frozen, Padded, bytes_of_a_watch, embedded, padded
from cpack_lib.training.objectives.groups import Groups, Step
from cpack_lib.training.ranks import ALONE, Ranks
from cpack_lib.training.settings import Settings
from cpack_lib.work.measure import GIB


class Texts(NamedTuple):
    """What a process embeds of a step: its share of all texts, in chunks."""

    step: Step
    shares: list[np.ndarray]  # the texts of each process
    parts: list[Tensor]  # of each chunk: which of this process's texts
    chunks: list[Padded]
    asked: dict[str, list[Padded]] = {}  # the same texts in the tokens of each encoder that is only asked

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
        if max(settings.weighted_widths, default=0) > self.model.width:
            raise ValueError(
                f"widths has {max(settings.weighted_widths)}, but {settings.start} makes embeddings of "
                f"{self.model.width} numbers; take fewer"
            )
        self.groups = Groups(settings, folder / "tokens", self.tokenizer)
        self.rows, self.sources, self.keys = self.groups.rows, self.groups.sources, self.groups.keys
        self.tasks = self.groups.tasks
        self.longest = self.groups.longest
        asked = {place: role for role in ("teacher", "guide") if (place := getattr(settings, role))}
        self.frozen = {place: Frozen(place, settings, folder / role, ranks) for place, role in asked.items()}
        self.bytes_per_place: float | None = None  # what a padded token keeps for the way back, once known

    def prepare(self, rows: np.ndarray) -> Texts:
        """Read this process's texts of a step, in chunks of similar length."""
        step = self.groups.step(rows)
        both = step.queries + step.passages
        lengths = np.asarray([len(ids) + 2 for ids in both])
        shares = self.ranks.shares(lengths)
        mine = shares[self.ranks.rank]
        parts = cut(lengths[mine], self.settings.tokens_per_chunk)
        chunks = [padded(both, mine[part.numpy()], self.tokenizer) for part in parts]
        asked = {place: each.read(rows, mine, parts) for place, each in self.frozen.items()}
        return Texts(step, shares, parts, chunks, asked)

    def backward(self, texts: Texts) -> dict[str, float]:
        """Gradients of this process's part of the step: its texts, its queries against all passages."""
        step, ranks = texts.step, self.ranks
        Q, own, positives = len(step.queries), ranks.own(len(step.queries)), 0.0
        said = self.asked(texts)
        guide, teacher = said.get(self.settings.guide), said.get(self.settings.teacher)

        def embed(c: int) -> Tensor:
            return embedded(self.model, texts.chunks[c], self.settings)

        def loss(embeddings: Tensor) -> Tensor:
            nonlocal positives
            everything = ranks.everything(embeddings, texts.shares)  # (N, D)
            with torch.no_grad():
                partners = everything[Q:][step.targets.to(ranks.device)]
                positives = float((everything[:Q] * partners)[own.to(ranks.device)].sum()) / Q
            return step.loss(everything, self.settings, own, guide, teacher)

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

    def asked(self, texts: Texts) -> dict[str, Tensor]:
        """What each encoder that is only asked makes of all texts of the step: its folder -> (N, E)."""
        found = {}
        for place, each in self.frozen.items():
            with self.clock("guide" if place == self.settings.guide else "teacher"):
                found[place] = each.embeddings(texts.asked[place], texts.parts, texts.shares)
        return found

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
        frozen = self.frozen.values()
        asked = max((each.bytes_of_a_chunk for each in frozen), default=0)
        widths = sum(each.encoder.width for each in frozen)
        loss = self.groups.bytes_of_a_loss(self.settings.rows_per_step, self.model.width, widths)
        return loss + asked + bytes_of_a_watch(self.settings, self.model)

    @property
    def encoder(self) -> Encoder:
        """What is trained."""
        return self.model

    @property
    def prompts(self) -> dict[str, str]:
        """What has stood before its texts, by the names of the folder it is saved to."""
        settings = self.settings
        return prompts(self.tasks, settings.instructed, settings.instruction, settings.language)

    def save(self, folder: Path) -> None:
        """Write encoder/, a sentence-transformers folder."""
        save_encoder(self.model.cpu(), folder / "encoder", prompts=self.prompts)
