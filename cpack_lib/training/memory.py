"""Memory: what a forward pass keeps, measured; and before the first step, whether a run will fit."""

import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from cpack_lib.training.ranks import Ranks
from cpack_lib.training.settings import Settings
from cpack_lib.work.measure import GIB, KIB, peak_gib

PASSING = 1.5  # of what a chunk keeps is held beside it for a moment on the way there and back
FEWEST = 64  # tokens of a chunk that is proposed
MEMORY = ("tokens_per_chunk", "activations_gib", "recompute")  # settings that change it, and no result


class Weighed(Protocol):
    """What an objective tells of its memory."""

    model: nn.Module

    def sample(self, settings: Settings, texts: int) -> Callable[[], Tensor]:
        """A forward pass over so many of the longest texts."""

    def places(self) -> int:
        """Padded tokens of this process's texts of a step, at most."""

    def besides(self) -> int:
        """Bytes of a step that belong to no chunk: embeddings, scores, what is gathered."""


def kept_bytes(forward: Callable[[], Tensor], model: nn.Module) -> int:
    """Bytes that autograd keeps of one forward pass, each memory once and the weights left out."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        kept[memory.data_ptr()] = memory.nbytes()
        return tensor.detach()  # the tensor itself would hold its own history, for ever

    with saved_tensors_hooks(note, lambda tensor: tensor):
        forward()
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    return sum(size for place, size in kept.items() if place not in weights)


def estimate(objective: Weighed, settings: Settings, longest: int, size: int = 1) -> dict[str, float]:
    """GiB that a step needs beyond the weights, by part.

    What a token keeps is the slope between a forward pass of one and of three of the longest texts.
    """
    one, three = (kept_bytes(objective.sample(settings, texts), objective.model) for texts in (1, 3))
    a_place = max(0, three - one) / (2 * longest)
    chunk = a_place * max(settings.tokens_per_chunk, longest)
    rest = max(0.0, a_place * objective.places() - chunk)
    trained = sum(weight.numel() for weight in objective.model.parameters() if weight.requires_grad)
    copies = 3 if size == 1 else 4  # gradients, two moments, and what is summed over processes
    bytes_of = {
        "gradients and moments": 4 * trained * copies,
        "one chunk": chunk * (1 + PASSING),
        "kept chunks": min(settings.activations_gib * GIB, rest),
        "embeddings and scores": objective.besides(),
    }
    return {name: value / GIB for name, value in bytes_of.items()}


def free_gib(ranks: Ranks, settings: Settings) -> float:
    """Memory left for this process: what the settings say, or else its part of what the machine has free."""
    if settings.memory_gib:
        return settings.memory_gib
    if ranks.device.type == "cuda":
        return torch.cuda.mem_get_info(ranks.device)[0] / GIB
    return machine_gib() / int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def machine_gib() -> float:
    """Memory that is free on this machine, GiB; all there is where the system does not say."""
    table = Path("/proc/meminfo")
    lines = dict(line.split(":") for line in table.read_text().splitlines()) if table.exists() else {}
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (int(lines["MemAvailable"].split()[0]) * KIB if "MemAvailable" in lines else whole) / GIB


def most_held(ranks: Ranks) -> float:
    """GiB that this process has held at most."""
    if ranks.device.type == "cuda":
        return torch.cuda.max_memory_allocated(ranks.device) / GIB
    return peak_gib()


def will_fit(objective: Weighed, settings: Settings, longest: int, ranks: Ranks) -> dict[str, float]:
    """The estimate, where it fits into what is free; else MemoryError with the settings that would fit."""
    free, parts = free_gib(ranks, settings), estimate(objective, settings, longest, ranks.size)
    if sum(parts.values()) <= free:
        return parts | {"free": free}
    told = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
    smaller = fitting(objective, settings, longest, ranks.size, free)
    remedy = (
        "no smaller chunks fit either: take a smaller model, fewer rows_per_step, a smaller group_size or "
        "more processes"
        if smaller is None
        else f"set {', '.join(f'{name} to {value}' for name, value in smaller.items())}"
    )
    raise MemoryError(
        f"a step needs {sum(parts.values()):.2f} GiB beside the weights ({told}), "
        f"{free:.2f} are free; {remedy}"
    )


def fitting(
    objective: Weighed, settings: Settings, longest: int, size: int, free: float
) -> dict[str, float] | None:
    """The first change of what does not change results that fits: less kept, smaller chunks, recomputing."""
    for recompute in (settings.recompute, True):
        tokens = settings.tokens_per_chunk
        while tokens >= min(FEWEST, settings.tokens_per_chunk):
            lean = replace(settings, tokens_per_chunk=tokens, activations_gib=0.001, recompute=recompute)
            left = free - sum(estimate(objective, lean, longest, size).values())
            if left >= 0:
                roomy = replace(lean, activations_gib=max(0.001, round(0.8 * left, 3)))
                given = asdict(settings)
                return {name: value for name in MEMORY if (value := getattr(roomy, name)) != given[name]}
            tokens //= 2
    return None
