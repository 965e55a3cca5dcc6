"""Promises of cpack_lib.work.launch.run_program, with real programs."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cpack_lib.work import launch, progress
from tests.processes import alive, gone_soon

STEPS = """
import json, os, sys, time
from pathlib import Path
path = Path(sys.argv[1])
config = json.loads(path.read_text())
with open(path.parent / "log.jsonl", "a") as log:
    for step in range(1, config["steps"] + 1):
        print(json.dumps({"step": step, "steps": config["steps"], "loss": 1 / step}), file=log, flush=True)
        time.sleep(config["wait"])
(path.parent / f"done-{os.environ.get('RANK', 0)}").write_text(config["text"])
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder of modules that programs started from here can import."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / "fails.py").write_text("import sys\nprint('said')\nsys.exit('checkpoint 12 is damaged')\n")
    (tmp_path / "dies.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    return tmp_path


def test_a_program_gets_its_config_and_its_steps_are_told(modules, capsys, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_WAIT", 0.0)
    launch.run_program("steps", {"steps": 3, "wait": 0.3, "text": "检索"}, modules / "run")
    assert (modules / "run/done-0").read_text() == "检索"
    assert json.loads((modules / "run/config.json").read_text())["text"] == "检索"
    assert "steps 3/3  loss 0.3333" in capsys.readouterr().out


def test_batch_lines_are_few_and_the_last_one_is_told(modules, capsys):
    launch.run_program("steps", {"steps": 500, "wait": 0.0, "text": ""}, modules / "run")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 4 and lines[-1].startswith("steps 500/500")


def test_jupyterlab_gets_a_bar(modules, capsys, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    launch.run_program("steps", {"steps": 2, "wait": 0.0, "text": ""}, modules / "run")
    said = capsys.readouterr()
    assert "2/2" in said.err and "loss=0.5" in said.err and not said.out


def test_a_second_start_shows_new_lines_only(modules, capsys):
    for steps in (7, 2):
        launch.run_program("steps", {"steps": steps, "wait": 0.0, "text": ""}, modules / "run")
    assert capsys.readouterr().out.splitlines()[-1].startswith("steps 2/2")


def test_a_failing_program_is_an_error_with_its_last_words(modules):
    with pytest.raises(RuntimeError, match="fails failed with exit code 1(.|\n)*checkpoint 12 is damaged"):
        launch.run_program("fails", {}, modules / "run")
    assert "said" in (modules / "run/stderr.log").read_text()
    with pytest.raises(RuntimeError, match=r"dies was ended by SIGKILL \(out of memory\?\)"):
        launch.run_program("dies", {}, modules / "run")


def test_two_processes_go_through_torchrun(modules):
    launch.run_program("steps", {"steps": 1, "wait": 0.0, "text": "x"}, modules / "run", processes=2)
    assert (modules / "run/done-0").exists() and (modules / "run/done-1").exists()
    with pytest.raises(ValueError, match="processes is 0"):
        launch.run_program("steps", {}, modules / "run", processes=0)


def test_a_log_that_is_cut_back_is_read_from_its_start(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"st')
    tail = launch.new_lines(log, position=0)
    assert [line["step"] for line in next(tail)] == [1, 2]
    assert next(tail) == []
    log.write_text('{"step": 1}\n')
    assert [line["step"] for line in next(tail)] == [1]


@pytest.mark.parametrize("request_", [signal.SIGKILL, signal.SIGINT])
def test_a_program_does_not_outlive_the_one_who_started_it(modules, request_):
    (modules / "long.py").write_text(
        "import os, sys, time; from pathlib import Path\n"
        "Path(sys.argv[1]).with_name('pid').write_text(str(os.getpid())); time.sleep(60)\n"
    )
    start = "from pathlib import Path; from cpack_lib.work.launch import run_program\n"
    start += f"run_program('long', {{}}, Path({str(modules / 'run')!r}))"
    parent = subprocess.Popen([sys.executable, "-c", start], stderr=subprocess.DEVNULL, env=dict(os.environ))
    while not (modules / "run/pid").exists() or not (modules / "run/pid").read_text():
        time.sleep(0.05)
    child = int((modules / "run/pid").read_text())
    assert alive(child)
    parent.send_signal(request_)
    parent.wait(30)
    assert gone_soon(child)


STOPPABLE = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
Path(sys.argv[1]).with_name("begun").touch()
time.sleep(60)
"""


def test_a_program_that_a_job_asks_to_stop_is_no_failure(modules, monkeypatch):
    (modules / "stoppable.py").write_text(STOPPABLE)
    monkeypatch.setenv("CPACK_STOP", str(modules / "run/begun"))
    with pytest.raises(launch.Stopped, match="stopped after a checkpoint; started again, it goes on"):
        launch.run_program("stoppable", {}, modules / "run")


def test_a_job_says_how_many_processes_train_and_on_which_nodes(tmp_path, monkeypatch):
    config = tmp_path / "config.json"
    assert launch.command("loop", config, 1)[-2:] == ["loop", str(config)]
    monkeypatch.setenv("CPACK_PROCESSES", "4")
    words = " ".join(launch.command("loop", config, 1))
    assert "torch.distributed.run --standalone --nproc-per-node=4 --shutdown-timeout=30 -m loop" in words
    monkeypatch.setenv("CPACK_NODES", "2")
    monkeypatch.setenv("CPACK_RENDEZVOUS", "10.0.0.1:20007")
    monkeypatch.setenv("CPACK_SRUN", "srun --nodes=2 --ntasks-per-node=1")
    monkeypatch.setenv("CPACK_GRACE", "280")
    words = " ".join(launch.command("loop", config, 1))
    assert f"--program srun --nodes=2 --ntasks-per-node=1 {sys.executable} -m torch.distributed.run" in words
    assert "--nnodes=2 --rdzv-backend=c10d --rdzv-endpoint=10.0.0.1:20007 --nproc-per-node=4" in words
    assert "--standalone" not in words and "--shutdown-timeout=280" in words


def test_any_program_can_be_tied_to_its_parent(tmp_path):
    tied = [sys.executable, "-m", "cpack_lib.work.tied", str(os.getpid()), "--program", "echo", "said"]
    assert subprocess.run(tied, capture_output=True, text=True, check=True).stdout == "said\n"
