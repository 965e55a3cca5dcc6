"""Merging: one encoder whose weights are the average of others', as BGE v1.5 and LM-Cocktail make it.

v1.5 is the average of a model trained with the instruction and one trained without, so that the instruction
became optional (paper.md 4.2).  LM-Cocktail: arXiv 2311.13534.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from cpack_lib.model.encoder import Encoder, load_encoder, save_encoder
from cpack_lib.model.instructions import saved_prompts
from cpack_lib.model.quiet import quietly

OF_NO_MATTER = {  # of a configuration: names, and what is for training alone
    "_name_or_path",
    "architectures",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "dtype",
    "hidden_dropout_prob",
    "initializer_range",
    "transformers_version",
    "use_cache",
}


def merge_encoders(
    folders: Sequence[Path],
    folder: Path,
    shares: Sequence[float] | None = None,
    prompts: Mapping[str, str] | None = None,
) -> None:
    """Write to `folder` the encoder whose weights are the average of others', saved by sentence-transformers.

    `shares` weigh them, relative to each other; without them all count alike. The sum is taken in float64.
    `prompts` are saved with it, by name; they may be left out where all folders have the same. ValueError
    where shapes, tokenizers or limits of length differ, or prompts do and none are given.
    """
    shares = [1.0] * len(folders) if shares is None else list(shares)
    check_shares(folders, shares)
    first = load_encoder(folders[0])
    longest, prompts = saved_longest(folders[0]), agreed_prompts(folders) if prompts is None else prompts
    total = sum(shares)
    mean = {name: value.double() * (shares[0] / total) for name, value in floats(first.backbone)}
    for place, share in zip(folders[1:], shares[1:], strict=True):
        other = load_encoder(place)
        check_alike(first, other, folders[0], place)
        if saved_longest(place) != longest:
            raise ValueError(
                f"{folders[0]} reads {longest} tokens of a text and {place} {saved_longest(place)}; "
                "save them with one limit"
            )
        for name, value in floats(other.backbone):
            mean[name].add_(value.double(), alpha=share / total)
    with torch.no_grad():
        for name, value in floats(first.backbone):
            value.copy_(mean[name])
    save_encoder(first, folder, longest=longest, prompts=prompts)


def floats(backbone: nn.Module) -> list[tuple[str, Tensor]]:
    """Name and value of all that is averaged."""
    return [(name, value) for name, value in backbone.state_dict().items() if value.is_floating_point()]


def check_shares(folders: Sequence[Path], shares: Sequence[float]) -> None:
    """Refuse shares of which no average can be made."""
    if len(folders) < 2 or len(shares) != len(folders):
        raise ValueError(
            f"{len(folders)} encoders with {len(shares)} shares cannot be averaged; name two encoders or "
            "more, and one share for each"
        )
    if not all(0 <= share < math.inf for share in shares) or not sum(shares) > 0:
        raise ValueError(f"shares are {list(shares)}; they have to be 0 or above, and one of them above 0")


def check_alike(first: Encoder, other: Encoder, here: Path, there: Path) -> None:
    """Refuse encoders whose weights do not stand for the same things."""
    shapes = [{name: tuple(value.shape) for name, value in floats(each.backbone)} for each in (first, other)]
    for name in sorted(shapes[0].keys() | shapes[1].keys()):
        if shapes[0].get(name) != shapes[1].get(name):
            raise ValueError(
                f"{name} is {shapes[0].get(name, 'absent')} in {here} and {shapes[1].get(name, 'absent')} in "
                f"{there}; only encoders of one shape can be averaged"
            )
    kept = [each.backbone.config.to_dict() for each in (first, other)]
    for name in sorted((kept[0].keys() | kept[1].keys()) - OF_NO_MATTER):
        if kept[0].get(name) != kept[1].get(name):
            raise ValueError(
                f"{name} is {kept[0].get(name)} in {here} and {kept[1].get(name)} in {there}; only encoders "
                "that are built alike can be averaged"
            )
    if rules(first) != rules(other):
        raise ValueError(
            f"{here} and {there} have different tokenizers, so one row of their tables means two words"
        )


def rules(encoder: Encoder) -> str:
    """All that a tokenizer does, but for a cut or padding that somebody asked for last."""
    told = json.loads(encoder.tokenizer.backend_tokenizer.to_str())
    return json.dumps(told | {"truncation": None, "padding": None}, sort_keys=True)


def agreed_prompts(folders: Sequence[Path]) -> dict[str, str]:
    """The prompts of all folders, where they are the same."""
    found = {folder: saved_prompts(folder) for folder in folders}
    first = found[folders[0]]
    for folder, told in found.items():
        if told != first:
            raise ValueError(
                f"{folders[0]} has the prompts {first} and {folder} {told}; say with `prompts` which the "
                "average is to have"
            )
    return first


def saved_longest(folder: Path) -> int:
    """Tokens that a saved encoder reads of a text."""
    with quietly():
        return SentenceTransformer(str(folder), device="cpu").max_seq_length
