"""All diagnostics that a model alone allows: its vectors, pooling, tokens, prompts, and its numbers.

Axes: N texts, L tokens, D width.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn
from torch.nn.functional import normalize

from cpack_lib.evaluation.diagnosis.findings import Finding, judged
from cpack_lib.evaluation.diagnosis.space import (
    POOLINGS,
    crowded_space,
    few_dimensions,
    halves,
    hubs,
    pooled,
    vectors_finite,
    wrong_pooling,
)
from cpack_lib.evaluation.diagnosis.texts import (
    ids_without_a_row,
    rows_without_an_id,
    too_long_for_the_model,
    truncated_texts,
    unknown_tokens,
)

TEXTS_PER_BATCH = 32
FEW = 64  # texts whose activations are looked at
HIGHEST = torch.finfo(torch.float16).max  # 65,504


def look_at_model(model: SentenceTransformer, texts: Sequence[str]) -> tuple[list[Finding], list[str]]:
    """What some texts tell of a model, and a sentence for each thing that it does not allow to look at."""
    texts, model = list(texts), model.eval()
    vectors = encoded(model, texts)  # (N, D)
    finite, first = vectors_finite(vectors), model[0]
    findings = [finite]
    if not finite.fires:
        findings += [crowded_space(vectors), few_dimensions(vectors), hubs(vectors)]
    if not isinstance(first, Transformer):
        return findings, [f"tokens, pooling and numbers: {type(first).__name__} is no Transformer"]
    findings += look_at_tokens(model, texts)
    if finite.fires:
        return findings, ["space, pooling and numbers: the vectors are none"]
    with largest_numbers(model) as largest:
        encoded(model, texts[:FEW])
    findings.append(float16_overflow(largest))
    found, missed = look_at_pooling(model, texts)
    return findings + found, missed


def encoded(model: SentenceTransformer, texts: list[str]) -> np.ndarray:
    """The vectors of texts by the model's own way through all its parts: (N, D)."""
    return model.encode(texts, batch_size=TEXTS_PER_BATCH, show_progress_bar=False)


def look_at_tokens(model: SentenceTransformer, texts: list[str]) -> list[Finding]:
    """What the tokenizer, the table of token embeddings and the length limit make of the texts."""
    tokenizer, backbone = model.tokenizer, model[0].model
    ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    rows = backbone.get_input_embeddings().num_embeddings
    ends = tokenizer.num_special_tokens_to_add()
    longest, positions = model.max_seq_length, getattr(backbone.config, "max_position_embeddings", None)
    findings = [ids_without_a_row(len(tokenizer), rows), rows_without_an_id(len(tokenizer), rows)]
    if tokenizer.unk_token_id is not None:
        findings.append(unknown_tokens(ids, tokenizer.unk_token_id))
    if longest:
        findings.append(truncated_texts([len(row) + ends for row in ids], longest))
    if longest and positions:
        findings.append(too_long_for_the_model(longest, positions))
    return findings


def look_at_pooling(model: SentenceTransformer, texts: list[str]) -> tuple[list[Finding], list[str]]:
    """Whether the halves of texts find each other better by another pooling."""
    used = next((part.pooling_mode for part in model if isinstance(part, Pooling)), None)
    used = used[0] if isinstance(used, tuple) and len(used) == 1 else used
    first, second = halves(texts)
    if used not in POOLINGS:
        return [], [f"pooling: the model pools by {used}, which is none of {', '.join(POOLINGS)}"]
    if len(first) < 2:
        return [], ["pooling: the texts are too short to be cut in halves"]
    one, other = by_pooling(model, first), by_pooling(model, second)
    return [wrong_pooling({name: (one[name], other[name]) for name in POOLINGS}, used)], []


@torch.inference_mode()
def by_pooling(model: SentenceTransformer, texts: list[str]) -> dict[str, np.ndarray]:
    """The vectors of the texts (N, D) by each pooling of the last states, each of length one."""
    order = np.argsort([-len(text) for text in texts], kind="stable")  # little padding in a batch
    found: dict[str, list[np.ndarray]] = {name: [] for name in POOLINGS}
    for start in range(0, len(texts), TEXTS_PER_BATCH):
        some = [texts[row] for row in order[start : start + TEXTS_PER_BATCH]]
        given = model[0](batch_to_device(model.preprocess(some), model.device))
        states, is_token = given["token_embeddings"].float(), given["attention_mask"].bool()
        for name in POOLINGS:
            found[name].append(normalize(pooled(states, is_token, name), dim=-1).cpu().numpy())
    return {name: np.concatenate(parts)[np.argsort(order)] for name, parts in found.items()}


def float16_overflow(largest: Mapping[str, float]) -> Finding:
    """Part of a model -> the largest absolute number it gave in float32, beside float16's highest, 65,504."""
    part = max(largest, key=lambda name: largest[name] if math.isfinite(largest[name]) else math.inf)
    share = largest[part] / HIGHEST if math.isfinite(largest[part]) else math.inf
    return judged(
        "float16 overflow",
        share,
        f"{part} gives numbers up to {largest[part]:,.0f}; float16 ends at {HIGHEST:,.0f}",
        "precision bfloat16, which has the range of float32, or float32; float16 makes infinity of these "
        "numbers, and NaN of infinity less infinity",
    )


@contextmanager
def largest_numbers(model: nn.Module) -> Iterator[dict[str, float]]:
    """While the block runs, the largest absolute number that each innermost part of a model has given."""
    found: dict[str, float] = {}

    def note(name: str) -> Callable:
        def hook(_: nn.Module, __: tuple, given: object) -> None:
            if isinstance(given, Tensor) and given.is_floating_point() and given.numel():
                found[name] = max(found.get(name, 0.0), float(given.detach().abs().max()))

        return hook

    leaves = [(name, part) for name, part in model.named_modules() if not list(part.children())]
    hooks = [part.register_forward_hook(note(name)) for name, part in leaves]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
