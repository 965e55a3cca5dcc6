"""Killed at random moments, does a run end as if nothing had happened?

`python benchmarks/resume.py` writes results/resume.json. Runs of a small encoder are killed with SIGKILL, all
processes at once, at random moments of their life: while they start, in a step, while a checkpoint is
written, while the encoder is saved in the end; then they are started again, to the next kill or to the end.
What counts is the encoder, the last checkpoint with its optimiser state, bit for bit, and the losses.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl
import torch
from transformers import BertConfig, BertModel

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.model.encoder import Encoder, save_encoder
from cpack_lib.model.tokens import train_wordpiece
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.measure import descendants
from cpack_lib.work.results import write_result

REAL = ROOT.parent / "shared/data/train/pairs_open.parquet"
PLACE = runs_folder() / "benchmarks" / "resume"
PAIRS, STEPS, EVERY, SEED = 600, 40, 3, 0
MOMENTS = ("start", "step", "checkpoint", "saving")  # of a run's life, in the order they come
ALONE = [MOMENTS] * 5  # moments at which each run of one process is killed
TOGETHER = [("start", "step", "checkpoint")]  # the same on two processes
FEWER = [("step",)]  # two processes before the kill, one after it: dropout draws anew, but for none of it
CHECKPOINT = 0.008  # seconds it takes to write one, about
POLL = 0.001  # seconds between two looks at a run
FILES = ("encoder/model.safetensors", f"checkpoint-{STEPS:07d}/weights.safetensors")
FILES += (f"checkpoint-{STEPS:07d}/optimizer.safetensors",)
SETTINGS = {
    "objective": "contrast",
    "start": str(PLACE / "start"),
    "data": str(PLACE / "pairs.parquet"),
    "steps": STEPS,
    "rows_per_step": 64,
    "learning_rate": 1e-3,
    "checkpoint_every": EVERY,
    "longest": 48,
    "tokens_per_chunk": 512,
    "activations_gib": 0.002,
}


def prepare() -> None:
    """Pairs, and an encoder of two layers, 64 wide."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    if REAL.exists():
        table = pl.read_parquet(REAL, n_rows=50 * PAIRS)
    else:
        table = open_table("world:pairs", "pairs").read()
    pairs = table.sample(PAIRS, shuffle=True, seed=SEED).select("text_a", "text_b", "source")
    pairs.write_parquet(PLACE / "pairs.parquet")
    tokenizer = train_wordpiece([*pairs["text_a"], *pairs["text_b"]], 3_000)
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    torch.manual_seed(SEED)
    backbone = BertModel(BertConfig(vocab_size=len(tokenizer), **shape), add_pooling_layer=False)
    save_encoder(Encoder(backbone, tokenizer), PLACE / "start")


def new_folder(name: str, dropout: float) -> Path:
    """A folder for a run, its settings in it."""
    folder = PLACE / f"{name}-dropout-{dropout}"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SETTINGS | {"dropout": dropout}))
    return folder


def started(folder: Path, processes: int) -> subprocess.Popen:
    """The loop on so many processes, one thread each; it goes on where the folder says."""
    several = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command = [sys.executable, "-m", *(several if processes > 1 else []), "cpack_lib.training.loop"]
    with (folder / "stderr.log").open("w") as errors:
        return subprocess.Popen(
            [*command, str(folder / "config.json")],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )


def finish(folder: Path, processes: int) -> dict[str, float]:
    """Run to the end: seconds to the first line of the log, of a step, and from the last line to the end."""
    begun, run = time.monotonic(), started(folder, processes)
    wait_for(run, lambda: logged(folder))
    first = time.monotonic()
    wait_for(run, lambda: len(logged(folder)) >= STEPS)
    last = time.monotonic()
    if code := run.wait():
        raise RuntimeError(f"a run ended with {code}: {(folder / 'stderr.log').read_text()[-2000:]}")
    end = time.monotonic()
    return {"start": first - begun, "step": (last - first) / STEPS, "saving": end - last, "life": end - first}


def wait_for(run: subprocess.Popen, true: Callable[[], object]) -> None:
    """Until something is true, or the run has ended."""
    while run.poll() is None and not true():
        time.sleep(POLL)


def logged(folder: Path) -> list[dict]:
    """The whole lines of a log."""
    log = folder / "log.jsonl"
    text = log.read_text("utf-8") if log.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def checkpoint(folder: Path) -> int:
    """Steps of the last checkpoint, 0 where there is none."""
    return max((int(place.name.rpartition("-")[2]) for place in folder.glob("checkpoint-*")), default=0)


def kill(folder: Path, processes: int, moment: str, usual: dict, chance: random.Random) -> dict | None:
    """Start a run and kill it at a moment of its life: where it was; None if it had ended before."""
    old, done, begun = identity(folder / "log.jsonl"), checkpoint(folder), time.time()
    run = started(folder, processes)
    if moment == "start":
        time.sleep(chance.random() * usual["start"])
    else:
        wait_for(run, lambda: identity(folder / "log.jsonl") != old)  # the log is opened, and cut back
        steps = (
            STEPS if moment == "saving" else min(chance.randint(done + 1, done + STEPS // 2), STEPS - EVERY)
        )
        steps += -steps % EVERY if moment == "checkpoint" else 0
        wait_for(run, lambda: len(logged(folder)) >= steps)
        if moment == "checkpoint":
            wait_for(run, lambda: is_written(folder, begun))
        time.sleep(chance.random() * usual[moment])
    seconds, ended = time.time() - begun, run.poll() is not None
    kill_all(run.pid)
    run.wait()
    where = {"processes": processes, "moment": moment, "seconds": seconds, "step": len(logged(folder))}
    return (
        None
        if ended
        else where | {"checkpoint": checkpoint(folder), "half_written": is_written(folder, begun)}
    )


def identity(path: Path) -> int:
    """Which file stands there now; 0: none."""
    return path.stat().st_ino if path.exists() else 0


def is_written(folder: Path, begun: float) -> bool:
    """Whether a checkpoint was begun since, and does not have its name yet."""
    try:
        return (folder / ".checkpoint.new").stat().st_mtime >= begun
    except FileNotFoundError:
        return False


def kill_all(parent: int) -> None:
    """SIGKILL for a program and what it started: torchrun gives each worker a session of its own."""
    family = [parent, *descendants(parent)]
    for process in family:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    for process in family[1:]:
        while alive(process):
            time.sleep(POLL)


def alive(process: int) -> bool:
    """Whether a process still runs; one that nobody has asked after yet has no command line."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except OSError:
        return False


def compared(folder: Path, unbroken: Path) -> dict[str, bool | float]:
    """Whether two runs ended with the same bits and losses; how far losses lie apart; the same batches?"""
    same = all((folder / name).read_bytes() == (unbroken / name).read_bytes() for name in FILES)
    ours, theirs = logged(folder), logged(unbroken)
    apart = max(abs(a["loss"] - b["loss"]) for a, b in zip(ours, theirs, strict=True))
    batches = [line["tokens"] for line in ours] == [line["tokens"] for line in theirs]
    return {"identical": same and apart == 0, "losses_apart": apart, "same_batches": batches}


def killed_runs(before: int, after: int, runs: list, dropout: float = 0.1) -> list[dict]:
    """Runs on `before` processes, killed at these moments, that end on `after`: a row for each kill."""
    rows, chance = [], random.Random(SEED)
    unbroken = new_folder(f"unbroken-{before}-{after}", dropout)
    usual = finish(unbroken, before) | {"checkpoint": CHECKPOINT}
    print("  unbroken: " + ", ".join(f"{name} {each:.3f} s" for name, each in usual.items()), flush=True)
    for number, moments in enumerate(runs):
        folder, found = new_folder(f"killed-{before}-{after}-{number}", dropout), []
        for moment in moments:
            while (row := kill(folder, before, moment, usual, chance)) is None:
                pass  # it had ended: started again, it saves again
            found.append(row)
        finish(folder, after)
        result = {"run": number, "ended_on": after, "dropout": dropout} | compared(folder, unbroken)
        rows += [row | result for row in found]
        print(f"  {before}: {[(row['moment'], row['step']) for row in found]} {result}", flush=True)
    return rows


def main() -> None:
    """Kill, go on, compare; write the table."""
    prepare()
    same = killed_runs(1, 1, ALONE) + killed_runs(2, 2, TOGETHER)
    fewer = killed_runs(2, 1, FEWER) + killed_runs(2, 1, FEWER, dropout=0.0)
    figures = {
        "kills": len(same),
        "identical": sum(row["identical"] for row in same),
        "kills_of_two_processes": sum(row["processes"] == 2 for row in same),
        "kills_within_a_checkpoint": sum(row["half_written"] for row in same),
        "two_then_one_losses_apart": round(fewer[0]["losses_apart"], 7),
        "two_then_one_losses_apart_without_dropout": round(fewer[1]["losses_apart"], 7),
    }
    write_result(
        "resume",
        what="Runs killed with SIGKILL at random moments and started again, beside one that was not.",
        command="python benchmarks/resume.py",
        figures=figures,
        spread={},
        rows=[row | {"losses_apart": f"{row['losses_apart']:.1e}"} for row in same + fewer],
    )


if __name__ == "__main__":
    main()
