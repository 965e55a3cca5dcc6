"""Promises of cpack_lib.work.kernels: a failure is kept with its reason, and a stop on request is none."""

import json
import os
import time
from dataclasses import replace

import pytest

from cpack_lib.work.kernels import Stopped, failure, note_failure, run_notebook
from cpack_lib.work.plan import Planned

FAILURES = {
    'raise ValueError("rows is 3,\\nmore than 2")': "ValueError: rows is 3, … more than 2",
    "import os; os.kill(os.getpid(), 9)": "the kernel died (out of memory?)",
    "pass": "01_x ran all its cells, but never called run.finish()",
}


@pytest.fixture
def planned(tmp_path, write_notebook):
    """A maker of notebooks with one cell, as a plan holds them."""

    def make(cell):
        path = write_notebook(tmp_path / "01_x.ipynb", "a: int = 1  # one", cell)
        return Planned(path, {}, {}, tmp_path / "run/01_x", "run", "")

    return make


@pytest.mark.parametrize("cell", FAILURES)
def test_why_it_failed_is_kept_on_one_line(planned, tmp_path, cell):
    step = planned(cell)
    with pytest.raises(RuntimeError):
        run_notebook(step, tmp_path / "log")
    assert failure(step.folder) == FAILURES[cell]


def test_what_papermill_itself_refuses_is_kept_too(planned, tmp_path):
    step = replace(planned("pass"), changes={"a": 2})
    step.notebook.write_text(json.dumps(json.loads(step.notebook.read_text()) | {"metadata": {}}))
    with pytest.raises(RuntimeError):
        run_notebook(step, tmp_path / "log")
    assert "No language found in notebook" in failure(step.folder)


def test_a_new_start_forgets_the_old_failure(planned, tmp_path):
    step = planned("from pathlib import Path; Path('run/01_x/manifest.json').touch()")
    step.folder.mkdir(parents=True)
    note_failure(step.folder, "ValueError: no")
    assert run_notebook(step) > 0 and failure(step.folder) is None


def test_work_that_stopped_at_a_checkpoint_is_no_failure(planned, tmp_path):
    step = planned("from cpack_lib.work.kernels import Stopped\nraise Stopped('later')")
    with pytest.raises(Stopped, match="started again, it goes on"):
        run_notebook(step, tmp_path / "log")
    assert failure(step.folder) is None


def test_a_cell_that_does_not_stop_within_the_grace_is_ended(planned, tmp_path, monkeypatch):
    (tmp_path / "stop").touch()
    os.utime(tmp_path / "stop", (time.time() - 50, time.time() - 50))
    monkeypatch.setenv("CPACK_STOP", str(tmp_path / "stop"))
    monkeypatch.setenv("CPACK_GRACE", "40")
    step, started = planned("import time; time.sleep(60)"), time.monotonic()
    with pytest.raises(Stopped):
        run_notebook(step, tmp_path / "log")
    assert time.monotonic() - started < 30
