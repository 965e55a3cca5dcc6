"""Promises of `cpack sweep --on slurm`, kept by a real Slurm: preempted, warned and failing jobs, two nodes.

Where Slurm is not installed the tests are skipped; cluster.py says how to install it.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from cpack_lib.work.cli import main
from cpack_lib.work.sweeps.planning import plan_sweep
from cpack_lib.work.sweeps.state import states_of
from tests.slurm.cluster import Cluster, said, wait_for, why_not
from tests.small_sweep import make_project, write_sweep

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"no Slurm to test with: {why_not()}")

SITE = 'partition: main\ntime: "00:05:00"\ncpus_per_node: 4\nmemory: 1G\nwarning_seconds: 60\n'
SWEEP = """
profile: tiny
goals: [02_second]
axes:
  - list:
      fate:
        preempted: {02_second: {rows_per_step: 1, rate: 0.25}}
        warned: {02_second: {rows_per_step: 2, rate: 0.5}}
        broken: {01_first: {boom: true}}
roles: {fate: scientific}
"""
COUNTING = """
import json, signal, sys, time
from pathlib import Path
config, asked = Path(sys.argv[1]), []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
steps, checkpoint = json.loads(config.read_text())["steps"], config.with_name("checkpoint")
for step in range(int(checkpoint.read_text()) + 1 if checkpoint.exists() else 1, steps + 1):
    time.sleep(0.1)
    checkpoint.write_text(str(step))
    with config.with_name("log.jsonl").open("a") as log:
        print(json.dumps({"step": step, "steps": steps}), file=log)
    if asked and step < steps:
        sys.exit(75)
"""
RANKS = """
import os, sys
from pathlib import Path
import torch.distributed as dist
dist.init_process_group("gloo")
told = [os.environ[name] for name in ("RANK", "WORLD_SIZE", "SLURMD_NODENAME", "SLURM_STEP_ID")]
Path(sys.argv[1]).with_name(f"rank-{told[0]}.txt").write_text(" ".join(told))
dist.barrier()
dist.destroy_process_group()
"""
TRAIN = (
    'from cpack_lib.work.launch import run_program\nrun_program("{0}", {{"steps": 30}}, run.folder / "{0}")'
)


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    """A cluster, in a folder that Slurm's own users can enter."""
    with tempfile.TemporaryDirectory(prefix="cpack-slurm-") as folder, pytest.MonkeyPatch.context() as patch:
        cluster = Cluster(Path(folder))
        patch.setenv("SLURM_CONF", str(cluster.conf))
        try:
            cluster.start()
            yield
        finally:
            cluster.stop()


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Programs that jobs can import."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "counting.py").write_text(COUNTING)
    (folder / "ranks.py").write_text(RANKS)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.fixture
def home(tmp_path, write_notebook, runs, modules, slurm):
    """A project whose second notebook starts a training, and a site."""
    make_project(tmp_path, write_notebook, SWEEP, training=TRAIN.format("counting"))
    (tmp_path / "params/sites").mkdir()
    (tmp_path / "params/sites/here.yaml").write_text(SITE)
    return tmp_path


def over(seconds: float = 45) -> bool:
    """Whether all jobs end within some seconds."""
    return wait_for(lambda: not said("squeue", "--noheader"), seconds)


def table(home: Path) -> pl.DataFrame:
    """What `cpack results small` wrote, but for what was paid."""
    assert main(["results", "small"], home) == 0
    found = pl.read_parquet(Path(os.environ["CPACK_RUNS"]) / "sweeps/small/results.parquet")
    return found.drop("minutes", "minutes_in_all", "attempts")


def test_jobs_that_are_preempted_or_warned_go_on_and_one_that_fails_stops_nobody(
    home, runs, monkeypatch, capfd
):
    assert main(["sweep", "small", "--on", "slurm", "--site", "here"], home) == 0
    plan = plan_sweep("small", home=home)
    jobs = json.loads((runs / "sweeps/small/jobs/jobs.json").read_text())["jobs"]
    trained = {fate: plan.stages[f"fate={fate}"]["02_second"] for fate in ("preempted", "warned", "broken")}
    logs = {fate: runs / trained[fate] / "counting/log.jsonl" for fate in ("preempted", "warned")}
    assert wait_for(lambda: all(log.exists() for log in logs.values()), 30)

    said(
        "scancel", "--batch", "--signal=USR1", jobs[trained["warned"]]
    )  # what Slurm does before the time is over
    node = said("squeue", "-h", "-r", "-j", jobs[trained["preempted"]], "-o", "%N")
    said("sbatch", "-p", "urgent", "-w", node, "-c", "4", "-o", "/dev/null", "--wrap", "true")
    capfd.readouterr()
    assert main(["sweep", "small", "--only", "fate=warned", "--on", "slurm", "--site", "here"], home) == 0
    assert "job" not in capfd.readouterr().out  # what is queued already is not submitted twice
    monkeypatch.setenv("CPACK_RUNS", str(home / "local"))
    assert main(["sweep", "small"], home) == 1
    here = table(home)
    monkeypatch.setenv("CPACK_RUNS", str(runs))
    assert over()

    for fate, log in logs.items():
        steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
        assert steps == list(range(1, 31)), fate
        told = (runs / f"{trained[fate]}.log").read_text().splitlines()  # the kernel may write there, too
        started = [json.loads(line) for line in told if line.startswith("{")]
        assert [each["restarts"] for each in started] == [0, 1], fate
    found = {state.run.name: state for state in states_of(plan_sweep("small", home=home)).values()}
    assert {found[trained[fate]].state for fate in logs} == {"finished"}
    assert found[trained["broken"]].state == "blocked"
    assert [s.why[:28] for s in found.values() if s.state == "failed"] == ["AssertionError: it went boom"]
    there = table(home)
    assert here.drop("value").equals(there.drop("value")) and len(here) == 8
    assert (here["value"] - there["value"]).abs().max() <= 1e-6


def test_a_training_goes_through_srun_and_torchrun_on_every_node(home, runs, write_notebook):
    make_project(home, write_notebook, training=TRAIN.format("ranks"))
    write_sweep(home, SWEEP.replace("        broken: {01_first: {boom: true}}\n", ""))
    several = "notebooks: {02_second: {nodes: 2, processes_per_node: 1}}\n"
    (home / "params/sites/here.yaml").write_text(SITE + several)
    assert main(["sweep", "small", "--only", "fate=warned", "--on", "slurm", "--site", "here"], home) == 0
    assert over()
    told = sorted(path.read_text() for path in runs.glob("*/02_second/ranks/rank-*.txt"))
    assert told == ["0 2 first 0", "1 2 second 0"] or told == ["0 2 second 0", "1 2 first 0"]
    assert list(runs.glob("*/02_second/manifest.json"))
