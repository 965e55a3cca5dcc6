"""One run of a sweep in a job of Slurm: `python -m cpack_lib.work.sweeps.task TASKS.json NUMBER`."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cpack_lib.work.files import digest, read_json, write_json
from cpack_lib.work.kernels import AGAIN, Stopped
from cpack_lib.work.plan import Planned
from cpack_lib.work.sweeps.locally import make_run
from cpack_lib.work.sweeps.planning import SweepRun


def write_tasks(group: Sequence[SweepRun], folder: Path) -> Path:
    """Write what each task of a job has to know; the path of the list, which its contents name."""
    tasks = [
        {
            "notebook": str(run.planned.notebook),
            "changes": run.planned.changes,
            "parameters": run.planned.parameters,
            "folder": str(run.planned.folder),
            "needs": run.needs,
            "points": run.points,
        }
        for run in group
    ]
    path = folder / f"{group[0].planned.name}-{digest(tasks)[:12]}.json"
    write_json(path, {"tasks": tasks})
    return path


def read_task(path: Path, number: int) -> SweepRun:
    """The run of one task."""
    told = read_json(path, {"tasks": list})["tasks"][number]
    notebook, folder = Path(told["notebook"]), Path(told["folder"])
    planned = Planned(notebook, told["changes"], told["parameters"], folder, "run", "")
    return SweepRun(planned, tuple(told["needs"]), tuple(told["points"]))


def main(path: Path, number: int) -> int:
    """Make the run of one task; the exit code, AGAIN where it stopped at a checkpoint."""
    run = read_task(path, number)
    run.planned.folder.mkdir(parents=True, exist_ok=True)
    job, node = os.environ.get("SLURM_JOB_ID", "none"), os.uname().nodename
    with run.log.open("a", encoding="utf-8") as log:
        told = {"job": job, "node": node, "restarts": int(os.environ.get("SLURM_RESTART_COUNT", 0))}
        print(json.dumps(told), file=log)
    try:
        make_run(run, f"job {job} on {node}: {run.name}")
    except Stopped as stopped:
        print(stopped, flush=True)
        return AGAIN
    except (RuntimeError, ValueError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
