"""What benchmarks share: memory of processes, this machine's matmul peak, measurements that are kept."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import torch

from cpack_lib.work.files import ROOT, digest_of

KIB, GIB = 2**10, 2**30


def peak_gib() -> float:
    """The most memory this process has held; from Linux's /proc, as getrusage counts its parent's, too."""
    status = Path("/proc/self/status")
    if status.exists():
        held = next(line for line in status.read_text().splitlines() if "VmHWM" in line)
        return int(held.split()[1]) * KIB / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB  # bytes on macOS


def descendants(parent: int) -> Iterator[int]:
    """All processes below one, from Linux's /proc."""
    with suppress(OSError):  # it ended while we read
        for path in list(Path(f"/proc/{parent}/task").glob("*/children")):
            for child in map(int, path.read_text().split()):
                yield child
                yield from descendants(child)


def tree_gib(process: int) -> float:
    """What a process and all below it hold now, shared pages counted once; from Linux's /proc."""
    held = 0
    for each in (process, *descendants(process)):
        with suppress(OSError):  # it ended while we read
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            held += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return held * KIB / GIB


class Most:
    """The `most` that a number has been while a block ran, looked at every so many seconds by a thread."""

    def __init__(self, number: Callable[[], float], seconds: float = 0.2):
        self.number, self.seconds, self.most = number, seconds, number()
        self.over, self.thread = Event(), Thread(target=self.look, daemon=True)

    def look(self) -> None:
        """Look until the block is over."""
        while not self.over.wait(self.seconds):
            self.most = max(self.most, self.number())

    def __enter__(self) -> "Most":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.most = max(self.most, self.number())


def matmul_peak(kind: torch.dtype, edge: int = 4_096, tries: int = 5) -> float:
    """GFLOP/s of the best of some large square products."""
    a, b = (torch.randn(edge, edge, dtype=kind) for _ in range(2))
    seconds = []
    for _ in range(tries):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * edge**3 / min(seconds) / 1e9


class Journal:
    """Measurements, each by `script` in a process of its own; what was measured before is read from `path`.

    So a peak of memory is that of one measurement, and an interrupted benchmark goes on; other code, in the
    script or in cpack_lib, is measured anew. The script gets a JSON object as its argument and prints one as
    its last line.
    """

    def __init__(self, script: Path, path: Path):
        self.script, self.path = script, path
        self.code = digest_of([script, *sorted((ROOT / "cpack_lib").rglob("*.py"))])

    def measured(self, given: Mapping[str, Any], turn: int = 0) -> dict[str, Any]:
        """What the script told of `given`, the `turn`-th time; RuntimeError with its last words."""
        lines = self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        for line in map(json.loads, lines):
            if (line["given"], line["turn"], line["code"]) == (given, turn, self.code):
                return line["told"]
        command = [sys.executable, str(self.script), json.dumps(given)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise RuntimeError(f"{given} failed:\n{done.stderr[-3000:]}")
        told = json.loads(done.stdout.splitlines()[-1])
        with self.path.open("a", encoding="utf-8") as journal:
            line = {"given": given, "turn": turn, "code": self.code, "told": told}
            journal.write(json.dumps(line) + "\n")
        return told
