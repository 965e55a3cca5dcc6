"""From texts to vectors: tokenised once, sorted by their tokens, cut under a token budget, embedded.

The vectors are those of SentenceTransformer.encode (tests/evaluation/test_embedding.py).
Axes: N texts, B texts of a batch, L tokens, D width.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util import batch_to_device, truncate_embeddings
from torch import Tensor
from torch.nn.functional import normalize
from transformers import BertModel, PreTrainedTokenizerBase

from cpack_lib.model.states import sentence_states
from cpack_lib.model.tokens import chunks, pad
from cpack_lib.training.ahead import ahead

BUDGETS = {"cpu": 2_048, "cuda": 131_072, "mps": 16_384}  # padded tokens of a batch; a CPU has a small cache
OTHER_BUDGET = 16_384  # of any other accelerator
WINDOW = 32_768  # texts that are tokenised and sorted together: their ids are in memory
PRECISIONS = ("float32", "bfloat16")  # of the products; weights and vectors are float32 in both

Batch = tuple[np.ndarray, list[Any]]  # which texts, and what is embedded of them


class Unpadded:
    """A BERT read at [CLS], without work on padding or on states that nobody reads (model/states.py)."""

    def __init__(self, model: SentenceTransformer):
        self.bert, self.tokenizer = model[0].model, model.tokenizer
        self.longest, self.has_length_one = model.max_seq_length, len(model) == 3

    def read(self, texts: Sequence[str], prompt: str) -> tuple[list[np.ndarray], list[int]]:
        """The ids of each text without [CLS] and [SEP], and its tokens with them."""
        fast = self.tokenizer.backend_tokenizer
        fast.no_truncation()
        fast.no_padding()
        found = fast.encode_batch_fast([prompt + text for text in texts], add_special_tokens=False)
        items = [np.asarray(text.ids[: self.longest - 2], dtype=np.int32) for text in found]
        return items, [len(ids) + 2 for ids in items]

    def embed(self, items: list[np.ndarray], prompt: str, side: str) -> Tensor:
        """(B, D), of ids; prompt and side are in them already."""
        ids, is_token = (part.to(self.bert.device) for part in pad(items, self.tokenizer))
        states = sentence_states(self.bert, ids, is_token).float()
        return normalize(states, dim=-1) if self.has_length_one else states


class Whole:
    """Any other model, by its own way through all its parts."""

    def __init__(self, model: SentenceTransformer):
        self.model = model
        counts = isinstance(model.tokenizer, PreTrainedTokenizerBase)
        self.counter = (
            deepcopy(model.tokenizer) if counts else None
        )  # its own: the model's is in use meanwhile

    def read(self, texts: Sequence[str], prompt: str) -> tuple[list[str], list[int]]:
        """The texts as they are, and their tokens; characters where it has no tokenizer of transformers."""
        longest, whole = self.model.max_seq_length or np.inf, [prompt + text for text in texts]
        if self.counter is not None:
            whole = self.counter(whole, verbose=False)["input_ids"]
        return list(texts), [max(1, min(len(text), longest)) for text in whole]

    def embed(self, items: list[str], prompt: str, side: str) -> Tensor:
        """(B, D), of texts."""
        asked = {"task": side} if side else {}
        features = self.model.preprocess(items, prompt=prompt or None, **asked)
        features = self.model(batch_to_device(features, self.model.device), **asked)
        return truncate_embeddings(features["sentence_embedding"], self.model.truncate_dim)


class Embedder:
    """An opened model that makes batches of texts and embeds them."""

    def __init__(self, model: SentenceTransformer, precision: str = "float32"):
        self.model, self.precision = model.float().eval(), precision
        self.way = Unpadded(model) if is_bert_read_at_cls(model) else Whole(model)
        self.has_sides = has_sides(model)
        self.width = self.embed(self.way.read([""], "")[0], "", "").shape[1]

    def batches(self, texts: Sequence[str], prompt: str, budget: int) -> Iterator[Batch]:
        """All texts in batches of similar length, longest first in a window; the next is read ahead."""
        starts = range(0, len(texts), WINDOW)
        windows = ahead(lambda start: self.way.read(texts[start : start + WINDOW], prompt), starts)
        for start, (items, lengths) in zip(starts, windows, strict=True):
            for rows in chunks(lengths, budget):
                yield rows + start, [items[row] for row in rows]

    @torch.inference_mode()
    def embed(self, items: list[Any], prompt: str, side: str) -> np.ndarray:
        """(B, D) float32 of what a batch holds."""
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.way.embed(items, prompt, side).float().cpu().numpy()


def has_sides(model: SentenceTransformer) -> bool:
    """Whether a model embeds queries and passages differently, beyond their prompts."""
    parts = list(model.modules())
    lengths = [getattr(part, f"{side}_length", None) for part in parts for side in ("query", "document")]
    return any(isinstance(part, Router) for part in parts) or any(lengths)


def is_bert_read_at_cls(model: SentenceTransformer) -> bool:
    """Whether a model is a plain BERT, pooling by [CLS], perhaps Normalize: then there is a faster way."""
    parts = list(model)
    if [type(part) for part in parts] not in ([Transformer, Pooling], [Transformer, Pooling, Normalize]):
        return False
    first, pooling = parts[:2]
    return (
        type(first.model) is BertModel
        and not first.model.config.is_decoder
        and pooling.pooling_mode == "cls"
        and pooling.include_prompt
        and all(part.module_output_name == "sentence_embedding" for part in parts[2:])
        and model.truncate_dim is None
        and has_plain_tokens(model, first)
    )


def has_plain_tokens(model: SentenceTransformer, first: Transformer) -> bool:
    """Whether texts become [CLS], their own tokens up to the longest, [SEP], on every side of a search."""
    tokenizer = model.tokenizer
    if set(first.modality_config) != {"text"} or first.processing_kwargs or first.query_expansion:
        return False
    if first.query_length or first.document_length or not getattr(tokenizer, "is_fast", False):
        return False
    if not 2 < model.max_seq_length <= first.config.max_position_embeddings:
        return False
    if tokenizer.truncation_side != "right":
        return False
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    return tokenizer("a")["input_ids"] == [tokenizer.cls_token_id, *plain, tokenizer.sep_token_id]
