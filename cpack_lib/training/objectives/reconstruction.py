"""RetroMAE as an objective: single texts, hidden and rebuilt."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertForMaskedLM, PreTrainedTokenizerBase

from cpack_lib.model.encoder import Encoder, save_encoder
from cpack_lib.model.masks import word_numbers, words_of
from cpack_lib.model.quiet import quietly
from cpack_lib.model.retromae import RetroMAE
from cpack_lib.model.tokens import load_tokenizer, pad
from cpack_lib.model.vocabulary import ROWS_PER_CHUNK
from cpack_lib.training.clock import Clock
from cpack_lib.training.objectives.chunked import autocast, cut
from cpack_lib.training.objectives.groups import stored
from cpack_lib.training.ranks import ALONE, Ranks
from cpack_lib.training.settings import Settings

COPIES_OF_SCORES, COPIES_OF_THE_TABLE = 3, 3  # in vocabulary.Judged
OPTIONS = ("encoder_mask", "decoder_mask", "decoder_labels", "decoding", "bag_of_words", "way")


class Texts(NamedTuple):
    """What a process rebuilds of a step."""

    chunks: list[tuple[Tensor, Tensor]]  # ids (B, L), which are tokens (B, L)
    counts: dict[str, int]  # of words, or texts, in the whole step: what each loss is a mean over


class Reconstruction:
    """RetroMAE on single texts."""

    def __init__(self, settings: Settings, folder: Path, ranks: Ranks = ALONE):
        self.settings, self.tokenizer, self.ranks = settings, load_tokenizer(settings.start), ranks
        self.clock = Clock()
        table = pl.read_parquet(settings.data, columns=["text", "source"])
        self.rows, self.sources, self.tasks, self.keys = table.height, table["source"].to_list(), None, None
        self.texts = stored(folder / "tokens", self.tokenizer, table["text"], settings.longest)
        self.longest = 2 + int(self.texts.lengths.max(initial=0))
        dropout = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), settings.dropout)
        with quietly():
            language_model = BertForMaskedLM.from_pretrained(settings.start, dtype=torch.float32, **dropout)
        options = {name: getattr(settings, name) for name in OPTIONS}
        self.model = RetroMAE(language_model, self.tokenizer.mask_token_id, **options)
        self.weights = {"encoder": 1.0, "decoder": 1.0}
        self.logged = ["loss", "encoder_loss", "encoder_right", "decoder_loss", "decoder_right"]
        if settings.bag_of_words:
            self.weights["bag_of_words"] = settings.bag_of_words
            self.logged.append("bag_of_words_loss")
        if (decoder := Path(settings.start) / "decoder.safetensors").exists():
            self.model.decoder.load_state_dict(load_file(decoder))
        self.model.to(ranks.device)
        self.continues = continuations(self.tokenizer, ranks.device)

    def prepare(self, rows: np.ndarray) -> Texts:
        """Read this process's texts of a step, in chunks, and count the words to be guessed by all."""
        words = np.asarray([len(self.texts[i]) for i in rows])
        mine = self.ranks.shares(words)[self.ranks.rank]
        texts = [self.texts[rows[i]] for i in mine]
        parts = cut(words[mine] + 2, self.settings.tokens_per_chunk)
        chunks = [pad([texts[i] for i in part], self.tokenizer) for part in parts if len(part)]
        return Texts(chunks, self.counts(words))

    def counts(self, words: np.ndarray) -> dict[str, int]:
        """What each loss is a mean over, for texts of so many words: known before anything is chosen."""
        settings = self.settings
        hidden = labels(words, settings.encoder_mask)
        guessable = labels(words, settings.decoder_mask) if settings.decoding == "basic" else words
        rebuilt = labels(guessable, settings.decoder_labels)
        return {
            "encoder": int(hidden.sum()),
            "decoder": int(rebuilt.sum()),
            "bag_of_words": int((words > 0).sum()),
        }

    def backward(self, texts: Texts) -> dict[str, float]:
        """Gradients of this process's texts, as shares of the means over all labelled words of the step."""
        total = dict.fromkeys(self.logged, 0.0)
        for chunk in texts.chunks:
            ids, is_token = (part.to(self.ranks.device) for part in chunk)
            with self.clock("forward"), autocast(self.settings.precision, ids.device):
                means = self.means(ids, is_token, texts.counts)
            with self.clock("back"):
                means["loss"].backward()
            for name in total:
                total[name] += float(means[name].detach())
        return {
            **total,
            "tokens": sum(int(is_token.sum()) for _, is_token in texts.chunks),
            "places": sum(is_token.numel() for _, is_token in texts.chunks),
        }

    def means(self, ids: Tensor, is_token: Tensor, counts: dict[str, int]) -> dict[str, Tensor]:
        """A chunk's share of each number of the log: of the loss, and of what it is made of."""
        words = None if self.continues is None else word_numbers(ids, self.continues)
        found = self.model(ids, is_token, words_of(is_token), words)
        means = {name: found[name] / max(1, counts[name.rpartition("_")[0]]) for name in self.logged[1:]}
        return means | {"loss": sum(weight * means[f"{name}_loss"] for name, weight in self.weights.items())}

    def sample(self, settings: Settings, texts: int) -> Callable[[], Tensor]:
        """A forward pass over so many of the longest texts, to weigh it."""
        ids = torch.full((texts, self.longest), self.tokenizer.unk_token_id, device=self.ranks.device)
        is_token = torch.ones_like(ids, dtype=torch.bool)

        def forward() -> Tensor:
            with autocast(settings.precision, ids.device):
                return self.means(ids, is_token, self.counts(np.full(texts, self.longest - 2)))["loss"]

        return forward

    def places(self) -> int:
        """0: a chunk is left behind before the next is read."""
        return 0

    def besides(self) -> int:
        """Bytes of a chunk's scores over the vocabulary, and of what is made of the table for them."""
        V, D = self.model.language_model.config.vocab_size, self.model.language_model.config.hidden_size
        return 4 * V * (ROWS_PER_CHUNK * COPIES_OF_SCORES + D * COPIES_OF_THE_TABLE)

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


def continuations(tokenizer: PreTrainedTokenizerBase, device: torch.device) -> Tensor | None:
    """Which tokens go on with the word before them, as WordPiece's ##x: (V,) bool, or None if none does."""
    names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    found = torch.tensor([name.startswith("##") for name in names], device=device)
    return found if found.any() else None
