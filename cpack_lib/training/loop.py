"""The loop: steps, a log line each, checkpoints; killed at any moment, it goes on with the same batches.

Start it as a program: `python -m cpack_lib.training.loop FOLDER/config.json`, or with `torchrun -m` on
several processes. It writes into FOLDER.
"""

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from cpack_lib.training.ahead import ahead
from cpack_lib.training.batches import Plan
from cpack_lib.training.checkpoints import last_checkpoint, load_checkpoint, save_checkpoint
from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.ranks import ALONE, Ranks, join, leave
from cpack_lib.training.settings import Settings, read_settings

AGAIN = 75  # exit code of a run that stopped on request and goes on when started again: EX_TEMPFAIL
MATRIX = 2  # axes of a weight that decays; biases and LayerNorm have one


def train(settings: Settings, folder: Path, ranks: Ranks = ALONE) -> bool:
    """Run all steps that are not done yet, then write what the next stage reads; False if it stopped before.

    It stops after a checkpoint when SIGTERM or SIGUSR1 asks for it, or `settings.minutes` are over.
    """
    stop = Stop(settings.minutes)
    torch.manual_seed(settings.seed)
    objective = in_turn(ranks, lambda: OBJECTIVES[settings.objective](settings, folder, ranks))
    plan = Plan(objective.rows, settings.rows_per_step, settings.seed, settings.mixing, objective.sources)
    optimizer = new_optimizer(objective.model, settings)
    place = last_checkpoint(folder)
    done = load_checkpoint(place, objective.model, optimizer) if place else 0
    ranks.wait()
    objective.model.train()
    with opened_log(folder / "log.jsonl", done) if ranks.rank == 0 else nullcontext() as log:
        coming = ahead(lambda step: objective.prepare(plan.step(step)), range(done, settings.steps))
        for step in range(done, settings.steps):
            with objective.clock("data"):
                prepared = next(coming)
            try:
                line, stopped = take_step(objective, prepared, optimizer, settings, step, ranks, stop)
            except NotFinite as failure:
                raise refuse(folder, step, failure, plan.step(step)) from None
            if log is not None:
                log.write(json.dumps(line) + "\n")
                log.flush()
            due = (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps or stopped
            if due and ranks.rank == 0:
                save_checkpoint(folder, step + 1, objective.model, optimizer, settings.keep_checkpoints)
            if stopped and step + 1 < settings.steps:
                ranks.wait()  # for the checkpoint: torchrun ends the others as soon as one is gone
                return False
    objective.model.eval()
    if ranks.rank == 0:
        objective.save(folder)
    ranks.wait()
    return True


class Stop:
    """Whether to stop: asked for by SIGTERM or SIGUSR1 (a scheduler's warning), or the time is over."""

    def __init__(self, minutes: float):
        self.signalled, self.end = False, time.monotonic() + 60 * minutes if minutes else math.inf
        if threading.current_thread() is threading.main_thread():
            for request in (signal.SIGTERM, signal.SIGUSR1):
                signal.signal(request, self.note)

    def note(self, *_: object) -> None:
        """Remember the request until the step is done."""
        self.signalled = True

    def asked(self) -> bool:
        """Whether to stop after this step."""
        return self.signalled or time.monotonic() > self.end


def in_turn(ranks: Ranks, make: Callable[[], Any]) -> Any:
    """What `make` returns; the first process goes ahead, since it writes files that the others read."""
    if ranks.rank:
        ranks.wait()
    made = make()
    if not ranks.rank:
        ranks.wait()
    return made


def take_step(
    objective: Any,
    prepared: Any,
    optimizer: torch.optim.Optimizer,
    settings: Settings,
    step: int,
    ranks: Ranks,
    stop: Stop,
) -> tuple[dict[str, Any], bool]:
    """One optimiser step: its line of the log, and whether any process was asked to stop.

    Its random numbers depend on (seed, step, process) alone. All processes see the same sums, so they decide
    alike.
    """
    started, clock = time.perf_counter(), objective.clock
    chance = np.random.SeedSequence([settings.seed, step, ranks.rank])
    torch.manual_seed(int(chance.generate_state(1)[0]))
    optimizer.zero_grad(set_to_none=True)
    parts = objective.backward(prepared)
    with clock("reduce"):
        *sums, stopping = ranks.sum_gradients(objective.model, [*parts.values(), float(stop.asked())])
    facts = dict(zip(parts, sums, strict=True))
    with clock("optimizer"):
        norm = float(clip_grad_norm_(objective.model.parameters(), settings.gradient_norm))
        if not math.isfinite(facts["loss"]) or not math.isfinite(norm):
            raise NotFinite(facts["loss"], norm)
        rate = settings.learning_rate * schedule(
            step, settings.steps, settings.warmup_share, settings.schedule
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    if places := facts.pop("places", 0):
        facts |= {"tokens": round(facts["tokens"]), "padding": round(1 - facts["tokens"] / places, 4)}
    line = {"step": step + 1, "steps": settings.steps, **facts, "learning_rate": rate, "gradient_norm": norm}
    seconds = round(time.perf_counter() - started, 4)
    return line | {"seconds": seconds} | clock.read(), stopping > 0


class NotFinite(FloatingPointError):
    """A loss or a gradient that is no number."""


def refuse(folder: Path, step: int, failure: NotFinite, rows: np.ndarray) -> FloatingPointError:
    """What to raise, the numbers of all rows of the step written into failed_step.json."""
    loss, norm = failure.args
    failed = {"step": step, "loss": repr(loss), "gradient_norm": repr(norm), "rows": rows.tolist()}
    path = folder / "failed_step.json"
    path.write_text(json.dumps(failed), "utf-8")
    return FloatingPointError(
        f"step {step}: loss {loss}, gradient norm {norm}; rows {rows[:20].tolist()} and "
        f"{max(0, len(rows) - 20)} more, all in {path}; lower learning_rate, or raise temperature"
    )


def schedule(step: int, steps: int, warmup_share: float, form: str = "linear") -> float:
    """Share of the peak learning rate at a step counted from 0: up linearly, then down to 0 in a form."""
    warmup = max(1, round(steps * warmup_share))
    left = (steps - step) / max(1, steps - warmup + 1)
    if form == "cosine":
        left = (1 - math.cos(math.pi * min(left, 1.0))) / 2
    return min((step + 1) / warmup, left)


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


def main(configuration: Path) -> int:
    """Train as a file says, on all processes that were started; the exit code."""
    settings = read_settings(configuration)
    ranks = join()
    finished = train(settings, configuration.parent, ranks)
    leave()
    return 0 if finished else AGAIN


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
