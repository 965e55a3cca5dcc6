"""Checkpoints: safetensors and JSON in one folder, written aside and renamed, so always whole."""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer


def save_checkpoint(folder: Path, step: int, model: nn.Module, optimizer: Optimizer, keep: int = 1) -> None:
    """Write `checkpoint-STEP/` with weights and optimiser state after `step` steps; the last `keep` stay."""
    states = optimizer.state_dict()["state"]
    moments = {f"{i}.{name}": value for i, state in states.items() for name, value in state.items()}
    parts = {"weights": model.state_dict(), "optimizer": moments}
    write_whole(folder / f"checkpoint-{step:07d}", parts, {"step": step})
    for old in sorted(folder.glob("checkpoint-*"))[:-keep]:
        shutil.rmtree(old)


def write_whole(final: Path, parts: dict[str, dict[str, torch.Tensor]], state: dict[str, float]) -> None:
    """A folder of safetensors and state.json, on the disk before it has its name; one that is there stays."""
    if final.exists():  # the same step of the same run
        return
    aside = final.with_name(".checkpoint.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name, tensors in parts.items():
        save_file(own(tensors), aside / f"{name}.safetensors")
    (aside / "state.json").write_text(json.dumps(state))
    for path in (*aside.iterdir(), aside):
        on_disk(path)
    aside.rename(final)
    on_disk(final.parent)


def on_disk(path: Path) -> None:
    """Wait until a file or folder survives a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def own(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, tied ones copied: safetensors refuses two names for one memory."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        found[name] = tensor.clone() if tensor.data_ptr() in seen else tensor.contiguous()
        seen.add(tensor.data_ptr())
    return found


def last_checkpoint(folder: Path) -> Path | None:
    """The latest whole checkpoint, if there is one."""
    return max(folder.glob("checkpoint-*"), default=None)


def load_checkpoint(place: Path, model: nn.Module, optimizer: Optimizer) -> int:
    """Bring model and optimiser back to a checkpoint: the number of steps done."""
    model.load_state_dict(load_file(place / "weights.safetensors"))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(place / "optimizer.safetensors").items():
        number, _, part = name.partition(".")
        state.setdefault(int(number), {})[part] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return told(place)["step"]


class Best:
    """The weights with the highest score so far, in `best-STEP/`, exact over any interruption.

    Older ones go when a checkpoint makes sure that nobody comes back to before the newest.
    """

    def __init__(self, folder: Path, done: int):
        self.folder = folder
        for place in self.places():
            if told(place)["step"] > done:  # it will be made again
                shutil.rmtree(place)

    def places(self) -> list[Path]:
        """What is kept, the best last."""
        return sorted(self.folder.glob("best-*"))

    def note(self, step: int, score: float, model: nn.Module) -> None:
        """Keep the weights if they score higher than any before."""
        places = self.places()
        if not places or score > told(places[-1])["score"]:
            final = self.folder / f"best-{step:07d}"
            write_whole(final, {"weights": model.state_dict()}, {"step": step, "score": score})

    def settle(self) -> None:
        """Forget all but the best: a checkpoint has been written."""
        for place in self.places()[:-1]:
            shutil.rmtree(place)

    def give_back(self, model: nn.Module) -> None:
        """Bring the model to the best weights."""
        model.load_state_dict(load_file(self.places()[-1] / "weights.safetensors"))


def told(place: Path) -> dict[str, float]:
    """The step of a checkpoint, and its score if it has one."""
    return json.loads((place / "state.json").read_text())
