"""A sweep as Slurm jobs: runs that wait for the same inputs are one array, what reads them comes afterok.

Each job is a script of bash in runs/sweeps/NAME/jobs/, to be read and run by hand. Its task executes one
run as a laptop would. When the time of a job is nearly over, Slurm warns it (USR1): training makes a
checkpoint and stops, and the job asks to be queued again; preempted or lost with its node, it is queued
again by Slurm. Either way it goes on from the last checkpoint.
"""

import getpass
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cpack_lib.work.files import ROOT, read_json, runs_folder, write_json
from cpack_lib.work.sweeps.planning import SweepPlan, SweepRun
from cpack_lib.work.sweeps.sites import Site
from cpack_lib.work.sweeps.task import write_tasks

LARGEST_ARRAY = 1_000  # tasks; Slurm's MaxArraySize is 1,001 where nobody changed it
TOO_EARLY = 20  # seconds that are left of a warning when a run that did not stop is ended
MEET = """first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(scontrol show node "$first" | grep -o 'NodeAddr=[^ ]*')
export CPACK_RENDEZVOUS="${address#NodeAddr=}:$((20000 + SLURM_JOB_ID % 20000))"
"""
SCRIPT = """#!/bin/bash
{options}
set -u
{setup}
export CPACK_STOP={jobs}/stop-$SLURM_JOB_ID CPACK_GRACE={grace}
rm -f "$CPACK_STOP"
trap 'touch "$CPACK_STOP"' USR1  # the time is nearly over: training makes a checkpoint and stops
cd {root}
{python} -m cpack_lib.work.sweeps.task {tasks} "${{SLURM_ARRAY_TASK_ID:-0}}" &
child=$!
wait "$child"; code=$?
while [ "$code" -gt 128 ] && kill -0 "$child" 2>/dev/null; do  # the trap ended the wait, not the child
  wait "$child"; code=$?
done
if [ -e "$CPACK_STOP" ] && [ "$code" -ne 0 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ]; then
  rm -f "$CPACK_STOP"
  scontrol requeue "$SLURM_JOB_ID" && sleep 300  # until Slurm ends this job
fi
exit "$code"
"""


def submit(plan: SweepPlan, site: Site) -> None:
    """Submit every run that is not there and not queued; RuntimeError where one cannot be made."""
    jobs = queued(plan)
    lost = not_to_be_made(plan, jobs)
    waiting = {
        name: run
        for name, run in plan.runs.items()
        if name not in jobs and name not in lost and run.planned.action != "reuse"
    }
    (plan.folder / "jobs").mkdir(parents=True, exist_ok=True)
    while waiting:
        ready = [run for run in waiting.values() if not any(need in waiting for need in run.needs)]
        for group in grouped(ready, jobs):
            path = write_job(group, plan, site)
            number = sbatch(path, sorted({jobs[need] for need in group[0].needs if need in jobs}))
            numbers = [number] if len(group) == 1 else [f"{number}_{place}" for place in range(len(group))]
            jobs |= dict(zip([run.name for run in group], numbers, strict=True))
            write_json(plan.folder / "jobs" / "jobs.json", {"jobs": {**known_jobs(plan), **jobs}})
            print(f"job {number}: {len(group)} × {group[0].planned.name}, {path}", flush=True)
        waiting = {name: run for name, run in waiting.items() if run not in ready}
    if lost:
        told = "\n".join(f"  {name}: {why}" for name, why in lost.items())
        raise RuntimeError(f"{len(lost)} runs were not submitted:\n{told}")


def not_to_be_made(plan: SweepPlan, jobs: Mapping[str, str]) -> dict[str, str]:
    """Runs that stand in their own way, or whose inputs do -> why; what has a job is being made."""
    lost: dict[str, str] = {}
    for name, run in plan.runs.items():
        barred = next((need for need in run.needs if need in lost), None)
        if name in jobs or run.planned.action == "reuse":
            continue
        if barred:
            lost[name] = f"its input {barred} cannot be made"
        elif run.planned.action == "refuse":
            lost[name] = run.planned.why
    return lost


def grouped(ready: Iterable[SweepRun], jobs: Mapping[str, str]) -> list[list[SweepRun]]:
    """Runs of one notebook that wait for the same jobs, together, as many as an array may have."""
    groups: dict[tuple, list[SweepRun]] = {}
    for run in ready:
        awaited = frozenset(jobs[need] for need in run.needs if need in jobs)
        groups.setdefault((run.planned.name, awaited), []).append(run)
    size = LARGEST_ARRAY
    return [each[start : start + size] for each in groups.values() for start in range(0, len(each), size)]


def write_job(group: Sequence[SweepRun], plan: SweepPlan, site: Site) -> Path:
    """Write the script of a job and the list of its tasks; the path of the script."""
    tasks = write_tasks(group, plan.folder / "jobs")
    path = tasks.with_suffix(".sh")
    path.write_text(script(group, plan, site, tasks), "utf-8")
    return path


def print_jobs(plan: SweepPlan, site: Site) -> None:
    """The script that the runs of each notebook would be submitted with."""
    for notebook in dict.fromkeys(run.planned.name for run in plan.runs.values()):
        group = [run for run in plan.runs.values() if run.planned.name == notebook]
        print(f"\n{script(group, plan, site, plan.folder / 'jobs' / f'{notebook}.json')}", end="")


def script(group: Sequence[SweepRun], plan: SweepPlan, site: Site, tasks: Path) -> str:
    """The script of a job: its options, then bash."""
    notebook = group[0].planned.name
    site = site.of(notebook)
    options = job_options(site, f"{plan.sweep.name}.{notebook}", tasks.parent, len(group))
    return SCRIPT.format(
        options="\n".join(f"#SBATCH {option}" for option in options),
        setup="\n".join([*(f"module load {name}" for name in site.modules), *site.setup, *environment(site)]),
        grace=max(site.warning_seconds - TOO_EARLY, 1),
        jobs=shlex.quote(str(tasks.parent)),
        root=shlex.quote(str(ROOT)),
        python=" ".join(filter(None, [site.container, shlex.quote(site.python)])),
        tasks=shlex.quote(str(tasks)),
        restarts=site.restarts,
    )


def environment(site: Site) -> list[str]:
    """What a job tells its programs: where runs are, how many processes train together, on which nodes."""
    lines = [f"export CPACK_RUNS={shlex.quote(str(runs_folder().resolve()))}"]
    if site.processes:
        threads = max(site.cpus_per_node // site.processes, 1)  # else torchrun gives each process one
        lines.append(f"export CPACK_PROCESSES={site.processes} OMP_NUM_THREADS={threads}")
    if site.nodes > 1 or (site.processes > 1 and not site.container):  # Slurm is seldom found in a container
        srun = f"srun --mpi=none --nodes={site.nodes} --ntasks-per-node=1 "
        srun += f"--cpus-per-task={site.cpus_per_node} --kill-on-bad-exit=1"
        lines.append(f"export CPACK_SRUN={shlex.quote(srun)}")
    if site.nodes > 1:
        lines += [f"export CPACK_NODES={site.nodes}", MEET.strip()]
    return lines


def job_options(site: Site, name: str, folder: Path, tasks: int) -> list[str]:
    """The options of sbatch for a job of so many tasks."""
    place = "%A_%a" if tasks > 1 else "%j"
    options = [f"--job-name={name}", f"--output={folder}/%x-{place}.out", "--open-mode=append", "--requeue"]
    options += [f"--array=0-{tasks - 1}%{site.at_once}"] if tasks > 1 else []
    options += [f"--time={site.time}", f"--signal=B:USR1@{site.warning_seconds}"]
    options += [f"--nodes={site.nodes}", "--ntasks-per-node=1", f"--cpus-per-task={site.cpus_per_node}"]
    options += [f"--mem={site.memory}"]
    options += [f"--partition={site.partition}"] if site.partition else []
    options += [f"--account={site.account}"] if site.account else []
    options += [f"--gpus-per-node={site.gpus_per_node}"] if site.gpus_per_node else []
    return [*options, *site.options]


def sbatch(path: Path, after: Sequence[str]) -> str:
    """Submit a script that waits for the success of some jobs; the number of the new one."""
    dependency = [f"--dependency=afterok:{':'.join(after)}", "--kill-on-invalid-dep=yes"] if after else []
    return said("sbatch", "--parsable", *dependency, str(path)).partition(";")[0]


def queued(plan: SweepPlan) -> dict[str, str]:
    """Runs of a plan that have a job which is waiting or running -> that job."""
    states = job_states()
    return {run: job for run, job in known_jobs(plan).items() if job in states and run in plan.runs}


def known_jobs(plan: SweepPlan) -> dict[str, str]:
    """Every run that was ever submitted -> its last job."""
    path = plan.folder / "jobs" / "jobs.json"
    return read_json(path, {"jobs": dict})["jobs"] if path.exists() else {}


def job_states() -> dict[str, str]:
    """The jobs of this user that are not over -> PENDING, RUNNING and so on."""
    lines = said("squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i %T")
    return dict(line.split() for line in lines.splitlines() if line.strip())


def said(*command: str) -> str:
    """What a command of Slurm prints; ValueError where it is not installed, RuntimeError where it fails."""
    if shutil.which(command[0]) is None:
        raise ValueError(f"{command[0]} is not installed here; log in where Slurm is, or take --on local")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`{shlex.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout.strip()
