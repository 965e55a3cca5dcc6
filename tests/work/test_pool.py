"""Promises of cpack_lib.work.pool: in this process, in processes that are killed, and on a Ray of its own."""

import builtins
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import pytest

from cpack_lib.work.files import ROOT
from cpack_lib.work.provenance import usable_cores
from cpack_lib.work.workers import pool
from tests.processes import alive, gone_soon

SLEEPER = """
import os, sys, time
from pathlib import Path
import polars
from cpack_lib.work.workers.pool import each

folder = Path(sys.argv[1])
sleep = lambda number: ((folder / str(os.getpid())).touch(), time.sleep(60))
list(each(sleep, ((str(number), (number,)) for number in range(4)), 2))
"""


def numbered(amount: int) -> list[tuple[str, tuple]]:
    """Tasks 0, 1, 2, ... with their number as argument."""
    return [(str(number), (number,)) for number in range(amount)]


def taking(tasks: Iterator, taken: list) -> Iterator:
    """The same tasks, noting those that were taken."""
    for task in tasks:
        taken.append(task[0])
        yield task


def until_failed(running: Iterator) -> tuple[list, pool.TasksFailed]:
    """What is yielded before TasksFailed, and that."""
    found = []
    with pytest.raises(pool.TasksFailed) as failed:
        for item in running:
            found.append(item)
    return found, failed.value


def appears(path: Path, seconds: float = 20) -> bool:
    """Whether a file is there within some seconds."""
    waited = time.monotonic()
    while not path.exists() and time.monotonic() - waited < seconds:
        time.sleep(0.02)
    return path.exists()


def called(folder: Path, number: int) -> int:
    """How many calls with this number there were before this one, in whatever process."""
    before = len(list(folder.glob(f"{number}-*")))
    (folder / f"{number}-{before}").touch()
    return before


def killed() -> None:
    """End this process as the system does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, "1", 2, "3", "auto"])
@pytest.mark.parametrize("amount", [0, 1, 17])
def test_results_come_in_the_order_of_the_tasks(workers, amount):
    offset = np.arange(3)  # the closure travels

    def add(number: int) -> np.ndarray:
        time.sleep(0.02 * (number % 3 == 0))  # every third is overtaken
        return offset + number

    found = list(pool.each(add, iter(numbered(amount)), workers))
    assert [name for name, _ in found] == [name for name, _ in numbered(amount)]
    assert all(np.array_equal(result, offset + number) for number, (_, result) in enumerate(found))


@pytest.mark.parametrize(("workers", "ahead"), [(1, 1), (2, 4), (3, 6)])
def test_tasks_are_taken_as_they_are_needed(workers, ahead):
    taken = []
    running = pool.each(lambda number: -number, taking(((str(n), (n,)) for n in count()), taken), workers)
    assert not taken
    for number in range(10):
        assert next(running) == (str(number), -number)
        assert number < len(taken) <= number + ahead


def test_a_slow_task_holds_no_other_up(tmp_path):
    def work(number: int) -> bool:
        (tmp_path / str(number)).touch()
        return number > 0 or all(appears(tmp_path / str(other)) for other in (1, 2, 3))

    assert all(result for _, result in pool.each(work, numbered(4), 2))


def test_workers_go_on_while_the_results_are_looked_at(tmp_path):
    running = pool.each(lambda number: (tmp_path / str(number)).touch(), numbered(20), 2)
    for number in range(10):
        assert next(running) == (str(number), None)
        assert appears(tmp_path / str(number + 3 if number else 2))  # at 0, the second worker may still start
        time.sleep(0.05)  # from the end of a task to its report


def test_a_worker_is_used_again_and_ends_with_the_last_task():
    processes = [process for _, process in pool.each(lambda number: os.getpid(), numbered(20), 2)]
    assert len(set(processes)) <= 2 and not any(map(alive, processes))


def test_workers_have_one_thread_each_and_find_the_library():
    def look() -> tuple[int, str, str]:
        import polars

        from cpack_lib.work import files

        return polars.thread_pool_size(), os.environ["OMP_NUM_THREADS"], files.__file__

    (found,) = pool.each(look, [("look", ())], 2)
    assert found[1] == (1, "1", str(ROOT / "cpack_lib/work/files.py"))


def test_the_module_imports_no_polars():
    code = "import sys, cpack_lib.work.workers.pool; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_raises_does_not_stop_the_others(workers):
    def even(number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd\nand a second line")
        return number

    found, failed = until_failed(pool.each(even, numbered(15), workers))
    assert found == [(str(number), number) for number in range(0, 15, 2)]
    assert list(failed.failures) == [str(number) for number in range(1, 15, 2)]
    assert "7 of 15 tasks failed: 1 (ValueError: 1 is odd), 3 (" in str(failed)
    assert "9 (ValueError: 9 is odd) and 2 more; run again" in str(failed) and "second" not in str(failed)
    assert all("in even\n" in failure and "a second line" in failure for failure in failed.failures.values())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_panic_of_polars_is_a_failed_task(workers):
    class Panic(BaseException):
        """What pyo3's PanicException is: no Exception."""

    def panic(number: int) -> int:
        if number == 1:
            raise Panic("index out of bounds")
        return number

    found, failed = until_failed(pool.each(panic, numbered(3), workers))
    assert found == [("0", 0), ("2", 2)] and "1 (Panic: index out of bounds)" in str(failed)


def test_a_result_that_cannot_travel_is_a_failed_task_and_an_argument_an_error():
    found, failed = until_failed(pool.each(lambda number: Lock() if number else 0, numbered(2), 2))
    assert found == [("0", 0)] and "1 (TypeError: cannot pickle '_thread.lock' object)" in str(failed)
    with pytest.raises(TypeError, match="cannot pickle"):
        list(pool.each(abs, [("task", (Lock(),))], 2))


def test_a_task_whose_worker_is_killed_once_is_done_again(tmp_path):
    def work(number: int) -> int:
        if called(tmp_path, number) == 0 and number in (0, 3, 4, 11):
            killed()
        return number

    assert list(pool.each(work, numbered(12), 2)) == [(str(number), number) for number in range(12)]
    assert not list(tmp_path.glob("5-1"))  # nothing but these is done twice


def test_a_task_that_always_kills_its_worker_fails_and_the_others_finish(tmp_path):
    def work(number: int) -> int:
        called(tmp_path, number)
        if number == 2:
            killed()
        if number == 5:
            os._exit(3)
        return number

    found, failed = until_failed(pool.each(work, numbered(9), 2))
    assert found == [(str(number), number) for number in (0, 1, 3, 4, 6, 7, 8)]
    assert "2 (its worker died twice, last with exit code -9, killed: out of memory?)" in str(failed)
    assert "5 (its worker died twice, last with exit code 3)" in str(failed)
    assert [len(list(tmp_path.glob(f"{number}-*"))) for number in range(9)] == [1, 1, 2, 1, 1, 2, 1, 1, 1]


def test_a_task_whose_worker_died_is_tried_again_alone(tmp_path):
    def work(number: int) -> tuple[float, float]:
        again, begun = called(tmp_path, number), time.monotonic()
        time.sleep(0.1)
        if number == 1 and not again:
            killed()
        time.sleep(0.2)
        return begun, time.monotonic()

    spans = [span for _, span in pool.each(work, numbered(6), 3)]
    begun, ended = spans.pop(1)
    assert all(end <= begun or ended <= begin for begin, end in spans)


def test_an_abandoned_run_leaves_no_worker(tmp_path):
    def work(number: int) -> int:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(60 if number else 0)
        return number

    for _ in pool.each(work, numbered(4), 2):
        break
    assert not any(alive(int(path.name)) for path in tmp_path.iterdir())


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_a_parent_that_is_killed_or_interrupted(tmp_path, blow):
    command = [sys.executable, "-c", SLEEPER, str(tmp_path)]
    parent = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)
    waited = time.monotonic()
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() - waited < 30:
        time.sleep(0.05)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2 and all(map(alive, workers))
    os.killpg(parent.pid, blow)  # as a terminal does, to all in its group
    said = parent.communicate(timeout=20)[1].decode()
    assert all(gone_soon(worker) for worker in workers)
    assert said.count("Traceback") == (blow == signal.SIGINT), said  # its own, and none of a worker


@pytest.mark.parametrize("setting", ["", "0", "-1", "two", "1.5", "ray:", "rays", "Auto", "here"])
def test_a_bad_number_of_workers_is_refused_before_a_task_is_taken(setting):
    taken = []
    with pytest.raises(ValueError, match=f"workers is '{setting}'; write \"1\" for this process"):
        pool.each(abs, taking(iter(numbered(3)), taken), setting)
    assert not taken


def test_workers_of_reads_what_a_parameters_cell_can_say():
    assert [pool.workers_of(setting) for setting in ("1", "12", "auto")] == [1, 12, usable_cores()]
    assert [pool.workers_of(setting) for setting in ("ray", "ray:head:6379")] == ["ray", "ray:head:6379"]


def test_without_ray_a_sentence_says_what_to_install(monkeypatch):
    real = builtins.__import__
    monkeypatch.delitem(sys.modules, "ray", raising=False)

    def no_ray(name, *rest):
        if name == "ray":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_ray)
    with pytest.raises(ImportError, match=r"pip install 'cpack-notebooks\[cluster\]'"):
        list(pool.each(abs, numbered(2), "ray"))


# On Ray: one start, as it takes 10 s, in which everything happens; each test looks at a part of it.


class Seen(NamedTuple):
    """What the run on Ray gave."""

    first: list  # the results of the run that started Ray
    failed: pool.TasksFailed  # how it ended
    most_ahead: int  # tasks that were taken and not yet yielded
    second: list  # the results of a run while Ray was there
    still_there: bool  # Ray, after the second
    gone: bool  # after the first
    calls: list[int]  # of each task


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        yield run_on_ray(ray, tmp_path_factory.mktemp("calls"))


def run_on_ray(ray, folder: Path) -> Seen:
    """Two runs on Ray, the second amid the first."""
    offset, taken = np.arange(3), []

    def work(number: int) -> tuple[np.ndarray, int]:
        import polars

        before = called(folder, number)
        if number == 6 or (number == 3 and before == 0):
            killed()
        if number == 4:
            raise ValueError("4 is odd")
        time.sleep(0.1 * (number % 3 == 0))
        return offset + number, polars.thread_pool_size()

    running = pool.each(work, taking(iter(numbered(12)), taken), "ray")
    assert not taken
    first, most_ahead = [next(running)], len(taken) - 1
    second = list(pool.each(lambda number: -number, numbered(5), "ray"))
    still_there = ray.is_initialized()
    with pytest.raises(pool.TasksFailed) as failed:
        for item in running:
            first.append(item)
            most_ahead = max(most_ahead, len(taken) - int(item[0]) - 1)
    calls = [len(list(folder.glob(f"{number}-*"))) for number in range(12)]
    return Seen(first, failed.value, most_ahead, second, still_there, not ray.is_initialized(), calls)


def test_ray_keeps_the_order_and_the_closure(seen):
    assert [name for name, _ in seen.first] == [str(number) for number in range(12) if number not in (4, 6)]
    assert all(np.array_equal(result, np.arange(3) + int(name)) for name, (result, _) in seen.first)
    assert all(result.flags.writeable for _, (result, _) in seen.first)


def test_ray_takes_tasks_as_they_are_needed(seen):
    assert seen.most_ahead < 2 * usable_cores()


def test_workers_of_ray_have_one_thread_each(seen):
    assert {threads for _, (_, threads) in seen.first} == {1}


def test_ray_does_a_killed_task_again_and_the_second_time_lets_it_fail(seen):
    assert seen.calls == [2 if number in (3, 6) else 1 for number in range(12)]
    assert list(seen.failed.failures) == ["4", "6"]
    assert "4 (ValueError: 4 is odd), 6 (WorkerCrashedError: The worker died" in str(seen.failed)


def test_ray_is_ended_by_the_run_that_started_it(seen):
    assert seen.second == [(str(number), -number) for number in range(5)]
    assert seen.still_there and seen.gone
