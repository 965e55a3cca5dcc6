"""How far a sweep is, read from its folders: what is done, what failed and why, what time is left."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cpack_lib.work import lock
from cpack_lib.work.files import ROOT
from cpack_lib.work.kernels import failure
from cpack_lib.work.sweeps.describe import time_left
from cpack_lib.work.sweeps.locally import whose
from cpack_lib.work.sweeps.planning import SweepPlan, SweepRun, plan_sweep
from cpack_lib.work.sweeps.slurm import known_jobs, queued

TOLD = ("running", "queued", "failed", "broken", "stopped")  # one line each; the others are counted
IN_THE_WAY = ("failed", "broken", "blocked")


@dataclass(frozen=True)
class RunState:
    """`state` is finished, running, queued, failed, broken, blocked, stopped or to do; `why` says more."""

    run: SweepRun
    state: str
    why: str = ""


def states_of(plan: SweepPlan) -> dict[str, RunState]:
    """The state of every run of a plan."""
    known = known_jobs(plan)
    live = queued(plan) if known and shutil.which("squeue") else {}
    found: dict[str, RunState] = {}
    for name, run in plan.runs.items():
        found[name] = state_of(run, live.get(name), known.get(name))
        barred = next((need for need in run.needs if found[need].state in IN_THE_WAY), None)
        if barred and found[name].state in ("to do", "stopped", "broken"):
            found[name] = RunState(run, "blocked", f"by {barred}")
    return found


def state_of(run: SweepRun, live: str | None, last: str | None) -> RunState:
    """The state of one run; `live` is its job where that is waiting or running, `last` its last one."""
    folder, action = run.planned.folder, run.planned.action
    if lock.is_held(folder):
        return RunState(run, "running", progress(folder))
    if action == "reuse":
        return RunState(run, "finished")
    if live:
        return RunState(run, "queued", f"as job {live}")
    if why := failure(folder):
        return RunState(run, "failed", f"{why}; see {run.planned.copy} and {run.log}")
    if action == "refuse":
        return RunState(run, "broken", run.planned.why)
    over = f"its job {last} is over; " if last else ""
    if (folder / "run.json").exists():
        return RunState(run, "stopped", f"{over}started again, it goes on")
    return RunState(run, "stopped", f"{over}it never began") if last else RunState(run, "to do")


def progress(folder: Path) -> str:
    """The last step that a training in this folder has logged; nothing where there is none."""
    logs = sorted(folder.glob("*/log.jsonl"), key=lambda path: path.stat().st_mtime)
    lines = logs[-1].read_text("utf-8").splitlines() if logs else []
    for line in reversed(lines):
        if line.endswith("}") and "step" in (told := json.loads(line)):
            return f"{logs[-1].parent.name} step {told['step']:,} of {told.get('steps', 0):,}"
    return ""


def point_state(stages: Mapping[str, str], found: Mapping[str, RunState]) -> str:
    """The state of a point from those of its runs."""
    of = {found[run].state for run in stages.values()}
    if of == {"finished"}:
        return "finished"
    if of & set(IN_THE_WAY):
        return "failed"
    return "running" if of & {"running", "queued"} else "to do"


def print_sweep(name: str, home: Path = ROOT) -> None:
    """Points and runs by state, the time that is left, and a line for each run that needs to be looked at."""
    plan = plan_sweep(name, home=home)
    found = states_of(plan)
    points = Counter(point_state(stages, found) for stages in plan.stages.values())
    counts = Counter(state.state for state in found.values())
    ahead = [state.run for state in found.values() if state.state not in ("finished", *IN_THE_WAY)]
    print(f"sweep {name}: {len(plan.points)} points: {counted(points)}")
    print(f"{len(plan.runs)} runs: {counted(counts)}; {time_left(ahead)}")
    for state in found.values():
        if state.state in TOLD:
            print(f"  {state.state:<8} {state.run.name} [{whose(state.run)}] {state.why}".rstrip())


def counted(counts: Mapping[str, int]) -> str:
    """Such as 3 finished, 1 failed."""
    return ", ".join(f"{number} {state}" for state, number in counts.items())
