"""A sweep on this machine: one run after the other, what fails does not stop the others."""

from cpack_lib.work.kernels import failure, run_notebook
from cpack_lib.work.progress import duration
from cpack_lib.work.sweeps.describe import summary
from cpack_lib.work.sweeps.planning import SweepPlan, SweepRun, look_at


def run_locally(plan: SweepPlan) -> None:
    """Make every run that is not there; RuntimeError in the end names those that could not be made."""
    print(summary(plan.runs.values()), flush=True)
    lost: dict[str, str] = {}
    for number, (name, run) in enumerate(plan.runs.items(), 1):
        barred = next((need for need in run.needs if need in lost), None)
        if barred:
            lost[name] = f"blocked by {barred}"
        elif problem := attempt(run, f"[{number}/{len(plan.runs)}]"):
            lost[name] = problem
            print(f"  {problem}", flush=True)
    if lost:
        told = "\n".join(f"  {name} of {whose(plan.runs[name])}: {why}" for name, why in lost.items())
        raise RuntimeError(f"{len(lost)} of {len(plan.runs)} runs could not be made:\n{told}")


def attempt(run: SweepRun, place: str) -> str:
    """Make one run, if it is not there already; what stood in its way, or nothing."""
    try:
        make_run(run, f"{place} {run.name} of {whose(run)}")
    except ValueError as error:
        return str(error)
    except RuntimeError as error:
        return f"{failure(run.planned.folder) or error}; see {run.log}"
    return ""


def make_run(run: SweepRun, title: str) -> None:
    """Execute one run unless it is finished; ValueError where it cannot start, RuntimeError if it fails."""
    action, why = look_at(run)
    if action == "reuse":
        return
    if action == "refuse":
        raise ValueError(why)
    print(f"{title}: {'goes on' if action == 'resume' else 'running'}; watch {run.log}", flush=True)
    minutes = run_notebook(run.planned, run.log)
    print(f"  finished in {duration(60 * minutes)}", flush=True)


def whose(run: SweepRun) -> str:
    """The point that a run belongs to, or how many share it."""
    return run.points[0] if len(run.points) == 1 else f"{len(run.points)} points"
