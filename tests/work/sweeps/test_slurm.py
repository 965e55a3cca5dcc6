"""What `cpack sweep --on slurm` asks of Slurm, without one; tests/slurm/ asks a real one."""

import json
import subprocess

import pytest

from cpack_lib.work.cli import main
from cpack_lib.work.sweeps import slurm
from cpack_lib.work.sweeps.planning import plan_sweep
from cpack_lib.work.sweeps.sites import Site
from tests.small_sweep import SWEEP, finish, write_sweep


@pytest.fixture
def asked(monkeypatch):
    """The commands that Slurm was given; it numbers jobs from 1, and keeps none of them."""
    commands = []

    def said(*command):
        commands.append(command)
        return str(sum(each[0] == "sbatch" for each in commands)) if command[0] == "sbatch" else ""

    monkeypatch.setattr(slurm, "said", said)
    return commands


@pytest.fixture
def site(home):
    path = home / "params/sites/here.yaml"
    path.parent.mkdir()
    path.write_text("partition: main\naccount: mine\nnotebooks: {02_second: {nodes: 2, gpus_per_node: 8}}\n")
    return path


def submitted(asked):
    return [command[1:] for command in asked if command[0] == "sbatch"]


def test_runs_that_wait_for_the_same_are_an_array_that_comes_after_it(home, site, asked, runs):
    assert main(["sweep", "small", "--on", "slurm", "--site", "here"], home) == 0
    first, second = submitted(asked)
    assert first[0] == "--parsable" and len(first) == 2
    assert second[1:3] == ("--dependency=afterok:1", "--kill-on-invalid-dep=yes")
    jobs = json.loads((runs / "sweeps/small/jobs/jobs.json").read_text())["jobs"]
    assert list(jobs.values()) == ["1", "2_0", "2_1"]


def test_runs_that_wait_for_different_ones_are_jobs_of_their_own(home, site, asked):
    text = SWEEP.replace("02_second: {rows_per_step: [1, 2], rate: [0.25, 0.5]}", "01_first: {rows: [3, 4]}")
    write_sweep(home, text.replace("{rows_per_step: scientific, rate: nuisance}", "{rows: scientific}"))
    assert main(["sweep", "small", "--on", "slurm", "--site", "here"], home) == 0
    assert [command[1] for command in submitted(asked)][1:] == [
        "--dependency=afterok:1_0", "--dependency=afterok:1_1",
    ]  # fmt: skip


def test_an_array_has_no_more_tasks_than_slurm_allows(home, site, asked, monkeypatch):
    monkeypatch.setattr(slurm, "LARGEST_ARRAY", 1)
    assert main(["sweep", "small", "--on", "slurm", "--site", "here"], home) == 0
    assert [command[1] for command in submitted(asked)[1:]] == ["--dependency=afterok:1"] * 2


def test_what_is_finished_is_not_submitted_and_what_is_damaged_is_told(home, site, asked, capfd):
    plan = plan_sweep("small", home=home)
    finish(plan)
    assert main(["sweep", "small", "--on", "slurm", "--site", "here"], home) == 0 and not submitted(asked)
    last = list(plan.runs.values())[-1].planned.folder
    (last / "manifest.json").write_text("")
    assert main(["sweep", "small", "--on", "slurm", "--site", "here"], home) == 1 and not submitted(asked)
    assert "1 runs were not submitted" in capfd.readouterr().err


def test_a_script_asks_for_what_the_site_says_and_is_bash(home, runs):
    plan = plan_sweep("small", home=home)
    group = [run for run in plan.runs.values() if run.needs]
    place = Site(partition="gpu", account="mine", time="01:00:00", modules=["cuda/12"], setup=["source venv"],
                 options=["--qos=low"], nodes=2, gpus_per_node=4, restarts=7, at_once=3)  # fmt: skip
    text = slurm.script(group, plan, place, runs / "tasks.json")
    for line in (
        "#SBATCH --array=0-1%3",
        "#SBATCH --partition=gpu",
        "#SBATCH --account=mine",
        "#SBATCH --gpus-per-node=4",
        "#SBATCH --requeue",
        "#SBATCH --signal=B:USR1@300",
        "#SBATCH --qos=low",
        "module load cuda/12",
        "source venv",
        "export CPACK_PROCESSES=4 OMP_NUM_THREADS=1",
        "export CPACK_NODES=2",
    ):
        assert f"\n{line}\n" in text, line
    assert (
        "srun --mpi=none --nodes=2 --ntasks-per-node=1" in text
        and '"${SLURM_RESTART_COUNT:-0}" -lt 7' in text
    )
    assert (
        subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False).stderr == ""
    )


def test_one_process_needs_neither_srun_nor_a_meeting_place_and_a_container_no_srun_on_one_node(home, runs):
    plan = plan_sweep("small", home=home)
    group = [next(iter(plan.runs.values()))]
    assert "SRUN" not in (text := slurm.script(group, plan, Site(), runs / "tasks.json"))
    assert "CPACK_PROCESSES" not in text and "RENDEZVOUS" not in text and "--array" not in text
    inside = Site(container="apptainer exec image.sif", python="python3", gpus_per_node=2)
    text = slurm.script(group, plan, inside, runs / "tasks.json")
    assert "\napptainer exec image.sif python3 -m cpack_lib.work.sweeps.task " in text and "SRUN" not in text


def test_a_dry_run_prints_the_scripts_and_submits_nothing(home, site, asked, capfd, runs):
    assert main(["sweep", "small", "--on", "slurm", "--site", "here", "--dry-run"], home) == 0
    said = capfd.readouterr().out
    assert said.count("#!/bin/bash") == 2 and "#SBATCH --gpus-per-node=8" in said
    assert not submitted(asked) and not runs.exists()


def test_without_a_site_or_without_slurm_it_says_what_to_do(home, capfd, monkeypatch):
    assert main(["sweep", "small", "--on", "slurm"], home) == 2
    assert "a job needs a site" in capfd.readouterr().err
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="squeue is not installed here; log in where Slurm is"):
        slurm.job_states()
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="`ls no-such-file` failed: "):
        slurm.said("ls", "no-such-file")
