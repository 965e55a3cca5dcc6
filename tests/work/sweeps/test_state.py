"""Promises of `cpack status NAME`, on made-up runs."""

import json

from cpack_lib.work import lock
from cpack_lib.work.cli import main
from cpack_lib.work.kernels import note_failure
from cpack_lib.work.runs import open_run
from cpack_lib.work.sweeps import slurm
from cpack_lib.work.sweeps.planning import plan_sweep
from cpack_lib.work.sweeps.state import progress, states_of
from tests.small_sweep import finish

FIRST, LAST = "rows_per_step=1,rate=0.25", "rows_per_step=2,rate=0.5"


def test_what_was_not_begun_is_to_do(home, capfd):
    assert main(["status", "small"], home) == 0
    said = capfd.readouterr().out
    assert "2 points: 2 to do" in said and "3 runs: 3 to do; time unknown" in said


def test_points_are_counted_by_state_and_the_time_that_is_left_is_told(home, capfd):
    finish(plan_sweep("small", home=home), LAST)
    assert main(["status", "small"], home) == 0
    said = capfd.readouterr().out
    assert "2 points: 1 finished, 1 to do" in said and "about 0 s one by one; at most" in said


def test_a_failure_is_told_and_what_reads_it_is_blocked(home):
    first = next(iter(plan_sweep("small", home=home).runs.values()))
    first.planned.folder.mkdir(parents=True)
    note_failure(first.planned.folder, "ValueError: rows is 3")
    found = list(states_of(plan_sweep("small", home=home)).values())
    assert [state.state for state in found] == ["failed", "blocked", "blocked"]
    assert found[0].why.startswith("ValueError: rows is 3; see ") and found[1].why == f"by {first.name}"


def test_a_running_training_tells_its_step(home):
    run = next(iter(plan_sweep("small", home=home).runs.values()))
    opened = open_run("01_first", run.planned.folder.parent.name, run.planned.parameters)
    (opened.folder / "contrast").mkdir()
    lines = [json.dumps({"step": step, "steps": 1500}) for step in (1, 2, 1200)]
    (opened.folder / "contrast/log.jsonl").write_text("\n".join(lines) + '\n{"ste')
    found = next(iter(states_of(plan_sweep("small", home=home)).values()))
    assert (found.state, found.why) == ("running", "contrast step 1,200 of 1,500")
    assert progress(home) == ""


def test_jobs_that_wait_are_queued_and_those_that_are_over_are_not(home, monkeypatch):
    plan = plan_sweep("small", home=home)
    names = list(plan.runs)
    (plan.folder / "jobs").mkdir(parents=True)
    jobs = {names[0]: "7", names[1]: "8_0", names[2]: "8_1"}
    (plan.folder / "jobs/jobs.json").write_text(json.dumps({"jobs": jobs}))
    monkeypatch.setattr(slurm, "said", lambda *_: "8_0 PENDING\n9 RUNNING")
    found = states_of(plan)
    assert (found[names[0]].state, found[names[1]].state) == ("stopped", "queued")
    assert found[names[2]].why == "its job 8_1 is over; it never began"


def test_a_sweep_that_is_not_there_is_named(home, capfd):
    assert main(["status", "none"], home) == 2
    assert "there is no sweep 'none'; params/sweeps/ has small" in capfd.readouterr().err


def test_runs_of_sweeps_are_one_line_among_all_runs(home, capfd):
    finish(plan_sweep("small", home=home))
    broken = open_run("03_contrast_pairs", "demo", {"texts": 4}).folder
    lock.release(broken)
    note_failure(broken, "ValueError: texts is 4")
    assert main(["status"], home) == 0
    said = capfd.readouterr().out
    assert "runs of sweeps: 3 finished; `cpack status NAME`" in said and "sweep." not in said
    assert "demo/03_contrast_pairs  broken" in said and "ValueError: texts is 4" in said
