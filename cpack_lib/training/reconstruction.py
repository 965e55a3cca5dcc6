"""RetroMAE as an objective: single texts, hidden and rebuilt."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertForMaskedLM

from cpack_lib.model.encoder import Encoder, save_encoder
from cpack_lib.model.quiet import quietly
from cpack_lib.model.retromae import RetroMAE
from cpack_lib.model.tokens import load_tokenizer, pad
from cpack_lib.training.chunked import autocast, cut
from cpack_lib.training.clock import Clock
from cpack_lib.training.groups import stored
from cpack_lib.training.ranks import ALONE, Ranks
from cpack_lib.training.settings import Settings


class Texts(NamedTuple):
    """What a process rebuilds of a step."""

    chunks: list[tuple[Tensor, Tensor]]  # ids (B, L), which are tokens (B, L)
    labels: dict[str, int]  # words that encoder and decoder have to guess in the whole step, all processes


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

    def prepare(self, rows: np.ndarray) -> Texts:
        """Read this process's texts of a step, in chunks, and count the words to be guessed by all."""
        words = np.asarray([len(self.texts[i]) for i in rows])
        mine = self.ranks.shares(words)[self.ranks.rank]
        asked = {"encoder": self.settings.encoder_mask, "decoder": self.settings.decoder_labels}
        texts = [self.texts[rows[i]] for i in mine]
        parts = cut(words[mine] + 2, self.settings.tokens_per_chunk)
        chunks = [pad([texts[i] for i in part], self.tokenizer) for part in parts if len(part)]
        return Texts(chunks, {name: int(labels(words, share).sum()) for name, share in asked.items()})

    def backward(self, texts: Texts) -> dict[str, float]:
        """Gradients of this process's texts, as shares of the means over all labelled words of the step."""
        ends = torch.tensor([self.tokenizer.cls_token_id, self.tokenizer.sep_token_id])
        total = dict.fromkeys(("encoder_loss", "encoder_right", "decoder_loss", "decoder_right"), 0.0)
        for chunk in texts.chunks:
            ids, is_token = (part.to(self.ranks.device) for part in chunk)
            is_word = is_token & ~torch.isin(ids, ends.to(ids.device))
            with self.clock("forward"), autocast(self.settings.precision, ids.device):
                found = self.model(ids, is_token, is_word)
            with self.clock("back"):
                sum(found[f"{name}_loss"] / max(1, count) for name, count in texts.labels.items()).backward()
            for name in total:
                total[name] += float(found[name].detach())
        means = {name: value / max(1, texts.labels[name.split("_")[0]]) for name, value in total.items()}
        return {
            "loss": means["encoder_loss"] + means["decoder_loss"],
            **means,
            "tokens": sum(int(is_token.sum()) for _, is_token in texts.chunks),
            "places": sum(is_token.numel() for _, is_token in texts.chunks),
        }

    @property
    def encoder(self) -> Encoder:
        """What the next stage begins with: the encoder alone, sharing its weights with the model."""
        return Encoder(self.model.language_model.bert, self.tokenizer)

    def save(self, folder: Path) -> None:
        """Write language_model/ with its decoder, to go on from, and encoder/, for the next stage."""
        self.model.cpu()
        language_model, place = self.model.language_model, folder / "language_model"
        with quietly():
            language_model.save_pretrained(place)
        self.tokenizer.save_pretrained(place)
        save_file(self.model.decoder.state_dict(), place / "decoder.safetensors")
        save_encoder(self.encoder, folder / "encoder")


def labels(words: np.ndarray, share: float) -> np.ndarray:
    """How many of each text's words are chosen at this share: what `choose_share` chooses."""
    return np.minimum(np.maximum(np.round(words.astype(np.float32) * np.float32(share)), 1), words)
