"""BERT's states without waste: no work on padding, and in the last layer none but for the sentence.

The weights stay where transformers has them; only the way through them is ours. What follows from a text
is the same to rounding (tests/model/test_states.py).

Axes: B texts, L tokens of the longest, T tokens of all texts, D width, H heads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from transformers import BertModel

from cpack_lib.model.dropout import dropped

HALVES = (torch.bfloat16, torch.float16)  # what the kernel for uneven texts takes


class Way(NamedTuple):
    """How a forward pass is made: what it costs, never what it gives.

    `recompute` keeps a layer's input alone and computes the rest again on the way back: less memory, a third
    more time. `compiled` lets torch.compile fuse what follows attention; it takes a minute to begin.
    """

    recompute: bool = False
    compiled: bool = False


PLAIN = Way()


@dataclass(frozen=True)
class Layout:
    """Where the T real tokens of a padded batch (B, L) stand."""

    is_token: Tensor  # (B, L) bool
    places: Tensor  # (T,) into B · L
    starts: Tensor  # (B + 1,) int32: the first token of each text, and T

    @classmethod
    def of(cls, is_token: Tensor) -> "Layout":
        """The layout of a batch in which every text begins at the left."""
        starts = torch.zeros(len(is_token) + 1, dtype=torch.int32, device=is_token.device)
        torch.cumsum(is_token.sum(dim=1), dim=0, out=starts[1:])
        return cls(is_token, is_token.flatten().nonzero()[:, 0], starts)

    @property
    def full(self) -> bool:
        """Whether there is no padding."""
        return len(self.places) == self.is_token.numel()

    def spread(self, rows: Tensor) -> Tensor:
        """(T, D) -> (B, L, D), zeros at the padding."""
        if not self.full:
            padded = rows.new_zeros(self.is_token.numel(), rows.shape[1])
            rows = padded.index_copy(0, self.places, rows)
        return rows.view(*self.is_token.shape, rows.shape[1])

    def gather(self, padded: Tensor) -> Tensor:
        """(B, L, D) -> (T, D)."""
        rows = padded.reshape(-1, padded.shape[-1])
        return rows if self.full else rows.index_select(0, self.places)


def token_states(bert: BertModel, ids: Tensor, is_token: Tensor, way: Way = PLAIN) -> Tensor:
    """The last layer's states of all tokens: (B, L), (B, L) bool -> (B, L, D), zeros at the padding."""
    layout = Layout.of(is_token)
    x = embedded(bert, ids, layout)  # (T, D)
    for layer in bert.encoder.layer:
        x = passed(layer, x, layout, way)
    return layout.spread(x)


def sentence_states(bert: BertModel, ids: Tensor, is_token: Tensor, way: Way = PLAIN) -> Tensor:
    """The last layer's state of each text's first token, [CLS]: (B, L), (B, L) bool -> (B, D).

    The last layer's other states are read by nobody, so they are not computed: of two layers that saves more
    than a third of the work, of twelve a thirteenth.
    """
    layout = Layout.of(is_token)
    x = embedded(bert, ids, layout)  # (T, D)
    *lower, last = bert.encoder.layer
    for layer in lower:
        x = passed(layer, x, layout, way)
    return first_token(last, x, layout, way)


def embedded(bert: BertModel, ids: Tensor, layout: Layout) -> Tensor:
    """Word, place and type of each token: (B, L) -> (T, D)."""
    parts, L = bert.embeddings, ids.shape[1]
    words = parts.word_embeddings(ids.flatten()[layout.places])
    positions = parts.position_embeddings.weight[:L][layout.places % max(1, L)]
    return dropped(parts.LayerNorm(words + positions + parts.token_type_embeddings.weight[0]), parts.dropout)


def passed(layer: nn.Module, x: Tensor, layout: Layout, way: Way) -> Tensor:
    """One layer, of which everything or its input alone is kept for the way back: (T, D) -> (T, D)."""
    if way.recompute and torch.is_grad_enabled():
        return checkpoint(every_token, layer, x, layout, way, use_reentrant=False)
    return every_token(layer, x, layout, way)


def every_token(layer: nn.Module, x: Tensor, layout: Layout, way: Way) -> Tensor:
    """One layer: (T, D) -> (T, D)."""
    inner = layer.attention.self
    weight, bias = joined(inner.query, inner.key, inner.value)
    mixed = attended(*linear(x, weight, bias).chunk(3, dim=-1), inner, layout)
    return finishing(way)(layer, x, mixed)


def first_token(layer: nn.Module, x: Tensor, layout: Layout, way: Way) -> Tensor:
    """One layer for the first token of each text: (T, D) -> (B, D). All tokens are looked at."""
    inner, H = layer.attention.self, layer.attention.self.num_attention_heads
    weight, bias = joined(inner.key, inner.value)
    keys, values = (heads(layout.spread(part), H) for part in linear(x, weight, bias).chunk(2, dim=-1))
    x = x.index_select(0, layout.starts[:-1])
    query = heads(inner.query(x)[:, None], H)  # (B, H, 1, D/H)
    mixed = mix(query, keys, values, None if layout.full else layout.is_token[:, None, None], inner)
    return finishing(way)(layer, x, mixed.flatten(1))


def joined(*parts: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of several linear maps of one input as one."""
    return torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])


def heads(padded: Tensor, H: int) -> Tensor:
    """(B, L, D) -> (B, H, L, D/H)."""
    return padded.unflatten(-1, (H, -1)).transpose(1, 2)


def attended(query: Tensor, key: Tensor, value: Tensor, inner: nn.Module, layout: Layout) -> Tensor:
    """Attention within each text, (T, D) three times -> (T, D)."""
    H = inner.num_attention_heads
    if query.is_cuda and query.dtype in HALVES and not (inner.training and inner.dropout.p):
        parts = (part.unflatten(-1, (H, -1)) for part in (query, key, value))  # (T, H, D/H)
        longest = layout.is_token.shape[1]
        return varlen_attn(*parts, layout.starts, layout.starts, longest, longest).flatten(1)
    parts = (heads(layout.spread(part), H) for part in (query, key, value))
    mask = None if layout.full else layout.is_token[:, None, None]
    return layout.gather(mix(*parts, mask, inner).transpose(1, 2).flatten(2))


def mix(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, inner: nn.Module) -> Tensor:
    """softmax(query · key) · value: (B, H, Q, D/H), (B, H, L, D/H) twice -> (B, H, Q, D/H).

    `mask` (B, 1, 1 or Q, L) is true where may be looked at. To train on a CPU three plain products are the
    faster way: the fused kernel's way back is slow for short texts (LOG.md), and its dropout, too.
    """
    p = inner.dropout.p if inner.training else 0.0
    if query.is_cuda or not inner.training:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=p)
    scores = (query @ key.transpose(-1, -2)).mul(query.shape[-1] ** -0.5)  # (B, H, Q, L)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return dropped(scores.softmax(dim=-1).to(value.dtype), inner.dropout) @ value


def finishing(way: Way) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """`after_attention`, compiled if that is the way."""
    return compiled() if way.compiled else after_attention


@cache
def compiled() -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """`after_attention` compiled, for any number of rows; made when it is first asked for."""
    return torch.compile(after_attention, dynamic=True)


def after_attention(layer: nn.Module, x: Tensor, mixed: Tensor) -> Tensor:
    """The rest of a layer, for any rows: what they were and what attention found -> their new states."""
    output = layer.attention.output
    x = output.LayerNorm(x + dropped(output.dense(mixed), output.dropout))
    inner = layer.intermediate.intermediate_act_fn(layer.intermediate.dense(x))
    return layer.output.LayerNorm(x + dropped(layer.output.dense(inner), layer.output.dropout))
