"""What stands under runs/: each run folder with its state, read from its own files."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cpack_lib.work import lock
from cpack_lib.work.files import runs_folder
from cpack_lib.work.kernels import failure
from cpack_lib.work.runs import SWEPT, finished_run, read_manifest


@dataclass(frozen=True)
class State:
    """One line of `cpack status`; `state` is finished, running or broken, `why` says of what kind."""

    run: str
    notebook: str
    state: str
    minutes: float | None
    date: str
    why: str


def list_runs() -> list[State]:
    """Every run folder, by run and notebook; what was moved aside is left out."""
    folders = sorted(path.parent for path in runs_folder().glob("*/*/run.json"))
    return [look(folder) for folder in folders if not folder.parent.name.startswith(".")]


def look(folder: Path) -> State:
    """The state of one run folder."""
    run, notebook = folder.parent.name, folder.name
    changed = datetime.fromtimestamp((folder / "run.json").stat().st_mtime).isoformat(" ", "minutes")
    if lock.is_held(folder):
        return State(run, notebook, "running", None, changed, (folder / "run.lock").read_text())
    if not (folder / "manifest.json").exists():
        why = failure(folder) or "stopped before its end; the next run goes on"
        return State(run, notebook, "broken", None, changed, why)
    try:
        manifest = read_manifest(finished_run(f"{run}/{notebook}"))
    except ValueError as error:
        return State(run, notebook, "broken", None, changed, str(error))
    date = manifest["finished"][:16].replace("T", " ")
    return State(run, notebook, "finished", manifest["minutes"], date, "")


def print_status() -> None:
    """The table of all runs as plain text."""
    states = list_runs()
    if not states:
        print(f"no runs in {runs_folder()}; `cpack run demo` makes the first")
        return
    swept = Counter(state.state for state in states if state.run.startswith(SWEPT))
    states = [state for state in states if not state.run.startswith(SWEPT)]
    wide = max((len(f"{state.run}/{state.notebook}") for state in states), default=0)
    for state in states:
        minutes = "" if state.minutes is None else f"{state.minutes:.1f} min"
        name = f"{state.run}/{state.notebook}"
        print(f"{name:<{wide}}  {state.state:<8}  {minutes:>9}  {state.date}  {state.why}".rstrip())
    if swept:
        told = ", ".join(f"{number} {state}" for state, number in swept.items())
        print(f"runs of sweeps: {told}; `cpack status NAME` tells of one sweep")
