"""Processes of their own that use a hub on this machine: some code, or an evaluation over it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpack_lib.work.files import ROOT

EVALUATE = """
import json, sys, time
from pathlib import Path
from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.running import evaluate
from cpack_lib.evaluation.tasks.suites import open_tasks
models, tasks, folder = json.loads(sys.argv[1])
began = time.monotonic()
scores = evaluate(open_models(models), open_tasks(tasks), Path(folder))
columns = ["model", "task", "metric", "score"]
found = {"scores": scores.select(columns).rows(), "seconds": time.monotonic() - began}
"""


def ask(code: str, environment: Mapping[str, str], *arguments: str) -> Any:
    """What `code` leaves in `found`."""
    done = run(["-c", f"{code}\nimport json\nprint(json.dumps(found))", *arguments], environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """Python with a command line, at the repository's root, and what it printed."""
    settings = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run([sys.executable, *command], env=settings, cwd=ROOT, capture_output=True, text=True)


def evaluate_over(environment: Mapping[str, str], models: Sequence[str], tasks: str, folder: Path) -> dict:
    """{"scores": [[model, task, metric, score]], "seconds"} of models on the tasks behind a name."""
    return ask(EVALUATE, environment, json.dumps([list(models), tasks, str(folder / "results")]))
