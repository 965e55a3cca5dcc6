"""Checkpoints: safetensors and JSON in one folder, written aside and renamed, so always whole."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer


def save_checkpoint(folder: Path, step: int, model: nn.Module, optimizer: Optimizer, keep: int = 1) -> None:
    """Write `checkpoint-STEP/` with weights and optimiser state after `step` steps; the last `keep` stay."""
    aside, final = folder / ".checkpoint.new", folder / f"checkpoint-{step:07d}"
    for old in (aside, final):
        shutil.rmtree(old, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file(own(model.state_dict()), aside / "weights.safetensors")
    states = optimizer.state_dict()["state"]
    moments = {f"{i}.{name}": value for i, state in states.items() for name, value in state.items()}
    save_file(own(moments), aside / "optimizer.safetensors")
    (aside / "state.json").write_text(json.dumps({"step": step}))
    aside.rename(final)
    for old in sorted(folder.glob("checkpoint-*"))[:-keep]:
        shutil.rmtree(old)


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
    return json.loads((place / "state.json").read_text())["step"]
