"""The loop: steps, a log line each, checkpoints; killed at any moment, it goes on with the same batches.

Start it as a program: `python -m cpack_lib.training.loop FOLDER/config.json`. It writes into FOLDER.
"""

import json
import math
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from cpack_lib.training.batches import Plan
from cpack_lib.training.checkpoints import last_checkpoint, load_checkpoint, save_checkpoint
from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.settings import Settings, read_settings

MATRIX = 2  # axes of a weight that decays; biases and LayerNorm have one


def train(settings: Settings, folder: Path) -> None:
    """Run all steps that are not done yet, then write what the next stage reads."""
    torch.manual_seed(settings.seed)
    objective = OBJECTIVES[settings.objective](settings, folder)
    plan = Plan(objective.rows, settings.rows_per_step, settings.seed, settings.mixing, objective.sources)
    optimizer = new_optimizer(objective.model, settings)
    place = last_checkpoint(folder)
    done = load_checkpoint(place, objective.model, optimizer) if place else 0
    objective.model.train()
    with opened_log(folder / "log.jsonl", done) as log:
        for step in range(done, settings.steps):
            line = take_step(objective, plan, optimizer, settings, step)
            log.write(json.dumps(line) + "\n")
            log.flush()
            if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
                save_checkpoint(folder, step + 1, objective.model, optimizer)
    objective.model.eval()
    objective.save(folder)


def take_step(objective, plan: Plan, optimizer, settings: Settings, step: int) -> dict[str, float]:
    """One optimiser step; its random numbers depend on (seed, step) alone. Returns its line of the log."""
    started = time.perf_counter()
    torch.manual_seed(int(np.random.SeedSequence([settings.seed, step]).generate_state(1)[0]))
    rows = plan.step(step)
    optimizer.zero_grad(set_to_none=True)
    facts = objective.backward(rows)
    norm = float(clip_grad_norm_(objective.model.parameters(), settings.gradient_norm))
    if not math.isfinite(facts["loss"]) or not math.isfinite(norm):
        raise FloatingPointError(
            f"step {step}: loss {facts['loss']}, gradient norm {norm}; rows {rows[:20].tolist()} and "
            f"{max(0, len(rows) - 20)} more; lower learning_rate, or raise temperature"
        )
    rate = settings.learning_rate * schedule(step, settings.steps, settings.warmup_share)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    seconds = round(time.perf_counter() - started, 4)
    line = {"step": step + 1, "steps": settings.steps, **facts}
    return line | {"learning_rate": rate, "gradient_norm": norm, "seconds": seconds}


def schedule(step: int, steps: int, warmup_share: float) -> float:
    """Share of the peak learning rate at a step counted from 0: up linearly, then down linearly to 0."""
    warmup = max(1, round(steps * warmup_share))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup + 1))


def new_optimizer(model: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW; only matrices decay."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in weights if w.dim() >= MATRIX], "weight_decay": settings.weight_decay},
        {"params": [w for w in weights if w.dim() < MATRIX], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, fused=True)


def opened_log(path: Path, done: int) -> TextIO:
    """The log, open for more lines, without those that were written after the last checkpoint."""
    if path.exists():
        lines = [line for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]
        kept = [line for line in lines if json.loads(line)["step"] <= done]
        aside = path.with_name(f".{path.name}.new")
        aside.write_text("".join(kept), "utf-8")
        aside.rename(path)
    return path.open("a", encoding="utf-8")


if __name__ == "__main__":
    configuration = Path(sys.argv[1])
    train(read_settings(configuration), configuration.parent)
