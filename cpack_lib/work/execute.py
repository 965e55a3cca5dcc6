"""One notebook, executed with papermill here: `python -m cpack_lib.work.execute PARENT IN OUT JSON`."""

import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from cpack_lib.work.kernels import AGAIN, Stopped, note_failure
from cpack_lib.work.tied import tie_to

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def execute(notebook: Path, copy: Path, changes: dict) -> int:
    """Run the notebook with changed parameters into `copy`; the exit code, after telling what failed."""
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else each kernel warns about frozen modules
    with tempfile.TemporaryDirectory(prefix="cpack-") as sockets:
        return execute_there(notebook, copy, changes, Path(sockets))


def execute_there(notebook: Path, copy: Path, changes: dict, sockets: Path) -> int:
    """As `execute`, with the kernel's sockets in a folder: TCP ports race and are open to other users."""
    local = Config({"KernelManager": {"transport": "ipc", "ip": str(sockets / "kernel")}})
    try:
        papermill.execute_notebook(
            str(notebook),
            str(copy),
            parameters=changes,
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            cwd=str(notebook.parent),
            config=local,
            coalesce_streams=True,  # the lines of a long run are one output, not hundreds
        )
    except PapermillExecutionError as error:
        if error.ename == Stopped.__name__:
            return AGAIN
        note_failure(copy.parent, last_line(error))
        print(told(notebook, error), file=sys.stderr, flush=True)
        return 1
    except DeadKernelError as error:
        note_failure(copy.parent, "the kernel died (out of memory?)")
        print(f"{notebook.name}: the kernel died (out of memory?): {error}", file=sys.stderr, flush=True)
        return 1
    except Exception as error:  # no cell's: a notebook without a language, a disk that is full
        note_failure(copy.parent, f"{type(error).__name__}: {error}")
        raise
    return 0


def last_line(error: PapermillExecutionError) -> str:
    """What the traceback ends with: the exception on one line, of several lines the first and the last."""
    lines = [line for line in f"{error.ename}: {error.evalue}".splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"


def told(notebook: Path, error: PapermillExecutionError) -> str:
    """The failed cell and its traceback, without terminal colours."""
    source = "\n".join(f"    {line}" for line in error.source.splitlines())
    trace = COLOURS.sub("", "\n".join(error.traceback))
    return f"{notebook.name} failed in cell [{error.exec_count}]:\n\n{source}\n\n{trace}"


if __name__ == "__main__":
    tie_to(
        int(sys.argv.pop(1)), signal.SIGKILL
    )  # on a softer one nbclient waits for the cell; kernels follow
    sys.exit(execute(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])))
