"""What a step minimises: three objectives with one shape, so that one loop runs them all.

Each has a `model`, a number of `rows`, and `backward(rows)`, which leaves gradients on the model and returns
numbers for the log; `save(folder)` writes what the next stage reads.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from transformers import BertForMaskedLM, PreTrainedTokenizerBase

from cpack_lib.corpus.text import folded
from cpack_lib.model.bag import Bag, flat
from cpack_lib.model.encoder import Encoder, load_encoder, save_encoder
from cpack_lib.model.retromae import RetroMAE
from cpack_lib.model.tokens import TokenStore, chunks, load_tokenizer, pad, write_store
from cpack_lib.training.contrast import cached_backward, contrastive_loss, plain_backward
from cpack_lib.training.settings import Settings

TEXTS_PER_BATCH = 10_000  # tokenised at a time


class Step(NamedTuple):
    """What a step contrasts: token ids of Q queries and P passages, targets, hashes of all texts."""

    queries: list[np.ndarray]
    passages: list[np.ndarray]
    targets: Tensor  # (Q,) into the passages
    texts: Tensor  # (P,)
    query_texts: Tensor  # (Q,)

    def loss(self, embeddings: Tensor, settings: Settings) -> Tensor:
        """The contrast of the queries' embeddings with the passages', which follow them: (Q + P, D) -> ()."""
        Q = len(self.queries)
        return contrastive_loss(
            embeddings[:Q],
            embeddings[Q:],
            settings.temperature,
            self.targets,
            texts=self.texts,
            query_texts=self.query_texts,
            both_ways=settings.both_ways,
        )


class Groups:
    """Queries and their passages, tokenised: one positive first, then negatives, in number as it comes."""

    def __init__(self, settings: Settings, folder: Path, tokenizer: PreTrainedTokenizerBase):
        table = pl.read_parquet(settings.data)
        if "text_a" in table.columns:
            table = table.select(query="text_a", passages=pl.concat_list("text_b"), source="source")
        lengths = table["passages"].list.drop_nulls().list.len().fill_null(0)
        if not table.height or not lengths.min():
            raise ValueError(
                f"{settings.data} has {table.height} rows, {(lengths == 0).sum()} of them without a passage; "
                "it needs a row at least, and a passage in each"
            )
        self.rows, self.sources = table.height, table["source"].to_list()
        self.queries = stored(folder / "queries", tokenizer, table["query"], settings.longest)
        passages = table["passages"].explode(keep_nulls=False, empty_as_null=False)
        self.passages = stored(folder / "passages", tokenizer, passages, settings.longest)
        self.first = np.concatenate([[0], np.cumsum(lengths.to_numpy(), dtype=np.int64)])
        self.texts, self.query_texts = hashes(passages), hashes(table["query"])

    def step(self, rows: np.ndarray) -> Step:
        """The queries of these rows with all their passages."""
        numbers = [np.arange(self.first[row], self.first[row + 1]) for row in rows]
        targets = torch.from_numpy(np.cumsum([0, *map(len, numbers)])[:-1])
        wanted = np.concatenate(numbers)
        return Step(
            [self.queries[i] for i in rows],
            [self.passages[i] for i in wanted],
            targets,
            torch.from_numpy(self.texts[wanted]),
            torch.from_numpy(self.query_texts[rows]),
        )


def hashes(texts: pl.Series) -> np.ndarray:
    """One int64 per text; equal where texts differ in spaces, widths and capitals alone."""
    return pl.select(folded(pl.lit(texts)).hash(seed=0)).to_series().to_numpy().view(np.int64)


def stored(folder: Path, tokenizer: PreTrainedTokenizerBase, texts: pl.Series, longest: int) -> TokenStore:
    """The token store in a folder, made if it is not there: written aside and renamed, so always whole."""
    if not folder.exists():
        aside = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        parts = (texts[i : i + TEXTS_PER_BATCH].to_list() for i in range(0, len(texts), TEXTS_PER_BATCH))
        write_store(aside, tokenizer, parts, longest)
        aside.rename(folder)
    return TokenStore(folder)


class BagContrast:
    """The warm start: a bag of tokens contrasted on pairs."""

    def __init__(self, settings: Settings, folder: Path):
        self.settings, self.tokenizer = settings, load_tokenizer(settings.start)
        self.groups = Groups(settings, folder / "tokens", self.tokenizer)
        self.rows, self.sources = self.groups.rows, self.groups.sources
        share = document_share(self.groups.passages, self.tokenizer)
        self.model = Bag(len(self.tokenizer), settings.width, share, settings.seed)

    def backward(self, rows: np.ndarray) -> dict[str, float]:
        step = self.groups.step(rows)
        loss = step.loss(self.model(*flat(step.queries + step.passages, self.tokenizer)), self.settings)
        loss.backward()
        return {"loss": loss.item()}

    def save(self, folder: Path) -> None:
        """Write bag.safetensors: the table that a BERT can begin with."""
        save_file({"table": self.model.table.detach()}, folder / "bag.safetensors")


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

    def __init__(self, settings: Settings, folder: Path):
        self.settings, self.model = settings, load_encoder(settings.start)
        for part in self.model.modules():
            if isinstance(part, nn.Dropout):
                part.p = settings.dropout
        self.tokenizer = self.model.tokenizer
        self.groups = Groups(settings, folder / "tokens", self.tokenizer)
        self.rows, self.sources = self.groups.rows, self.groups.sources

    def backward(self, rows: np.ndarray) -> dict[str, float]:
        step, settings = self.groups.step(rows), self.settings
        both, Q = step.queries + step.passages, len(rows)
        lengths = [len(ids) + 2 for ids in both]
        parts = [torch.from_numpy(part) for part in chunks(lengths, settings.tokens_per_chunk)]

        def embed(c: int) -> Tensor:
            ids, is_token = pad([both[i] for i in parts[c]], self.tokenizer)
            with autocast(settings.precision):
                return self.model(ids, is_token)

        def loss(embeddings: Tensor) -> Tensor:
            return step.loss(embeddings, settings)

        way = cached_backward if sum(lengths) > settings.cached_above else plain_backward
        value, embeddings = way(embed, parts, loss, len(both))
        positive = cosine_similarity(embeddings[:Q], embeddings[Q:][step.targets]).mean()
        return {"loss": float(value), "positive_cosine": float(positive), "tokens": sum(lengths)}

    def save(self, folder: Path) -> None:
        """Write encoder/, a sentence-transformers folder."""
        save_encoder(self.model, folder / "encoder", self.settings.instruction)


class Reconstruction:
    """RetroMAE on single texts."""

    def __init__(self, settings: Settings, folder: Path):
        self.settings, self.tokenizer = settings, load_tokenizer(settings.start)
        table = pl.read_parquet(settings.data, columns=["text", "source"])
        self.rows, self.sources = table.height, table["source"].to_list()
        self.texts = stored(folder / "tokens", self.tokenizer, table["text"], settings.longest)
        dropout = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), settings.dropout)
        language_model = BertForMaskedLM.from_pretrained(settings.start, dtype=torch.float32, **dropout)
        masks = (settings.encoder_mask, settings.decoder_mask, settings.decoder_labels)
        self.model = RetroMAE(language_model, self.tokenizer.mask_token_id, *masks)
        if (decoder := Path(settings.start) / "decoder.safetensors").exists():
            self.model.decoder.load_state_dict(load_file(decoder))

    def backward(self, rows: np.ndarray) -> dict[str, float]:
        texts = [self.texts[i] for i in rows]
        words = np.asarray([len(text) for text in texts])
        asked = {"encoder": self.settings.encoder_mask, "decoder": self.settings.decoder_labels}
        seen = {name: labels(words, share) for name, share in asked.items()}
        total = dict.fromkeys(("encoder_loss", "encoder_right", "decoder_loss", "decoder_right"), 0.0)
        for part in chunks(words + 2, self.settings.tokens_per_chunk):
            ids, is_token = pad([texts[i] for i in part], self.tokenizer)
            ends = torch.tensor([self.tokenizer.cls_token_id, self.tokenizer.sep_token_id])
            with autocast(self.settings.precision):
                found = self.model(ids, is_token, is_token & ~torch.isin(ids, ends))
            loss = sum(found[f"{name}_loss"] / max(1, seen[name].sum()) for name in seen)
            loss.backward()
            for name in total:
                total[name] += float(found[name].detach())
        shares = {name: value / max(1, seen[name.split("_")[0]].sum()) for name, value in total.items()}
        loss = shares["encoder_loss"] + shares["decoder_loss"]
        return {"loss": float(loss), **{k: float(v) for k, v in shares.items()}, "tokens": int(words.sum())}

    def save(self, folder: Path) -> None:
        """Write language_model/ with its decoder, to go on from, and encoder/, for the next stage."""
        language_model, place = self.model.language_model, folder / "language_model"
        language_model.save_pretrained(place)
        self.tokenizer.save_pretrained(place)
        save_file(self.model.decoder.state_dict(), place / "decoder.safetensors")
        save_encoder(Encoder(language_model.bert, self.tokenizer), folder / "encoder")


def labels(words: np.ndarray, share: float) -> np.ndarray:
    """How many of each text's words are chosen at this share: what `choose_share` chooses."""
    return np.minimum(np.maximum(np.round(words.astype(np.float32) * np.float32(share)), 1), words)


def autocast(precision: str) -> torch.autocast:
    """Matrix products in bfloat16 where it is asked for."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")


OBJECTIVES = {"bag": BagContrast, "retromae": Reconstruction, "contrast": EncoderContrast}
