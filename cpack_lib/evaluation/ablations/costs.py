"""What an encoder of some size holds and what a text costs it: parameters, and FLOP of its matrix products.

A product counts twice, once to multiply and once to add. What is no product (softmax, LayerNorm) is left out.
Axes: L tokens of a text, D width, I width of the feed-forward part.
"""

import torch

from cpack_lib.model.encoder import SIZES, new_language_model

TRAINING = 3  # a forward pass, and two products of its size on the way back


def parameters_of(size: str, vocabulary: int) -> tuple[int, int]:
    """All weights of an encoder, and those of its layers alone: without the tables of tokens and places."""
    with torch.device("meta"):
        bert = new_language_model(size, vocabulary).bert
    layers = sum(weight.numel() for weight in bert.encoder.parameters())
    return layers + sum(weight.numel() for weight in bert.embeddings.parameters()), layers


def flop_of_text(size: str, tokens: float) -> float:
    """Products of a text of L tokens, forward; of the last layer only the state of [CLS] is computed."""
    layers, D, _, inner = SIZES[size]
    whole = tokens * 2 * (4 * D * D + 2 * D * inner) + 4 * tokens * tokens * D
    last = tokens * 2 * 2 * D * D + 2 * (2 * D * D + 2 * D * inner) + 4 * tokens * D
    return (layers - 1) * whole + last


def flop_of_pairs(size: str, tokens: float, pairs: float) -> float:
    """Products of a training that sees so many pairs, two texts of L tokens each, all embedded once."""
    return TRAINING * 2 * pairs * flop_of_text(size, tokens)
