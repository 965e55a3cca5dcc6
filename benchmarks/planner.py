"""The planner beside the truth on this machine: memory and seconds of a step, planned and measured.

`python benchmarks/planner.py` writes results/planner.json, in ten minutes on two quiet cores; with the word
`tiny` it tries itself on small jobs and writes nothing. Each measurement has a process of its own. Memory is
the most that it held beside what it held before the step, with blocks from 1 MiB on asked of the system one
by one (MALLOC_MMAP_THRESHOLD_), so that it is what was asked for; what glibc holds of its own accord is told
as `heap`, a multiple of the plan. Seconds are medians of steps, planned from constants measured in the same
process before and after them. Linux only.
"""

import ctypes
import gc
import json
import os
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from cpack_lib.training.planning.jobs import Job
from cpack_lib.training.planning.observed import Engine, beside, lengths_of
from cpack_lib.work.files import runs_folder
from cpack_lib.work.measure import GIB, KIB, Journal
from cpack_lib.work.measure import peak_gib as held_at_most
from cpack_lib.work.results import shortened, write_result

JOURNAL = Journal(Path(__file__).resolve(), runs_folder() / "benchmarks" / "planner.jsonl")
KEPT, TWICE = 100.0, 1e-9  # GiB of activations: all, none
BLOCKS = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
NANO = Job(size="nano", batch=192, query_tokens=32, passage_tokens=96, tokens_per_chunk=4_096)
SMALL = replace(NANO, size="small", batch=64, query_tokens=64, passage_tokens=64)
JOBS = {
    "nano, embedded twice": replace(NANO, activations_gib=TWICE),
    "nano, all kept": replace(NANO, activations_gib=KEPT),
    "nano, some kept": replace(NANO, activations_gib=0.3),
    "nano, small chunks": replace(NANO, activations_gib=TWICE, tokens_per_chunk=1_024),
    "nano, short texts": replace(NANO, batch=768, query_tokens=16, passage_tokens=16, activations_gib=KEPT),
    "nano, long texts": replace(NANO, batch=32, query_tokens=256, passage_tokens=256, activations_gib=TWICE),
    "nano, uneven texts": replace(NANO, activations_gib=TWICE),
    "nano, float32": replace(NANO, batch=64, precision="float32", activations_gib=KEPT),
    "nano, no dropout": replace(NANO, dropout=0.0, activations_gib=KEPT),
    "nano, negatives": replace(NANO, batch=96, passages=3, both_ways=True, activations_gib=TWICE),
    "wide, all kept": replace(NANO, size="wide", activations_gib=KEPT),
    "small, all kept": replace(SMALL, activations_gib=KEPT),
    "small, recomputed": replace(SMALL, activations_gib=TWICE, recompute=True),
    "base, embedded twice": replace(SMALL, size="base", batch=16, activations_gib=TWICE),
    "nano, RetroMAE": replace(NANO, stage="retromae", batch=64),
    "small, RetroMAE": replace(SMALL, stage="retromae", batch=48),
}
TINY = {"batch": 24, "tokens_per_chunk": 512, "words": 600}  # to try the script
STEPS = 3
HEAPED = {
    "nano, embedded twice",
    "nano, all kept",
    "small, all kept",
    "nano, RetroMAE",
}  # by glibc, too
TRUTHS = {"time": "measured_s", "memory": "process_gib", "tensors": "measured_gib"}


def made(name: str, tiny: bool) -> tuple[Job, np.ndarray | None]:
    """A job by its name, and lengths of its texts where they differ: the plan knows their means alone."""
    job = replace(JOBS[name], **TINY) if tiny else JOBS[name]
    if "uneven" not in name:
        return job, None
    many_short = np.random.default_rng(0).gamma(2.0, lengths_of(job) / 2)
    lengths = many_short.round().astype(int).clip(4, 256)
    queries, passages = (round(part.mean()) for part in np.split(lengths, [job.batch]))
    return replace(job, query_tokens=queries, passage_tokens=passages), lengths


def seconds(name: str, tiny: bool) -> dict[str, float]:
    """Seconds of a step and GiB of its tensors, planned and measured."""
    job, lengths = made(name, tiny)
    with tempfile.TemporaryDirectory() as folder:
        return beside(job, Path(folder), STEPS, lengths)


def memory(name: str, tiny: bool) -> dict[str, float]:
    """What a step takes of the system, GiB, the weights with it."""
    job, lengths = made(name, tiny)
    with tempfile.TemporaryDirectory() as folder:
        first = replace(job, size="nano", batch=2, words=600, tokens_per_chunk=64)
        Engine(first, Path(folder) / "first").step()  # loads what PyTorch loads when it is first asked
        engine = Engine(job, Path(folder) / "job", lengths)
        weights = sum(weight.nbytes for weight in engine.model.parameters()) / GIB
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = held_now() - weights
        Path("/proc/self/clear_refs").write_text("5")  # the most that was held is counted anew
        for _ in range(2):
            engine.step()
        return {"process_gib": held_at_most() - before}


def held_now() -> float:
    """Memory of this process, GiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)
    return int(line.split()[1]) * KIB / GIB


def measured(what: str, name: str, tiny: bool, environment: dict[str, str]) -> dict[str, float]:
    """One measurement in a process of its own, started with these variables."""
    os.environ.update(environment)
    told = JOURNAL.measured({"what": what, "name": name, "tiny": tiny, "with": environment})
    for variable in environment:
        del os.environ[variable]
    return told


def row_of(name: str, tiny: bool) -> dict:
    """A job: planned and measured, and by how many percent the plan is off."""
    row = {"job": name} | measured("seconds", name, tiny, {}) | measured("memory", name, tiny, BLOCKS)
    if name in HEAPED:
        row["heap"] = measured("memory", name, tiny, {})["process_gib"] / row["planned_gib"]
    for error, truth in TRUTHS.items():
        planned = "planned_s" if error == "time" else "planned_gib"
        row[f"{error}_error_pct"] = 100 * (row[planned] / row[truth] - 1)
    print(json.dumps({key: shortened(value) for key, value in row.items()}), flush=True)
    return row


def write(rows: list[dict]) -> None:
    """results/planner.json."""
    figures, spread = {"settings": len(rows)}, {}
    for error in TRUTHS:
        off = [abs(row[f"{error}_error_pct"]) for row in rows]
        figures[f"{error}_error_pct"] = round(statistics.median(off), 1)
        spread[f"{error}_error_pct"] = [round(min(off), 1), round(max(off), 1)]
    heaps = [row["heap"] for row in rows if "heap" in row]
    figures["heap"] = round(statistics.median(heaps), 2)
    spread["heap"] = [round(min(heaps), 2), round(max(heaps), 2)]
    what = "Memory and seconds of a step on this machine, planned beside measured: medians of the errors."
    write_result("planner", what, "python benchmarks/planner.py", figures, spread, rows)


def main(tiny: bool) -> None:
    """Measure all jobs; write the result unless it is only tried."""
    JOURNAL.path.parent.mkdir(parents=True, exist_ok=True)
    rows = [row_of(name, tiny) for name in JOBS]
    if not tiny:
        write(rows)


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["tiny"]):
        main(tiny=bool(sys.argv[1:]))
    else:
        given = json.loads(sys.argv[1])
        work = {"seconds": seconds, "memory": memory}[given["what"]]
        print(json.dumps(work(given["name"], given["tiny"])))
