"""One notebook, executed in a process of its own; why it failed is kept in its folder, in .failed.json."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cpack_lib.work.files import read_json, write_json
from cpack_lib.work.plan import Planned

AGAIN = 75  # exit code of what stopped on request and goes on when started again: EX_TEMPFAIL
POLL = 0.2  # seconds between two looks at a kernel
NOTE = ".failed.json"


class Stopped(RuntimeError):
    """Work that stopped at a checkpoint, and goes on from there when it is started again."""


def run_notebook(step: Planned, log: Path | None = None) -> float:
    """Execute one notebook into its run folder, its words appended to `log` if one is named -> minutes.

    RuntimeError where a cell fails or no manifest is written; Stopped where a job's time was over.
    """
    step.folder.mkdir(parents=True, exist_ok=True)
    (step.folder / NOTE).unlink(missing_ok=True)
    started = time.monotonic()
    code = execute(step, log)
    if code == AGAIN:
        raise Stopped(f"{step.name} stopped after a checkpoint; started again, it goes on from there")
    if code:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed (exit code {code})"
        if failure(step.folder) is None:  # it had no time to say why
            note_failure(step.folder, f"{step.name} {how}")
        raise RuntimeError(f"{step.name} {how}; its executed copy is {step.copy}")
    if not (step.folder / "manifest.json").exists():
        note_failure(step.folder, f"{step.name} ran all its cells, but never called run.finish()")
        raise RuntimeError(f"{step.name} ran all its cells, but never called run.finish(); see {step.copy}")
    return (time.monotonic() - started) / 60


def execute(step: Planned, log: Path | None) -> int:
    """The exit code of papermill in a process of its own, which does not outlive this one.

    A cell that does not stop within the grace of a job that was asked to is ended with all that it started.
    """
    arguments = [str(os.getpid()), str(step.notebook), str(step.copy), json.dumps(step.changes)]
    with words(log) as file:
        program = subprocess.Popen(
            [sys.executable, "-m", "cpack_lib.work.execute", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            while program.poll() is None:
                if overdue():
                    return AGAIN
                time.sleep(POLL)  # wait() would sleep through Ctrl-C: importing polars makes it restart
        finally:
            program.kill()  # nothing, once it has ended; its kernel sees that it is gone, and ends too
    return program.returncode


def overdue() -> bool:
    """Whether this job was asked to stop (launch.py says how), longer ago than its grace."""
    request = Path(os.environ.get("CPACK_STOP") or os.devnull)
    return request.is_file() and time.time() - request.stat().st_mtime > float(os.environ["CPACK_GRACE"])


@contextmanager
def words(log: Path | None) -> Iterator[IO[bytes] | None]:
    """A log file to append to, or None for this process's own output."""
    if log is None:
        yield None
    else:
        with log.open("ab") as file:
            yield file


def note_failure(folder: Path, told: str) -> None:
    """Keep in one sentence why a run failed, until it is started again."""
    write_json(folder / NOTE, {"told": told})


def failure(folder: Path) -> str | None:
    """Why a run failed when it was last tried; None where it did not."""
    path = folder / NOTE
    return read_json(path, {"told": str})["told"] if path.exists() else None
