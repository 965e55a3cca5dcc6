"""Profiles of notebooks, and the programs that notebooks start: each in a process of its own.

What runs for long or on several processes is a module of this library, started with `run_program`; the
notebook shows its progress. So the work is the same in JupyterLab, under papermill and in a Slurm job.

What a job has to say to such a program stands in the environment: CPACK_PROCESSES (on each node, instead of
the notebook's own number), CPACK_NODES and CPACK_RENDEZVOUS (host:port) where there are several, CPACK_SRUN
(the words that start a program on every node), CPACK_STOP (a file: once it is there, stop at a checkpoint)
and CPACK_GRACE (seconds that this may take).
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from cpack_lib.work.files import ROOT, runs_folder, write_json
from cpack_lib.work.kernels import AGAIN, Stopped, run_notebook
from cpack_lib.work.plan import plan_profile
from cpack_lib.work.progress import Progress, told
from cpack_lib.work.runs import read_manifest

POLL = 0.2  # seconds between two looks at a program
GRACE = 20.0  # seconds an interrupted program has to stop by itself
WORKERS_GRACE = 30  # seconds that torchrun gives its workers, unless a job says otherwise
LAST_LINES = 25  # of stderr.log, in the error


def run_profile(
    profile: str,
    only: str | None = None,
    start: str | None = None,
    last: str | None = None,
    dry_run: bool = False,
    fresh: bool = False,
    home: Path = ROOT,
) -> None:
    """Run the notebooks of a profile in order, each with papermill in a fresh process, reusing finished runs.

    `only` chooses one notebook, `start` one and all after it, `last` one and all before it; `fresh` moves
    their old folders aside.
    ValueError before any kernel starts where a parameter or an old run stands in the way; RuntimeError
    where a notebook fails, with its cell and traceback; the notebooks after it are not started.
    """
    steps = plan_profile(profile, only, start, last, fresh, home)
    print(f"profile {profile}: {len(steps)} notebooks, runs in {runs_folder()}")
    width = max(len(step.name) for step in steps)
    for step in steps:
        print(f"  {step.name:<{width}}  {step.action:<7} {step.why}", flush=True)
    if refused := [step for step in steps if step.action == "refuse"]:
        names = ", ".join(step.name for step in refused)
        remedy = f"`cpack run {profile} --from {refused[0].name} --fresh` moves old runs aside"
        raise ValueError(f"nothing was started: {names} cannot run, for the reason above; {remedy}")
    if not dry_run:
        put_aside([step.folder for step in steps if step.action == "renew"])
        for step in steps:
            if step.action != "reuse":
                print(f"{step.name}: running; watch {step.copy}", flush=True)
                minutes = run_notebook(step)
                figures = told(read_manifest(step.folder)["figures"])
                print(f"{step.name}: finished in {minutes:.1f} minutes · {figures}", flush=True)


def put_aside(folders: list[Path]) -> None:
    """Move run folders under runs/.aside/<time>/, where nothing reads them and nothing deletes them."""
    when = datetime.now().strftime("%Y-%m-%d_%H%M%S_%f")
    for folder in folders:
        aside = runs_folder() / ".aside" / when / folder.parent.name / folder.name
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, aside)
        print(f"moved {folder} to {aside}", flush=True)


def run_program(module: str, config: dict[str, Any], folder: Path, processes: int = 1) -> None:
    """Run `python -m module folder/config.json` to its end, with torchrun on `processes` > 1 processes.

    Each line the program appends to folder/log.jsonl, such as {"step": 3, "steps": 100, "loss": 1.2}, moves
    the progress on. RuntimeError with the last lines of folder/stderr.log where it fails; Stopped where it
    made a checkpoint and goes on when it is started again, because a job's time was over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    log = folder / "log.jsonl"
    position = log.stat().st_size if log.exists() else 0
    with (folder / "stderr.log").open("w", encoding="utf-8") as errors:
        program = subprocess.Popen(
            command(module, folder / "config.json", processes),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
    try:
        asked = follow(program, log, position, name=module.rpartition(".")[2])
    except BaseException:
        stop(program)
        raise
    if program.returncode == AGAIN or (program.returncode and asked):
        raise Stopped(f"{module} stopped after a checkpoint; started again, it goes on from there")
    if program.returncode:
        raise RuntimeError(failure(module, program.returncode, folder / "stderr.log"))


def command(module: str, config: Path, processes: int) -> list[str]:
    """The command line: tied to this process; through torchrun, on every node, where there are several."""
    processes = int(os.environ.get("CPACK_PROCESSES") or processes)
    nodes = int(os.environ.get("CPACK_NODES") or 1)
    if processes < 1 or nodes < 1:
        raise ValueError(f"processes is {processes} on {nodes} nodes; at least 1 of each is needed")
    tied = [sys.executable, "-m", "cpack_lib.work.tied", str(os.getpid())]
    if nodes * processes == 1:
        return [*tied, module, str(config)]
    together = ["--standalone"]
    if nodes > 1:
        together = [f"--nnodes={nodes}", "--rdzv-backend=c10d"]
        together += [f"--rdzv-endpoint={os.environ['CPACK_RENDEZVOUS']}"]
    grace = os.environ.get("CPACK_GRACE") or WORKERS_GRACE
    together += [f"--nproc-per-node={processes}", f"--shutdown-timeout={grace}"]
    torchrun = ["torch.distributed.run", *together, "-m", module, str(config)]
    if everywhere := shlex.split(os.environ.get("CPACK_SRUN", "")):
        return [*tied, "--program", *everywhere, sys.executable, "-m", *torchrun]
    return [*tied, *torchrun]


def follow(program: subprocess.Popen, log: Path, position: int, name: str) -> bool:
    """Show the lines that arrive in `log` after byte `position` until the program ends; whether by request.

    Seconds of the parts of a step, such as embed_s, stay in the log. Of the lines that arrived together the
    last is shown: a resumed program may leave all those of its checkpoint, which are no steps of its own.
    """
    request, asked = os.environ.get("CPACK_STOP"), False
    with Progress(name) as progress:
        tail = new_lines(log, position)
        while True:
            if request and not asked and Path(request).exists():
                asked = True
                os.killpg(program.pid, signal.SIGTERM)
            ended = program.poll() is not None  # asked first, so that the last lines are still read
            for line in [line for line in next(tail) if "step" in line][-1:]:
                step, steps = line.pop("step"), line.pop("steps", None)
                plain = {key: value for key, value in line.items() if not key.endswith("_s")}
                shown = {key: value for key, value in plain.items() if isinstance(value, int | float | str)}
                progress.show(step, steps, **shown)
            if ended:
                return asked
            time.sleep(POLL)


def new_lines(log: Path, position: int) -> Iterator[list[dict[str, Any]]]:
    """For ever: the objects on the whole lines that were added to `log` since the last time."""
    while True:
        lines = []
        if log.exists():
            if log.stat().st_size < position:  # a resumed program cut it back to its checkpoint
                position = 0
            with log.open("rb") as file:
                file.seek(position)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            position += len(whole)
            lines = [json.loads(line) for line in whole.splitlines() if line.strip()]
        yield lines


def stop(program: subprocess.Popen) -> None:
    """End a program and what it started: asked first, then killed."""
    for request in (signal.SIGTERM, signal.SIGKILL):
        if program.poll() is None:
            os.killpg(program.pid, request)
            try:
                program.wait(GRACE)
            except subprocess.TimeoutExpired:
                continue


def failure(module: str, code: int, errors: Path) -> str:
    """What to tell of a program that failed: how it ended, and the end of what it said."""
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    lines = errors.read_text("utf-8", errors="replace").splitlines()
    said = "\n".join(lines[-LAST_LINES:]) or "(it said nothing)"
    return f"{module} {how}{hint}; the end of {errors}:\n{said}"
