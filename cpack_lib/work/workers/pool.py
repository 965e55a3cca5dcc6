"""Run a function over named tasks: in this process, in several, or on Ray.

Wherever it runs, results come in the order of the tasks, tasks are taken only as they are needed, and one
that fails does not stop the others. Functions travel by value (cloudpickle), closures and lambdas too.
No polars is imported here: a worker's share of the cores has to be in its environment before that.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import islice
from types import ModuleType
from typing import Any, TypeVar

import cloudpickle

from cpack_lib.work.provenance import usable_cores
from cpack_lib.work.workers.remote import AHEAD, Outcome, Tasks, answer, attempt, opened, surroundings
from cpack_lib.work.workers.team import in_processes

T = TypeVar("T")
SHOWN = 5  # failed tasks that an error names


class TasksFailed(Exception):
    """Some tasks failed, and all the others are done; `failures` has name -> its error and traceback."""

    def __init__(self, failures: dict[str, str], tasks: int):
        self.failures = failures
        told = [f"{name} ({failure.splitlines()[0]})" for name, failure in failures.items()]
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        remedy = "run again once the cause is gone, what is finished is kept"
        super().__init__(f"{len(told)} of {tasks} tasks failed: {', '.join(told[:SHOWN])}{more}; {remedy}")
        name, failure = next(iter(failures.items()))
        self.add_note(f"{name}: {failure}")


def each(function: Callable[..., T], tasks: Tasks, workers: int | str) -> Iterator[tuple[str, T]]:
    """(name, function(*arguments)) of every task, in their order, by `workers` as workers_of reads them.

    At most AHEAD tasks for each worker are taken and not yet yielded, which bounds memory. A task whose
    worker dies is tried once more, as memory may have run out. TasksFailed comes after the last result.
    """
    chosen = workers_of(str(workers))
    if chosen == 1:
        return results(here(function, tasks))
    if isinstance(chosen, int):
        return results(in_processes(function, tasks, chosen))
    return results(on_ray(function, tasks, address_of(chosen)))


def workers_of(setting: str) -> int | str:
    """A number of processes, "auto" being one per usable core; "ray" and "ray:ADDRESS" stay as they are."""
    if setting == "auto":
        return usable_cores()
    if setting.isdecimal() and int(setting) > 0:
        return int(setting)
    if setting == "ray" or (setting.startswith("ray:") and setting != "ray:"):
        return setting
    raise ValueError(
        f'workers is {setting!r}; write "1" for this process, a number such as "4" for so many processes, '
        '"auto" for one per core, "ray" for the cluster at RAY_ADDRESS or a local one, or "ray:ADDRESS"'
    )


@contextmanager
def ready(workers: int | str) -> Iterator[None]:
    """Around several calls of `each` with the same workers: Ray is started once for all of them."""
    chosen = workers_of(str(workers))
    with nullcontext() if isinstance(chosen, int) else ray_at(address_of(chosen)):
        yield


def address_of(chosen: str) -> str:
    """Where Ray is, of "ray" and "ray:ADDRESS"; nothing for the first."""
    return chosen.removeprefix("ray").removeprefix(":")


def results(outcomes: Iterator[tuple[str, Outcome]]) -> Iterator[tuple[str, Any]]:
    """The results of the tasks that have one, then TasksFailed where some have none."""
    failures, tasks = {}, 0
    for name, (result, failure) in outcomes:
        tasks += 1
        if failure:
            failures[name] = failure
        else:
            yield name, result
    if failures:
        raise TasksFailed(failures, tasks)


def here(function: Callable, tasks: Tasks) -> Iterator[tuple[str, Outcome]]:
    """Outcomes of tasks done one by one in this process, with all cores for polars."""
    for name, arguments in tasks:
        yield name, attempt(partial(function, *arguments))


def on_ray(function: Callable, tasks: Tasks, address: str) -> Iterator[tuple[str, Outcome]]:
    """Outcomes of tasks done by Ray."""
    tasks, line = iter(tasks), deque()
    with ray_at(address) as ray, ExitStack() as ending:
        ending.callback(lambda: [ray.cancel(running, force=True) for _, running in line])
        remote = ray.remote(max_retries=1, runtime_env={"env_vars": surroundings()})(answer)
        packed = ray.put(cloudpickle.dumps(function))
        while True:
            ahead = AHEAD * int(ray.cluster_resources().get("CPU", 1))  # a cluster may grow
            for name, arguments in islice(tasks, max(0, ahead - len(line))):
                line.append((name, remote.remote(packed, cloudpickle.dumps(arguments))))
            if not line:
                return
            outcome, died = attempt(partial(ray.get, line[0][1]))
            yield line.popleft()[0], (None, died) if died else opened(outcome)


@contextmanager
def ray_at(address: str) -> Iterator[ModuleType]:
    """Ray, started here and ended at last, unless this process has it already."""
    try:
        import ray
    except ImportError:
        raise ImportError("Ray is not installed; pip install 'cpack-notebooks[cluster]'") from None
    ours = not ray.is_initialized()
    if ours:
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        cores = usable_cores() if address == "local" else None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers
        ray.init(address, num_cpus=cores, include_dashboard=False, logging_level="warning")
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()
