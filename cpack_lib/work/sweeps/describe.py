"""A plan in words: what varies and in which role, every run with its parameters, what is left to do."""

import json
from collections.abc import Iterable

from cpack_lib.work.files import runs_folder
from cpack_lib.work.progress import duration
from cpack_lib.work.sweeps.planning import SweepPlan, SweepRun
from cpack_lib.work.sweeps.read import ROLES


def print_plan(plan: SweepPlan) -> None:
    """Everything that `--dry-run` tells."""
    print("\n".join([*heading(plan), "", *map(run_lines, plan.runs.values()), "", *point_lines(plan)]))
    print("\n" + summary(plan.runs.values()))


def heading(plan: SweepPlan) -> list[str]:
    """What is asked, and each hyperparameter with its role."""
    sweep = plan.sweep
    lines = [f"sweep {sweep.name}: {sweep.question}".rstrip(": ")]
    lines.append(
        f"profile {sweep.profile}, {len(plan.points)} points, {len(plan.runs)} runs in {runs_folder()}"
    )
    for role in ROLES:
        for name in [name for name in sweep.columns if sweep.roles.get(name) == role]:
            values = dict.fromkeys(
                str(place.columns[name]) for axis in sweep.axes for place in axis if name in place.columns
            )
            lines.append(f"  {role:<10}  {name}: {', '.join(values)}")
    if sweep.seeds:
        lines.append(
            f"  {'nuisance':<10}  seed of {', '.join(sweep.seeded)}: {', '.join(map(str, sweep.seeds))}"
        )
    for notebook, values in sweep.fixed.items():
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        lines.append(f"  {'fixed':<10}  {notebook}: {told}")
    return lines


def run_lines(run: SweepRun) -> str:
    """One run: action, name, cost and reason, then each parameter that is not the notebook's default."""
    of = run.points[0] if len(run.points) == 1 else f"{len(run.points)} points"
    told = "  ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in run.planned.changes.items()
    )
    first = f"{run.planned.action:<10}  {run.name}  [{of}]  {run.cost}; {run.planned.why}"
    return f"{first}\n            {told}"


def point_lines(plan: SweepPlan) -> list[str]:
    """Each point with the runs of its goals."""
    wide = max(len(point.name) for point in plan.points)
    return [
        f"{point.name:<{wide}}  {', '.join(plan.stages[point.name][goal] for goal in plan.sweep.goals)}"
        for point in plan.points
    ]


def summary(runs: Iterable[SweepRun]) -> str:
    """How many runs are to be made, are there, or cannot be, and the minutes that this takes one by one."""
    runs = list(runs)
    counts = {"reuse": 0, "refuse": 0, "blocked": 0}
    for run in runs:
        counts[run.planned.action] = counts.get(run.planned.action, 0) + 1
    ahead = [run for run in runs if run.planned.action not in ("reuse", "refuse", "blocked")]
    told = f"{len(ahead)} runs to make, {counts['reuse']} reused"
    if cannot := counts["refuse"] + counts["blocked"]:
        told += f", {cannot} that cannot be made ({counts['refuse']} refused, {counts['blocked']} blocked)"
    return f"{told}; {time_left(ahead)}"


def time_left(runs: Iterable[SweepRun]) -> str:
    """What some runs take one after the other, as far as finished runs of the same notebooks tell."""
    minutes = [run.cost.minutes for run in runs]
    known = [each for each in minutes if each is not None]
    if not minutes:
        return "nothing is left"
    if not known:
        return "time unknown, no run of these notebooks is finished"
    rest = f", and {len(minutes) - len(known)} runs nobody knows of" if len(known) < len(minutes) else ""
    memory = max(run.cost.gib for run in runs if run.cost.gib is not None)
    return f"about {duration(60 * sum(known))} one by one{rest}; at most {memory:.1f} GiB"
