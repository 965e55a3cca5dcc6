"""The loop: steps, a log line each, checkpoints; killed at any moment, it goes on with the same batches.

Start it as a program: `python -m cpack_lib.training.loop FOLDER/config.json`, or with `torchrun -m` on
several processes. It writes into FOLDER.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cpack_lib.model.instructions import prompt_for, prompts
from cpack_lib.training.ahead import ahead
from cpack_lib.training.batches import Plan
from cpack_lib.training.checkpoints import Best, last_checkpoint, load_checkpoint, save_checkpoint
from cpack_lib.training.interference import Watch
from cpack_lib.training.log import Log
from cpack_lib.training.memory import most_held, will_fit
from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.optimiser import NotFinite, change_weights, new_optimizer
from cpack_lib.training.probe import Probe, looked_at
from cpack_lib.training.ranks import ALONE, Ranks, join, leave
from cpack_lib.training.settings import Settings, read_settings, weights
from cpack_lib.training.stop import Stop

AGAIN = 75  # exit code of a run that stopped on request and goes on when started again: EX_TEMPFAIL


def train(settings: Settings, folder: Path, ranks: Ranks = ALONE) -> bool:
    """Run all steps that are not done yet, then write what the next stage reads; False if it stopped before.

    It stops after a checkpoint when SIGTERM or SIGUSR1 asks for it, or `settings.minutes` are over. After
    `settings.until` steps it has done what it was asked for; started with a later one, it goes on.
    """
    with sums_in_order(ranks.device):
        return trained(settings, folder, ranks)


@contextmanager
def sums_in_order(device: torch.device) -> Iterator[None]:
    """On a CPU add gradients of shared rows up in one order; else it is any, and no run equals another."""
    memory = torch.utils.deterministic
    before, filled = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        memory.fill_uninitialized_memory = False  # which costs time, and is for debugging
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled


def trained(settings: Settings, folder: Path, ranks: Ranks) -> bool:
    """The steps of `train`, and what it returns."""
    run = Run(settings, folder, ranks)
    logs = ranks.rank == 0 and settings.steps  # without a step there is nothing to log
    with Log(folder, run.done, settings.tensorboard) if logs else nullcontext() as log:
        for step, line in run.steps():
            if log is not None:
                log.write(line | run.look(step))
            if run.checkpoint_is_due(step) and ranks.rank == 0:
                run.save_checkpoint(step)
            if run.stopped and step + 1 < settings.steps:
                ranks.wait()  # for the checkpoint: torchrun ends the others as soon as one is gone
                return False
    if ranks.rank == 0 and run.end == settings.steps:
        run.release()
    ranks.wait()
    return True


class Run:
    """What a run holds in memory: model, optimiser, plan, and how far it is."""

    def __init__(self, settings: Settings, folder: Path, ranks: Ranks):
        self.settings, self.folder, self.ranks = settings, folder, ranks
        self.stop, self.stopped = Stop(settings.minutes), False
        self.end = min(settings.until or settings.steps, settings.steps)
        self.probe = Probe(Path(settings.probe)) if settings.probe else None
        torch.manual_seed(settings.seed)
        self.objective = in_turn(ranks, lambda: OBJECTIVES[settings.objective](settings, folder, ranks))
        self.model = self.objective.model.train()
        self.plan = new_plan(self.objective, settings)
        self.weigh()
        self.optimizer = new_optimizer(self.model, settings)
        place = last_checkpoint(folder)
        self.done = load_checkpoint(place, self.model, self.optimizer) if place else 0
        ranks.wait()
        first = ranks.rank == 0  # which alone looks at the encoder and keeps the best
        self.watch = Watch(settings, folder, self.objective.encoder) if settings.watch and first else None
        self.best = Best(folder, self.done) if first else None

    def weigh(self) -> None:
        """Refuse what will not fit, and note what is needed in memory.json."""
        parts = will_fit(self.objective, self.settings, self.objective.longest, self.ranks)
        if self.ranks.rank == 0:
            told = {name: round(value, 4) for name, value in parts.items()}
            (self.folder / "memory.json").write_text(json.dumps({"needed_gib": told}, indent=1))

    def steps(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Take the steps that are left, each counted from 0, with its line of the log."""
        left = range(self.done, self.end)
        coming = ahead(lambda step: self.objective.prepare(self.plan.step(step)), left)
        for step in left:
            started = time.perf_counter()
            with self.objective.clock("data"):
                prepared = next(coming)
            try:
                facts = self.take_step(step, prepared)
            except NotFinite as failure:
                raise refusal(self.folder, step, failure, self.plan.step(step)) from None
            seconds = {"seconds": round(time.perf_counter() - started, 4)} | self.objective.clock.read()
            yield step, {"step": step + 1, "steps": self.settings.steps} | facts | seconds

    def take_step(self, step: int, prepared: Any) -> dict[str, float]:
        """One optimiser step: its numbers for the log.

        Its random numbers depend on (seed, step, process) alone. All processes see the same sums, so they
        decide alike, also whether to stop.
        """
        objective, clock = self.objective, self.objective.clock
        chance = np.random.SeedSequence([self.settings.seed, step, self.ranks.rank])
        torch.manual_seed(int(chance.generate_state(1)[0]))
        self.optimizer.zero_grad(set_to_none=True)
        parts = objective.backward(prepared)
        with clock("reduce"):
            asked = float(self.stop.asked())
            *sums, stopping = self.ranks.sum_gradients(self.model, [*parts.values(), asked])
        facts = shares_of_tokens(dict(zip(parts, sums, strict=True)))
        with clock("optimizer"):
            facts |= change_weights(self.model, self.optimizer, self.settings, step, facts["loss"])
        self.stopped = stopping > 0
        return facts

    def look(self, step: int) -> dict[str, float]:
        """What the probe and the watch find after a step where they are due; the best weights are kept."""
        encoder, settings, found = self.objective.encoder, self.settings, {}
        if self.probe is not None and encoder is not None and self.is_due(step, settings.probe_every):
            told = prompts(self.objective.tasks, settings.instructed, settings.instruction, settings.language)
            before = prompt_for(told, "Retrieval", "query"), prompt_for(told, "STS")
            found |= looked_at(encoder, self.probe, settings.longest, *before)
            if settings.release == "best":
                self.best.note(step + 1, found["probe_mean"], self.model)
        if self.watch is not None and self.is_due(step, settings.watch_every):
            found |= self.watch.look(encoder)
        return {name: round(value, 6) for name, value in found.items()}

    def is_due(self, step: int, every: int) -> bool:
        """Whether something done every so many steps, or else at every checkpoint, follows a step."""
        if not every:
            return self.checkpoint_is_due(step)
        return (step + 1) % every == 0 or step + 1 == self.settings.steps

    def checkpoint_is_due(self, step: int) -> bool:
        """Whether a checkpoint follows a step."""
        return step + 1 == self.end or self.stopped or (step + 1) % self.settings.checkpoint_every == 0

    def save_checkpoint(self, step: int) -> None:
        """Write a checkpoint; older best weights are not needed any more."""
        save_checkpoint(self.folder, step + 1, self.model, self.optimizer, self.settings.keep_checkpoints)
        self.best.settle()

    def release(self) -> None:
        """Write what the next stage reads, and the memory that was held at most."""
        if self.settings.release == "best":
            self.best.give_back(self.model)
        self.model.eval()
        path = self.folder / "memory.json"
        told = json.loads(path.read_text()) | {"held_gib": round(most_held(self.ranks), 4)}
        path.write_text(json.dumps(told, indent=1))
        self.objective.save(self.folder)


def new_plan(objective: Any, settings: Settings) -> Plan:
    """Which rows stand in which step."""
    options = {"sources": objective.sources, "tasks": objective.tasks, "keys": objective.keys}
    options |= {"weights": weights(settings.source_weights, "settings"), "power": settings.sampling_power}
    options |= {"mixing": settings.mixing, "sampled": settings.sampled}
    return Plan(objective.rows, settings.rows_per_step, settings.seed, **options)


def in_turn(ranks: Ranks, make: Callable[[], Any]) -> Any:
    """What `make` returns; the first process goes ahead, since it writes files that the others read."""
    if ranks.rank:
        ranks.wait()
    made = make()
    if not ranks.rank:
        ranks.wait()
    return made


def shares_of_tokens(facts: dict[str, float]) -> dict[str, float]:
    """The same numbers, padding and what was embedded twice as shares of the padded tokens."""
    if places := facts.pop("places", 0):
        facts |= {"tokens": round(facts["tokens"]), "padding": round(1 - facts["tokens"] / places, 4)}
        if "embedded_twice" in facts:
            facts["embedded_twice"] = round(facts["embedded_twice"] / places, 4)
    return facts


def refusal(folder: Path, step: int, failure: NotFinite, rows: np.ndarray) -> FloatingPointError:
    """What to raise; the numbers of all rows of the step are written into failed_step.json."""
    loss, norm = failure.args
    failed = {"step": step, "loss": repr(loss), "gradient_norm": repr(norm), "rows": rows.tolist()}
    path = folder / "failed_step.json"
    path.write_text(json.dumps(failed), "utf-8")
    return FloatingPointError(
        f"step {step}: loss {loss}, gradient norm {norm}; rows {rows[:20].tolist()} and "
        f"{max(0, len(rows) - 20)} more, all in {path}; lower learning_rate, or raise temperature"
    )


def main(configuration: Path) -> int:
    """Train as a file says, on all processes that were started; the exit code."""
    settings = read_settings(configuration)
    ranks = join()
    finished = train(settings, configuration.parent, ranks)
    leave()
    return 0 if finished else AGAIN


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
