"""A hash of all that curation writes, by these workers, of which some are killed: one measurement.

The argument is a JSON object, and so is the last line that is printed: `benchmarks/curation.py` starts it.
"""

import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import ray

from cpack_lib.corpus import curate as pipeline
from cpack_lib.corpus.clean.contamination import decontamination
from cpack_lib.corpus.clean.rules import RULES
from cpack_lib.corpus.copies.keys import copies
from cpack_lib.corpus.copies.near import near_copies
from cpack_lib.corpus.read.sources import open_table
from cpack_lib.work.files import runs_folder
from cpack_lib.work.measure import descendants

PLACE = runs_folder() / "benchmarks" / "curation"
SHARDS = 8
MOMENTS = ("pairs-*", "search-*/*.edges-*.npy")  # a part is made, a band is searched: then a worker is killed


def workers() -> Iterator[int]:
    """The processes below this one that do tasks, of a pool or of Ray."""
    for process in descendants(os.getpid()):
        with suppress(OSError):
            command = Path(f"/proc/{process}/cmdline").read_bytes()
            if b"cpack_lib.work.workers" in command or command.startswith(b"ray::answer"):
                yield process


def kill(parts: Path, moments: tuple[str, ...], killed: list[str]) -> None:
    """At each moment, once a file of this name is there, SIGKILL for a worker."""
    for moment in moments:
        while not any(parts.glob(moment)):
            time.sleep(0.005)
        while not (found := list(workers())):
            time.sleep(0.005)
        os.kill(found[0], signal.SIGKILL)
        killed.append(moment)


def digest_of_files(folder: Path) -> str:
    """One hash of the names and contents of all files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def measured(table: str, evaluation: str, rows: int, workers: str, kills: int) -> dict:
    """Curate SHARDS shards of a table; the hash of the output, and how many workers were killed."""
    pairs, killed = open_table(table, "pairs", rows).read(), []
    pipeline.ROWS_PER_SHARD = -(-len(pairs) // SHARDS)
    if workers == "ray":
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
        ray.init("local", num_cpus=2, **quiet)
    with tempfile.TemporaryDirectory(dir=PLACE) as name:
        folder = Path(name)
        rules = [*RULES, *decontamination(evaluation, folder / ".parts" / "evaluation")]
        Thread(target=kill, args=(folder / ".parts", MOMENTS[:kills], killed), daemon=True).start()
        started = time.perf_counter()
        given = pairs.iter_slices(pipeline.ROWS_PER_SHARD)
        pipeline.curate([], given, folder, rules, [*copies(3), *near_copies(0.8)], workers=workers)
        seconds = time.perf_counter() - started
        digest = digest_of_files(folder)
    ray.shutdown()
    told = {"workers": workers, "rows": len(pairs), "killed": len(killed)}
    return told | {"digest": digest, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1]))))
