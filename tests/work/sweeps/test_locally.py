"""Promises of `cpack sweep NAME --on local`, with real kernels: what fails or is killed stops nobody else."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from cpack_lib.work import lock
from cpack_lib.work.cli import main
from cpack_lib.work.kernels import note_failure
from cpack_lib.work.runs import open_run
from cpack_lib.work.sweeps.planning import plan_sweep
from tests.processes import gone_soon
from tests.small_sweep import finish, write_sweep

FATES = """
profile: tiny
goals: [02_second]
axes:
  - list: {fate: {broken: {01_first: {boom: true}}, whole: {02_second: {rate: 0.25}}}}
roles: {fate: scientific}
"""


def test_a_point_that_fails_leaves_notebook_and_traceback_and_the_others_are_made(home, runs, capfd):
    write_sweep(home, FATES)
    assert main(["sweep", "small"], home) == 1
    said = capfd.readouterr().err
    plan = plan_sweep("small", home=home)
    broken, whole = plan.stages["fate=broken"], plan.stages["fate=whole"]
    assert f"{broken['01_first']} of fate=broken: AssertionError: it went boom; see " in said
    assert f"{broken['02_second']} of fate=broken: blocked by {broken['01_first']}" in said
    assert json.loads((runs / whole["02_second"] / "manifest.json").read_text())["figures"]["value"] > 0
    copy = (runs / broken["01_first"] / "01_first.ipynb").read_text()
    assert '"output_type": "error"' in copy and "it went boom" in copy
    log = (runs / f"{broken['01_first']}.log").read_text()
    assert "01_first.ipynb failed in cell [4]" in log and log.rstrip().endswith(
        "AssertionError: it went boom"
    )

    assert main(["status", "small"], home) == 0
    said = capfd.readouterr().out
    assert "2 points: 1 failed, 1 finished" in said and "4 runs: 1 failed, 1 blocked, 2 finished" in said
    assert re.search(r"failed +sweep\.\w+/01_first \[fate=broken\] AssertionError: it went boom; see ", said)


@pytest.mark.parametrize("request_", [signal.SIGKILL, signal.SIGINT])
def test_after_its_launcher_was_killed_a_sweep_goes_on_where_it_was(home, runs, capfd, request_):
    """The first notebook waits; the launcher dies with it, and a second one starts it again."""
    (home / "params/tiny/01_first.yaml").write_text("wait: 60.0")
    code = "import sys; from pathlib import Path; from cpack_lib.work.cli import main\n"
    code += f"sys.exit(main(['sweep', 'small'], Path({str(home)!r})))"
    launcher = subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stderr=subprocess.DEVNULL
    )
    first = next(iter(plan_sweep("small", home=home).runs.values())).planned.folder
    while not (first / "run.lock").exists() or not (first / "run.lock").read_text():
        time.sleep(0.05)
    assert main(["status", "small"], home) == 0
    assert re.search(r"running +sweep\.\w+/01_first \[2 points\]", capfd.readouterr().out)
    launcher.send_signal(request_)
    launcher.wait(30)
    assert gone_soon(int(re.search(r"process (\d+)", (first / "run.lock").read_text())[1]))
    time.sleep(1)  # its last threads still hold its files
    assert not lock.is_held(first)
    assert main(["status", "small"], home) == 0
    assert "stopped  " in capfd.readouterr().out
    actions = [run.planned.action for run in plan_sweep("small", home=home).runs.values()]
    assert actions == ["resume", "run", "run"]


def test_what_was_looked_at_again_is_reused_where_its_input_is_the_same(home, capfd):
    """A lost input is made again by its notebook; what had read it is kept, as its contents are equal."""
    (home / "params/tiny/01_first.yaml").write_text("rows: 1")
    plan = plan_sweep("small", home=home)
    finish(plan)
    first = next(iter(plan.runs.values())).planned.folder
    first.rename(home / "away")
    assert main(["sweep", "small"], home) == 0
    assert capfd.readouterr().out.count("running; watch") == 1


def test_a_damaged_manifest_is_told_with_its_remedy_and_the_other_points_are_made(home, runs, capfd):
    plan = plan_sweep("small", home=home)
    finish(plan, "rows_per_step=2,rate=0.5")
    damaged = plan.stages["rows_per_step=1,rate=0.25"]["02_second"]
    (runs / damaged / "manifest.json").write_text("{")
    assert main(["sweep", "small"], home) == 1
    said = capfd.readouterr()
    assert re.search(
        rf"{damaged} of rows_per_step=1,rate=0.25: .*manifest.json is damaged .*; move .* away and", said.err
    )
    assert said.out.count("finished in") == 1
    points = {run.points: run.planned.action for run in plan_sweep("small", home=home).runs.values()}
    assert (
        points[("rows_per_step=2,rate=0.5",)] == "reuse"
        and points[("rows_per_step=1,rate=0.25",)] == "refuse"
    )


def test_a_run_that_another_process_writes_is_told_not_its_old_failure(home, capfd):
    plan = plan_sweep("small", home=home)
    first = next(iter(plan.runs.values())).planned
    open_run("01_first", first.folder.parent.name, first.parameters)
    note_failure(first.folder, "ValueError: of yesterday")
    assert main(["sweep", "small"], home) == 1
    said = capfd.readouterr().err
    assert "of 2 points: another process is writing it" in said and "yesterday" not in said
    assert said.count("blocked by") == 2
    lock.release(first.folder)


def test_a_dry_run_starts_nothing(home, runs, capfd):
    assert main(["sweep", "small", "--dry-run"], home) == 0
    said = capfd.readouterr().out
    assert "3 runs to make, 0 reused; time unknown" in said and not runs.exists()


def test_plain_papermill_makes_a_run_that_the_sweep_reuses(home, runs):
    run = next(iter(plan_sweep("small", home=home).runs.values())).planned
    command = [sys.executable, "-m", "papermill", str(run.notebook), str(home / "out.ipynb")]
    command += ["-y", json.dumps(run.changes), "-k", "python3", "--no-progress-bar"]
    subprocess.run(command, cwd=home, check=True, capture_output=True)
    assert next(iter(plan_sweep("small", home=home).runs.values())).planned.action == "reuse"
