"""What does the launcher cost: seconds for every run of a sweep, and for a plan of 200 points?

`python benchmarks/launcher.py` writes results/launcher.json. The notebooks of the sweep that is run do
nothing, so all the time is kernel start, papermill and launcher; with Slurm, submission and queue too. That
is a Slurm of its own, started by tests/slurm/cluster.py where Debian's packages are installed and we are
root; elsewhere it is left out. The plan of 200 points has the notebooks and the profile demo.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from cpack_lib.work.files import ROOT
from cpack_lib.work.results import write_result
from cpack_lib.work.sweeps.planning import plan_sweep

sys.path.insert(0, str(ROOT))  # for the small project and the Slurm that the tests use, too
from tests.slurm.cluster import Cluster, said, wait_for, why_not  # noqa: E402
from tests.small_sweep import finish, make_project, write_sweep  # noqa: E402

RUNS, REPEATS = 4, 3
SITE = "partition: main\ncpus_per_node: 1\nmemory: 500M\n"
FEW = f"""
profile: tiny
goals: [01_first]
axes: [{{grid: {{01_first: {{rows: {list(range(1, RUNS + 1))}}}}}}}]
roles: {{rows: scientific}}
"""
MANY = """
profile: demo
goals: [05_evaluate_cmteb]
fixed: {05_evaluate_cmteb: {models: [demo/03_contrast_pairs]}}
axes:
  - zip: {03_contrast_pairs: {rows_per_step: [64, 256, 1024, 2048, 4096]}}
  - grid: {03_contrast_pairs: {temperature: [0.01, 0.02, 0.03, 0.05], learning_rate: [1.0e-4, 2.0e-4]}}
roles: {rows_per_step: scientific, temperature: scientific, learning_rate: nuisance}
seeds: [0, 1, 2, 3, 4]
seeded: [03_contrast_pairs]
"""
SMALL_MANY = f"""
profile: tiny
goals: [02_second]
axes: [{{grid: {{02_second: {{rows_per_step: {list(range(1, 201))}}}}}}}]
roles: {{rows_per_step: scientific}}
"""
CALL = "import sys; from pathlib import Path; from cpack_lib.work.cli import main\n"
CALL += "sys.exit(main(sys.argv[2:], Path(sys.argv[1])))"


def seconds(work: Callable[[], object]) -> float:
    """How long some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cpack(home: Path, *words: str) -> str:
    """What the command prints about a project; RuntimeError with its last words where it fails."""
    command = [sys.executable, "-c", CALL, str(home), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr[-2000:]}")
    return done.stdout


def write_notebook(path: Path, parameters: str, *cells: str) -> Path:
    """Write a notebook of code cells, the first of them tagged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(new_notebook(cells=[tagged, *map(new_code_cell, cells)], metadata=kernel), path)
    return path


def planning(folder: Path) -> list[dict[str, float | str]]:
    """Seconds of `--dry-run` for 200 points: real notebooks and nothing made, small ones and all finished."""
    real, small = folder / "real", folder / "small"
    (real / "params").mkdir(parents=True)
    (real / "notebooks").symlink_to(ROOT / "notebooks")
    (real / "params/demo").symlink_to(ROOT / "params/demo")
    write_sweep(real, MANY)
    make_project(small, write_notebook, SMALL_MANY)
    finish(plan_sweep("small", home=small))
    rows = []
    for what, home in (("nothing made", real), ("all finished", small)):
        assert "200 points" in cpack(home, "sweep", "small", "--dry-run")
        for _ in range(REPEATS):
            took = seconds(lambda home=home: cpack(home, "sweep", "small", "--dry-run"))
            rows.append({"what": f"plan of 200 points, {what}", "seconds": took})
    return rows


def running(folder: Path) -> list[dict[str, float | str]]:
    """Seconds of each run of a sweep whose notebooks do nothing, and what is known of their parts."""
    rows = []
    for repeat in range(REPEATS):
        home = make_project(folder / f"local-{repeat}", write_notebook, FEW)
        os.environ["CPACK_RUNS"] = str(home / "runs")
        took = seconds(lambda home=home: cpack(home, "sweep", "small"))
        rows.append({"what": "local, each run", "seconds": took / RUNS})
    for what, code in (("python", ""), ("python with papermill", "import papermill")):
        for _ in range(REPEATS):
            took = seconds(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True))
            rows.append({"what": f"start of {what}", "seconds": took})
    return rows


def queueing(folder: Path) -> list[dict[str, float | str]]:
    """The same as an array of Slurm, one task after the other, from submission to the end of the last."""
    rows = []
    for repeat in range(REPEATS):
        home = make_project(folder / f"slurm-{repeat}", write_notebook, FEW)
        os.environ["CPACK_RUNS"] = str(home / "runs")
        (home / "params/sites").mkdir()
        (home / "params/sites/one.yaml").write_text(SITE + "at_once: 1\n")
        started = time.perf_counter()
        took = seconds(lambda home=home: cpack(home, "sweep", "small", "--on", "slurm", "--site", "one"))
        if not wait_for(lambda: not said("squeue", "--noheader"), 300):
            raise RuntimeError(f"jobs are still there after five minutes: {said('squeue')}")
        rows.append({"what": "slurm, submission of each run", "seconds": took / RUNS})
        rows.append({"what": "slurm, each run", "seconds": (time.perf_counter() - started) / RUNS})
        assert len(list((home / "runs").glob("*/01_first/manifest.json"))) == RUNS
    return rows


def measure(folder: Path) -> list[dict[str, float | str]]:
    """All measurements; those of Slurm where there can be one."""
    os.environ["CPACK_RUNS"] = str(folder / "runs")
    rows = planning(folder) + running(folder)
    if reason := why_not():
        print(f"Slurm is left out: {reason}")
        return rows
    (folder / "slurm").mkdir()
    cluster = Cluster(folder / "slurm")
    os.environ["SLURM_CONF"] = str(cluster.conf)
    try:
        cluster.start()
        return rows + queueing(folder)
    finally:
        cluster.stop()


def main() -> None:
    """Measure, and write results/launcher.json: medians, and least and most."""
    with tempfile.TemporaryDirectory(prefix="cpack-launcher-") as folder:
        Path(folder).chmod(0o755)
        rows = measure(Path(folder))
    names = {
        "local, each run": "launcher_seconds_per_run",
        "slurm, each run": "launcher_seconds_per_run_slurm",
        "slurm, submission of each run": "launcher_submission_s_per_run",
        "plan of 200 points, nothing made": "dry_run_200_points_s",
        "plan of 200 points, all finished": "dry_run_200_finished_points_s",
    }
    found = {
        name: sorted(row["seconds"] for row in rows if row["what"] == what) for what, name in names.items()
    }
    found = {name: values for name, values in found.items() if values}
    write_result(
        "launcher",
        what="What the launcher adds to every run of a sweep, here and on a Slurm; a plan of 200 points",
        command="python benchmarks/launcher.py",
        figures={name: round(values[len(values) // 2], 3) for name, values in found.items()},
        spread={name: [round(values[0], 3), round(values[-1], 3)] for name, values in found.items()},
        rows=rows,
    )


if __name__ == "__main__":
    main()
