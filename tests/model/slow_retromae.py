"""RetroMAE as the paper has it, in float64 and with loops over texts, places and heads.

Written from the formulas (arXiv 2205.12035, section 3; DupMAE: 2305.02564), with none of the library's code:
the model lends its weights alone. A text is a list of ids; nothing is padded.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

IGNORED = -100


@dataclass
class Hidden:
    """One text and what was hidden of it: all lists of L, and the rows the decoder may look at, L × L."""

    ids: list[int]
    masked: list[int]
    labels: list[int]  # of the encoder
    shown: list[int]  # to the decoder
    asked: list[bool]  # of the decoder
    visible: list[list[bool]]


def linear(part: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
    """One vector through one matrix, a product at a time."""
    weight, bias = part
    return torch.stack([(row * x).sum() + shift for row, shift in zip(weight, bias, strict=True)])


def scaled(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """One vector through a LayerNorm."""
    centred = x - x.sum() / len(x)
    return centred / ((centred**2).sum() / len(x) + norm.eps).sqrt() * norm.weight + norm.bias


def gelu(x: Tensor) -> Tensor:
    """The exact GELU."""
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def both(part: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias."""
    return part.weight, part.bias


@dataclass
class Layer:
    """The weights of a post-norm Transformer layer."""

    query: tuple[Tensor, Tensor]
    key: tuple[Tensor, Tensor]
    value: tuple[Tensor, Tensor]
    mix: tuple[Tensor, Tensor]
    norm_mix: nn.LayerNorm
    inner: tuple[Tensor, Tensor]
    outer: tuple[Tensor, Tensor]
    norm_mlp: nn.LayerNorm
    heads: int

    def place(self, asked: Tensor, context: list[Tensor], sees: list[bool]) -> Tensor:
        """The new state of one place: softmax(q · k / √(D/H)) over what it sees, head by head."""
        part, query, mixed = len(asked) // self.heads, linear(self.query, asked), []
        seen = [row for row, is_seen in zip(context, sees, strict=True) if is_seen]
        keys, values = [linear(self.key, row) for row in seen], [linear(self.value, row) for row in seen]
        for head in range(self.heads):
            own = slice(head * part, (head + 1) * part)
            scores = [math.exp((query[own] * key[own]).sum() / math.sqrt(part)) for key in keys]
            mixed.append(
                sum(score / sum(scores) * value[own] for score, value in zip(scores, values, strict=True))
            )
        states = scaled(self.norm_mix, asked + linear(self.mix, torch.cat(mixed)))
        return scaled(self.norm_mlp, states + linear(self.outer, gelu(linear(self.inner, states))))


def bert_layer(layer: nn.Module) -> Layer:
    """A layer of transformers' BERT."""
    inner, output = layer.attention.self, layer.attention.output
    return Layer(
        both(inner.query), both(inner.key), both(inner.value), both(output.dense), output.LayerNorm,
        both(layer.intermediate.dense), both(layer.output.dense), layer.output.LayerNorm,
        inner.num_attention_heads,
    )  # fmt: skip


def decoder_layer(decoder: nn.Module) -> Layer:
    """The decoder's layer."""
    weight, bias = both(decoder.to_key_value)
    width = weight.shape[1]
    return Layer(
        both(decoder.to_query), (weight[:width], bias[:width]), (weight[width:], bias[width:]),
        both(decoder.mix), decoder.norm_mix, both(decoder.mlp[0]), both(decoder.mlp[2]), decoder.norm_mlp,
        decoder.heads,
    )  # fmt: skip


def embedded(model: nn.Module, words: list[Tensor]) -> list[Tensor]:
    """Some vectors as the words of a text: with place and kind, through the LayerNorm."""
    parts = model.language_model.bert.embeddings
    places, kind = parts.position_embeddings.weight, parts.token_type_embeddings.weight[0]
    return [scaled(parts.LayerNorm, word + places[i] + kind) for i, word in enumerate(words)]


def looked_up(model: nn.Module, ids: list[int]) -> list[Tensor]:
    """The vectors of words."""
    table = model.language_model.bert.embeddings.word_embeddings.weight
    return [table[i] for i in ids]


def encoded(model: nn.Module, ids: list[int]) -> list[Tensor]:
    """The last states of a text."""
    states = embedded(model, looked_up(model, ids))
    for layer in map(bert_layer, model.language_model.bert.encoder.layer):
        states = [layer.place(state, states, [True] * len(states)) for state in states]
    return states


def scores(model: nn.Module, state: Tensor) -> Tensor:
    """The scores of all words, from one state, by the tied head."""
    head = model.language_model.cls.predictions
    state = scaled(head.transform.LayerNorm, gelu(linear(both(head.transform.dense), state)))
    table = model.language_model.bert.embeddings.word_embeddings.weight
    return linear((table, head.bias), state)


def surprise(logits: Tensor, word: int) -> float:
    """-log softmax(logits)[word]."""
    return float(logits.exp().sum().log() - logits[word])


def losses(model: nn.Module, text: Hidden, basic: bool) -> dict[str, float]:
    """The summed losses of one text, and its bag of words."""
    states, layer = encoded(model, text.masked), decoder_layer(model.decoder)
    sentence, L = states[0], len(text.ids)
    context = [sentence, *embedded(model, looked_up(model, text.shown))[1:]]
    queries = context if basic else embedded(model, [sentence] * L)
    visible = [[True] * L] * L if basic else text.visible
    found = {"encoder": 0.0, "decoder": 0.0, "bag_of_words": 0.0}
    for i in range(L):
        if text.labels[i] != IGNORED:
            found["encoder"] += surprise(scores(model, states[i]), text.labels[i])
        if text.asked[i]:
            rebuilt = layer.place(queries[i], context, visible[i])
            found["decoder"] += surprise(scores(model, rebuilt), text.ids[i])
    if words := set(text.ids[1:-1]):
        pooled = torch.stack([scores(model, state) for state in states[1:]]).max(dim=0).values
        found["bag_of_words"] = sum(surprise(pooled, word) for word in words) / len(words)
    return found
