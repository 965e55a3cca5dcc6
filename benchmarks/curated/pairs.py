"""Pairs curated by two workers, or one shard step by step: one measurement, which its argument names.

The argument is a JSON object, and so is the last line that is printed: `benchmarks/curation.py` starts it.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import polars as pl

from cpack_lib.corpus import curate as pipeline
from cpack_lib.corpus.clean.contamination import Outside, decontamination
from cpack_lib.corpus.clean.funnel import apply
from cpack_lib.corpus.clean.rule import PAIRS, SET, TEXTS
from cpack_lib.corpus.clean.rules import RULES
from cpack_lib.corpus.clean.text import REPAIRS
from cpack_lib.corpus.copies.keys import First, copies, pair_keys, text_keys
from cpack_lib.corpus.copies.near import Near, near_copies
from cpack_lib.corpus.parts import make_part
from cpack_lib.corpus.read.sources import open_table
from cpack_lib.corpus.treat import treat_pairs
from cpack_lib.training.clock import Clock
from cpack_lib.work.files import runs_folder
from cpack_lib.work.measure import GIB, Most, tree_gib
from cpack_lib.work.workers.pool import each

PLACE = runs_folder() / "benchmarks" / "curation"
COPIES = [*copies(3), *near_copies(0.8)]


def curated(table: str, rows: int | None, evaluation: str) -> dict:
    """Curate pairs by two workers: seconds of the whole and of its stages, memory, disk, rows."""
    given = open_table(table, "pairs", rows)
    with tempfile.TemporaryDirectory(dir=PLACE) as name:
        folder, clock = Path(name), hooked(Clock())
        disk = Most(partial(gib_below, folder / ".parts"), 2.0)
        with Most(partial(tree_gib, os.getpid())) as memory, disk, clock("whole"):
            with clock("evaluation index"):
                rules = [*RULES, *decontamination(evaluation, folder / ".parts" / "evaluation")]
            funnel = pipeline.curate([], given, folder, rules, COPIES, workers=2)
        written = gib_below(folder)
    first, last = pl.col("step").min(), pl.col("step").filter(stage=SET).max()
    rows, left = (funnel.filter(pl.col("step") == step) for step in (first, last))
    seconds = dict(clock.seconds)
    whole = seconds.pop("whole")
    told = {"seconds": whole, "peak_gib": memory.most, "disk_gib": disk.most, "written_gib": written}
    told |= {"rows": rows["rows_in"].sum(), "pairs": left["rows_out"].sum()}
    return told | {"stages": seconds | {"rest": whole - sum(seconds.values())}}


def hooked(clock: Clock) -> Clock:
    """The clock, hung at the functions that the stages of `curate` are made of."""
    each, stages = pipeline.each, {"make_part": "treat", "finish_part": "finish"}

    def each_timed(function: Callable, tasks: Iterable, workers: int | str) -> Iterator:
        with clock(stages[function.__name__]):
            yield from each(function, tasks, workers)

    pipeline.each = each_timed
    First.gone = clock("exact copies")(First.gone)
    Near.gone = clock("near copies")(Near.gone)
    return clock


def gib_below(folder: Path) -> float:
    """What the files below a folder hold, those that vanish meanwhile left out."""
    size = 0
    for place, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                size += os.stat(os.path.join(place, file)).st_size
    return size / GIB


def one_shard(table: str, rows: int, evaluation: str) -> dict:
    """The steps of one shard, a sample of the pairs, in a worker with one thread: seconds of each."""
    shard = open_table(table, "pairs").read()
    shard = shard.sample(min(rows, len(shard)), shuffle=True, seed=0)
    with tempfile.TemporaryDirectory(dir=PLACE) as name:
        rules = [*RULES, *decontamination(evaluation, Path(name) / "evaluation")]
        [(_, seconds)] = each(steps_of, [("shard", (shard, rules, Path(name)))], 2)
    return {"rows": len(shard), "seconds": seconds}


def steps_of(shard: pl.DataFrame, rules: list, folder: Path) -> dict[str, float]:
    """The same, in the worker: the whole part, then its steps one by one in the order of `treat_pairs`."""
    clock, treat = Clock(), partial(treat_pairs, rules=rules)
    treat(shard.head(100))  # what is made once in each process
    with clock("whole part"):
        part = make_part(folder / "part", treat, shard, COPIES)
    pairs = shard.with_columns(characters=pl.lit(1, pl.Int64))
    for repair in REPAIRS:
        with clock(f"repair: {repair.name}"):
            pairs = pairs.with_columns(repair.mend(pl.col("text_a", "text_b")))
    with clock("keys"):
        pairs = pairs.with_columns(pair_keys(pairs))
    for rule in (rule for rule in rules if rule.stage == PAIRS):
        with clock(f"{'contamination' if isinstance(rule, Outside) else 'rule'}: {rule.name}"):
            pairs = apply([rule], PAIRS, pairs)[0]
    texts = pl.read_ipc(part.folder / "texts.arrow")
    with clock("keys"):
        text_keys(texts["text"])
    with clock("contamination: texts"):
        apply(rules, TEXTS, texts)
    for rule in COPIES:
        with clock("minhash" if isinstance(rule, Near) else "keys"):
            rule.prepare(folder, pairs if rule.stage == SET else texts)
    return dict(clock.seconds)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    measure = {"whole": curated, "one shard": one_shard}[given.pop("what")]
    print(json.dumps(measure(**given)))
