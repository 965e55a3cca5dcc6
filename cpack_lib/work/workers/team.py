"""Processes that work for this one and end with it; a task whose worker died gets another, alone."""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, Pipe, wait

import cloudpickle

from cpack_lib.work.workers.remote import AHEAD, Outcome, Tasks, answer, opened, surroundings


@dataclass
class Task:
    """A task on its way: what it is called with, how many workers died of it, and what came of it."""

    name: str
    arguments: bytes
    deaths: int = 0
    outcome: Outcome | None = None


class Worker:
    """A Python process that ends with this one, and does one task at a time."""

    def __init__(self, function: bytes):
        self.pipe, end = Pipe()
        tied = [sys.executable, "-m", "cpack_lib.work.tied", str(os.getpid())]
        self.program = subprocess.Popen(
            [*tied, "cpack_lib.work.workers.team", str(end.fileno())],
            env=os.environ | surroundings(),
            stdin=subprocess.DEVNULL,
            pass_fds=[end.fileno()],
            start_new_session=True,  # Ctrl-C is for this process, which then stops its workers
        )
        end.close()
        self.send(function)

    def send(self, message: bytes) -> None:
        """Send bytes; where nobody is left to read them, `finish` will find out."""
        with suppress(OSError):
            self.pipe.send_bytes(message)

    def begin(self, task: Task) -> None:
        """Give it a task."""
        self.task = task
        self.send(task.arguments)

    def finish(self) -> bool:
        """Put the outcome into the task; False where the worker died, which the second time is an outcome."""
        try:
            self.task.outcome = opened(self.pipe.recv())
            return True
        except (EOFError, OSError):
            self.stop()
            self.task.deaths += 1
            if self.task.deaths == 2:
                code = self.program.returncode
                hint = ", killed: out of memory?" if code == -signal.SIGKILL else ""
                self.task.outcome = None, f"its worker died twice, last with exit code {code}{hint}"
            return False

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.program.kill()
        self.program.wait()
        self.pipe.close()


class Team:
    """Workers for the tasks that wait; a task whose worker died, a suspect, gets one alone."""

    def __init__(self, function: Callable, size: int):
        self.function, self.size = cloudpickle.dumps(function), size
        self.waiting, self.suspects = deque[Task](), deque[Task]()
        self.idle, self.busy = list[Worker](), dict[Connection, Worker]()

    def hand_out(self) -> None:
        """Give tasks to workers; a suspect to a fresh one, when all others and their memory are gone."""
        if not self.suspects:
            while self.waiting and len(self.busy) < self.size:
                self.begin(self.waiting.popleft())
        elif not self.busy:
            self.stop()
            self.begin(self.suspects[0])  # stays there until it has an outcome

    def begin(self, task: Task) -> None:
        """Start a task on an idle worker, or on a new one."""
        worker = self.idle.pop() if self.idle else Worker(self.function)
        self.busy[worker.pipe] = worker
        worker.begin(task)

    def collect(self, seconds: float | None) -> None:
        """Take what workers have finished; wait so long for the first of them, or with None for ever."""
        for pipe in wait(list(self.busy), seconds):
            worker = self.busy[pipe]
            if worker.finish():
                self.idle.append(worker)
            if worker.task.outcome is None:
                self.suspects.append(worker.task)
            elif worker.task.deaths:
                self.suspects.popleft()
            del self.busy[pipe]

    def in_order(self, tasks: Iterator[Task]) -> Iterator[Task]:
        """The tasks with their outcomes, in their order; a few more than there are workers are under way."""
        line = deque[Task]()
        while True:
            ahead = list(islice(tasks, AHEAD * self.size - len(line)))
            line.extend(ahead)
            self.waiting.extend(ahead)
            if not line:
                return
            self.collect(0)
            self.hand_out()
            if line[0].outcome is None:
                self.collect(None)
            else:
                yield line.popleft()

    def stop(self) -> None:
        """End all workers."""
        for worker in [*self.idle, *self.busy.values()]:
            worker.stop()
        self.idle.clear()
        self.busy.clear()


def in_processes(function: Callable, tasks: Tasks, size: int) -> Iterator[tuple[str, Outcome]]:
    """Outcomes of tasks done by a team of processes, which are gone when this ends, however it ends."""
    team = Team(function, size)
    try:
        for task in team.in_order(Task(name, cloudpickle.dumps(arguments)) for name, arguments in tasks):
            yield task.name, task.outcome
    finally:
        team.stop()


def serve(pipe: Connection) -> None:
    """What a worker does: take in the function, then answer one task after the other until nobody asks."""
    with suppress(EOFError, OSError):
        function = pipe.recv_bytes()
        while True:
            pipe.send(answer(function, pipe.recv_bytes()))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
