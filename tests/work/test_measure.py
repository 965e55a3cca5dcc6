"""Promises of cpack_lib.work.measure: a measurement has a process and a peak of its own, and is kept."""

import json
import os
import subprocess
import sys
import time

import pytest
import torch

from cpack_lib.work import measure
from cpack_lib.work.measure import Journal, Most, descendants, matmul_peak, peak_gib, tree_gib

SCRIPT = """
import json, sys
from pathlib import Path
from cpack_lib.work.measure import peak_gib
given = json.loads(sys.argv[1])
if "fail" in given:
    sys.exit("no such variant")
held = bytearray(given["mib"] << 20)
held[::4096] = b"x" * len(held[::4096])
with Path(__file__).with_name("runs").open("a") as runs:
    runs.write("x")
print("said before", json.dumps({"peak_gib": peak_gib()}), sep="\\n")
"""


@pytest.fixture
def journal(tmp_path) -> Journal:
    (tmp_path / "script.py").write_text(SCRIPT)
    return Journal(tmp_path / "script.py", tmp_path / "measured.jsonl")


def test_each_has_a_peak_of_its_own(journal):
    held = bytearray(600 << 20)
    held[::4096] = b"x" * len(held[::4096])
    little, much = (journal.measured({"mib": mib})["peak_gib"] for mib in (1, 513))
    assert much - little == pytest.approx(0.5, abs=0.05)
    assert little < peak_gib() >= 600 / 1024


def test_what_was_measured_is_read_and_another_turn_is_not(journal, tmp_path):
    first = journal.measured({"mib": 1})
    assert Journal(journal.script, journal.path).measured({"mib": 1}) == first
    journal.measured({"mib": 1}, turn=1)
    journal.measured({"mib": 2})
    assert (tmp_path / "runs").read_text() == "xxx"
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [(line["given"]["mib"], line["turn"]) for line in lines] == [(1, 0), (1, 1), (2, 0)]


def test_what_fails_is_told_and_not_kept(journal):
    with pytest.raises(RuntimeError, match=r"'fail': True} failed:\nno such variant"):
        journal.measured({"fail": True})
    assert not journal.path.exists()


def test_other_code_is_measured_anew(journal, tmp_path):
    journal.measured({"mib": 1})
    journal.script.write_text(SCRIPT + "# a change\n")
    for _ in range(2):
        Journal(journal.script, journal.path).measured({"mib": 1})
    assert (tmp_path / "runs").read_text() == "xx"


HOLDER = """
import subprocess, sys, time
held = b"x" * (300 << 20)
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]]) if len(sys.argv) > 1 else None
print("held", flush=True)
time.sleep(60)
"""


def test_the_memory_of_a_tree_is_that_of_all_processes_in_it():
    before = tree_gib(os.getpid())
    with subprocess.Popen([sys.executable, "-c", HOLDER, HOLDER], stdout=subprocess.PIPE) as holder:
        try:
            assert [holder.stdout.readline() for _ in range(2)] == [b"held\n"] * 2
            below = list(descendants(os.getpid()))
            assert holder.pid in below and set(descendants(holder.pid)) < set(below)
            assert tree_gib(os.getpid()) - before == pytest.approx(600 / 1024, abs=0.08)
            assert tree_gib(holder.pid) == pytest.approx(600 / 1024, abs=0.08)
        finally:
            for process in [*descendants(holder.pid), holder.pid]:
                os.kill(process, 9)
    assert tree_gib(holder.pid) == 0  # it is gone


def test_the_most_of_a_block_is_found_between_its_ends():
    height = [1.0]
    with Most(lambda: height[0], seconds=0.01) as most:
        height[0] = 5.0
        time.sleep(0.2)
        height[0] = 2.0
    assert most.most == 5.0
    height[0] = 9.0
    time.sleep(0.05)
    assert most.most == 5.0  # it looks no more


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_peak_is_that_of_the_fastest_product(kind, monkeypatch):
    moments = iter([0.0, 0.5, 1.0, 1.25, 2.0, 2.75])  # a product takes 0.5, 0.25 and 0.75 seconds
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(moments))
    assert matmul_peak(kind, edge=8, tries=3) == 2 * 8**3 / 0.25 / 1e9
