"""What a step minimises: three objectives with one shape, so that one loop runs them all.

Each has a `model`, a number of `rows`, and `backward(rows)`, which leaves this process's part of the
gradients on the model and returns its part of each number for the log: parts add up. `save(folder)` writes
what the next stage reads.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BertForMaskedLM, PreTrainedTokenizerBase

from cpack_lib.model.bag import Bag, flat
from cpack_lib.model.encoder import Encoder, load_encoder, save_encoder
from cpack_lib.model.quiet import quietly
from cpack_lib.model.retromae import RetroMAE
from cpack_lib.model.tokens import TokenStore, chunks, load_tokenizer, pad
from cpack_lib.training.clock import Clock
from cpack_lib.training.contrast import cached_backward, plain_backward, random_state, restore
from cpack_lib.training.groups import Groups, stored
from cpack_lib.training.memory import GIB, kept_bytes
from cpack_lib.training.ranks import Ranks
from cpack_lib.training.settings import Settings

ALONE = Ranks()


class BagContrast:
    """The warm start: a bag of tokens contrasted on pairs."""

    def __init__(self, settings: Settings, folder: Path, ranks: Ranks = ALONE):
        self.settings, self.tokenizer, self.ranks = settings, load_tokenizer(settings.start), ranks
        self.clock = Clock()
        self.groups = Groups(settings, folder / "tokens", self.tokenizer)
        self.rows, self.sources = self.groups.rows, self.groups.sources
        share = document_share(self.groups.passages, self.tokenizer)
        self.model = Bag(len(self.tokenizer), settings.width, share, settings.seed).to(ranks.device)

    def backward(self, rows: np.ndarray) -> dict[str, float]:
        """Gradients of this process's part of the step."""
        with self.clock("data"):
            step = self.groups.step(rows)
            both = step.queries + step.passages
            shares = self.ranks.shares(list(map(len, both)))
            ids, offsets = flat([both[i] for i in shares[self.ranks.rank]], self.tokenizer)
        own = self.ranks.own(len(rows))
        with self.clock("embed"):
            mine = self.model(ids.to(self.ranks.device), offsets.to(self.ranks.device))
        with self.clock("loss"):
            loss = step.loss(self.ranks.everything(mine, shares), self.settings, own)
            loss.backward()
        return {"loss": loss.item()}

    def save(self, folder: Path) -> None:
        """Write bag.safetensors: the table that a BERT can begin with."""
        save_file({"table": self.model.table.detach().cpu()}, folder / "bag.safetensors")


def document_share(store: TokenStore, tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """For each token of the vocabulary: the share of texts it stands in (V,); [CLS] and [SEP] in all."""
    count = np.zeros(len(tokenizer), dtype=np.int64)
    for i in range(len(store)):
        count[np.unique(store[i])] += 1
    share = (count + 1) / (len(store) + 1)
    share[[tokenizer.cls_token_id, tokenizer.sep_token_id]] = 1.0
    return share


class EncoderContrast:
    """Contrast of an encoder's embeddings, on pairs or on queries with mined negatives."""

    def __init__(self, settings: Settings, folder: Path, ranks: Ranks = ALONE):
        self.settings, self.ranks, self.clock = settings, ranks, Clock()
        self.model = load_encoder(settings.start).to(ranks.device)
        for part in self.model.modules():
            if isinstance(part, nn.Dropout):
                part.p = settings.dropout
        self.tokenizer = self.model.tokenizer
        self.groups = Groups(settings, folder / "tokens", self.tokenizer)
        self.rows, self.sources = self.groups.rows, self.groups.sources
        self.guide = load_encoder(settings.guide).to(ranks.device) if settings.guide else None
        if self.guide is not None:
            self.guided = Groups(settings, folder / "guide", self.guide.tokenizer)
        self.bytes_per_place: float | None = None  # what a padded token keeps for the way back, once known

    def backward(self, rows: np.ndarray) -> dict[str, float]:
        """Gradients of this process's part of the step: its texts, its queries against all passages."""
        settings, ranks = self.settings, self.ranks
        with self.clock("data"):
            step = self.groups.step(rows)
            both, Q = step.queries + step.passages, len(rows)
            lengths = np.asarray([len(ids) + 2 for ids in both])
            shares = ranks.shares(lengths)
            mine = shares[ranks.rank]
            texts, parts = [both[i] for i in mine], cut(lengths[mine], settings.tokens_per_chunk)
        own = ranks.own(Q)
        guide = self.asked_guide(rows, shares)
        positives = 0.0

        def embed(c: int) -> Tensor:
            return embedded(self.model, [texts[i] for i in parts[c]], settings.precision)

        def loss(embeddings: Tensor) -> Tensor:
            nonlocal positives
            everything = ranks.everything(embeddings, shares)  # (N, D)
            with torch.no_grad():
                partners = everything[Q:][step.targets.to(ranks.device)]
                positives = float((everything[:Q] * partners)[own.to(ranks.device)].sum()) / Q
            return step.loss(everything, settings, own, guide)

        places = padded(texts, parts)
        way = cached_backward if self.too_many(places, embed) else plain_backward
        value, _ = way(embed, parts, loss, len(texts), self.clock)
        tokens = sum(len(ids) + 2 for ids in texts)
        return {"loss": float(value), "positive_cosine": positives, "tokens": tokens, "places": sum(places)}

    def asked_guide(self, rows: np.ndarray, shares: list[np.ndarray]) -> Tensor | None:
        """The guide's embeddings of all texts of the step (N, E); each process asks for its share."""
        if self.guide is None:
            return None
        with self.clock("guide"), torch.inference_mode():
            step = self.guided.step(rows)
            both = step.queries + step.passages
            texts = [both[i] for i in shares[self.ranks.rank]]
            parts = cut(np.asarray([len(ids) + 2 for ids in texts]), self.settings.tokens_per_chunk)
            mine = torch.zeros(len(texts), self.guide.width, device=self.ranks.device)
            for part in parts:
                mine[part] = embedded(self.guide, [texts[i] for i in part], self.settings.precision)
            return self.ranks.everything(mine, shares)

    def too_many(self, places: list[int], embed: Callable[[int], Tensor]) -> bool:
        """Whether the activations of these chunks are more than the settings allow; measured on the first."""
        if self.bytes_per_place is None and places[0]:
            state = random_state()
            self.bytes_per_place = kept_bytes(lambda: embed(0), self.model) / places[0]
            restore(state)
        return sum(places) * (self.bytes_per_place or 0.0) > self.settings.activations_gib * GIB

    def save(self, folder: Path) -> None:
        """Write encoder/, a sentence-transformers folder."""
        save_encoder(self.model.cpu(), folder / "encoder", self.settings.instruction)


def embedded(encoder: Encoder, texts: list[np.ndarray], precision: str) -> Tensor:
    """Token ids of some texts -> (B, D); of no text, rows that take no gradient anywhere."""
    device = next(encoder.parameters()).device
    if not texts:
        return torch.zeros(0, encoder.width, device=device, requires_grad=True)
    ids, is_token = pad(texts, encoder.tokenizer)
    with autocast(precision, device):
        return encoder(ids.to(device), is_token.to(device))


def padded(texts: list[np.ndarray], parts: list[Tensor]) -> list[int]:
    """Tokens of each chunk with its padding."""
    return [len(part) * max((len(texts[i]) + 2 for i in part), default=0) for part in parts]


def cut(lengths: np.ndarray, budget: int) -> list[Tensor]:
    """Chunks under a token budget; an empty one where there is no text: every process takes part."""
    return [torch.from_numpy(part) for part in chunks(lengths, budget)] or [torch.zeros(0, dtype=torch.long)]


class Reconstruction:
    """RetroMAE on single texts."""

    def __init__(self, settings: Settings, folder: Path, ranks: Ranks = ALONE):
        self.settings, self.tokenizer, self.ranks = settings, load_tokenizer(settings.start), ranks
        self.clock = Clock()
        table = pl.read_parquet(settings.data, columns=["text", "source"])
        self.rows, self.sources = table.height, table["source"].to_list()
        self.texts = stored(folder / "tokens", self.tokenizer, table["text"], settings.longest)
        dropout = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), settings.dropout)
        with quietly():
            language_model = BertForMaskedLM.from_pretrained(settings.start, dtype=torch.float32, **dropout)
        masks = (settings.encoder_mask, settings.decoder_mask, settings.decoder_labels)
        self.model = RetroMAE(language_model, self.tokenizer.mask_token_id, *masks)
        if (decoder := Path(settings.start) / "decoder.safetensors").exists():
            self.model.decoder.load_state_dict(load_file(decoder))
        self.model.to(ranks.device)

    def backward(self, rows: np.ndarray) -> dict[str, float]:
        """Gradients of this process's texts, as shares of the means over all labelled words of the step."""
        words = np.asarray([len(self.texts[i]) for i in rows])
        mine = self.ranks.shares(words)[self.ranks.rank]
        asked = {"encoder": self.settings.encoder_mask, "decoder": self.settings.decoder_labels}
        seen = {name: labels(words, share) for name, share in asked.items()}
        total = dict.fromkeys(("encoder_loss", "encoder_right", "decoder_loss", "decoder_right"), 0.0)
        texts = [self.texts[rows[i]] for i in mine]
        parts = [part for part in cut(words[mine] + 2, self.settings.tokens_per_chunk) if len(part)]
        for part in parts:
            ids, is_token = (
                tensor.to(self.ranks.device) for tensor in pad([texts[i] for i in part], self.tokenizer)
            )
            ends = ids.new_tensor([self.tokenizer.cls_token_id, self.tokenizer.sep_token_id])
            with self.clock("forward"), autocast(self.settings.precision, ids.device):
                found = self.model(ids, is_token, is_token & ~torch.isin(ids, ends))
            with self.clock("backward"):
                sum(found[f"{name}_loss"] / max(1, seen[name].sum()) for name in seen).backward()
            for name in total:
                total[name] += float(found[name].detach())
        means = {name: float(value / max(1, seen[name.split("_")[0]].sum())) for name, value in total.items()}
        loss = means["encoder_loss"] + means["decoder_loss"]
        tokens = sum(len(ids) + 2 for ids in texts)
        return {"loss": loss, **means, "tokens": tokens, "places": sum(padded(texts, parts))}

    def save(self, folder: Path) -> None:
        """Write language_model/ with its decoder, to go on from, and encoder/, for the next stage."""
        self.model.cpu()
        language_model, place = self.model.language_model, folder / "language_model"
        with quietly():
            language_model.save_pretrained(place)
        self.tokenizer.save_pretrained(place)
        save_file(self.model.decoder.state_dict(), place / "decoder.safetensors")
        save_encoder(Encoder(language_model.bert, self.tokenizer), folder / "encoder")


def labels(words: np.ndarray, share: float) -> np.ndarray:
    """How many of each text's words are chosen at this share: what `choose_share` chooses."""
    return np.minimum(np.maximum(np.round(words.astype(np.float32) * np.float32(share)), 1), words)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Matrix products in bfloat16 where it is asked for."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


OBJECTIVES = {"bag": BagContrast, "retromae": Reconstruction, "contrast": EncoderContrast}
