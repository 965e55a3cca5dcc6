"""Promises of cpack_lib.work.progress: what is left is told, from this program's own steps."""

import io
import json
import subprocess
import sys

import pytest
from tqdm import std

from cpack_lib.work import launch, progress
from cpack_lib.work.progress import Progress, duration


class Clock:
    """A clock that the test sets."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return found


def lines_of(clock: Clock, shown: list[tuple[float, int]], capsys, total: int | None = 60) -> list[str]:
    """The lines of work whose steps are done at these seconds."""
    with Progress("train", total) as work:
        for clock.now, step in shown:
            work.show(step, loss=1.2)
    return capsys.readouterr().out.splitlines()


def test_a_line_tells_what_is_left_and_the_last_one_does_not(clock, capsys):
    lines = lines_of(clock, [(0, 0), (12, 40), (18, 60)], capsys)
    assert lines == ["train 40/60  loss 1.2  12 s, 6 s left", "train 60/60  loss 1.2  18 s"]


def test_steps_done_before_this_program_and_its_start_do_not_count(clock, capsys):
    lines = lines_of(clock, [(100, 9_000), (110, 9_010)], capsys, total=10_000)
    assert lines[-1] == "train 9,010/10,000  loss 1.2  2 min, 16 min left"  # 990 s: one for each step


def test_nothing_is_said_where_nobody_can_know(clock, capsys):
    assert lines_of(clock, [(5, 1)], capsys) == ["train 1/60  loss 1.2  5 s"]
    clock.now = 0.0
    assert lines_of(clock, [(5, 1), (10, 2)], capsys, total=None)[-1] == "train 2  loss 1.2  10 s"


def test_the_bar_starts_where_this_program_did(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    monkeypatch.setattr(progress, "tqdm", lambda **options: std.tqdm(file=io.StringIO(), **options))
    with Progress("train") as work:
        for step in (9_000, 9_001):
            work.show(step, 10_000)
        assert (work.bar.initial, work.bar.n, work.bar.total) == (9_000, 9_001, 10_000)


def test_facts_leave_a_bar_its_room(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    monkeypatch.setattr(progress, "tqdm", lambda **options: std.tqdm(file=io.StringIO(), **options))
    with Progress("train") as work:
        work.show(1, 10, loss=1.2, right=0.5, rows=4_000, tokens=90)
        assert work.bar.postfix == "loss=1.2, right=0.5, rows=4,000"
        assert work.bar.dynamic_ncols  # as wide as the page, and no wider


def test_lines_that_a_resumed_program_left_are_no_steps_of_its_own(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(Progress, "show", lambda self, step, *_, **__: shown.append(step))
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"step": step, "steps": 40}) + "\n" for step in range(1, 37)))
    program = subprocess.Popen([sys.executable, "-c", ""])
    program.wait()
    launch.follow(program, log, position=10**6, name="train")  # cut back: shorter than it was
    assert shown == [36]


def test_a_time_has_two_digits():
    told = [duration(seconds) for seconds in (0.2, 40, 99.4, 99.6, 720, 5_900, 6_000, 11_160)]
    assert told == ["0 s", "40 s", "99 s", "2 min", "12 min", "98 min", "1.7 h", "3.1 h"]
