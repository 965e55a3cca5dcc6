"""Killed at random moments, does a run end as if nothing had happened?

`python benchmarks/resume.py` writes results/resume.json. Runs of a small encoder are killed with SIGKILL, the
whole process group at once, after a random number of steps and a random part of the next one, in steps,
checkpoints and the saving at the end; then they are started again. What counts is the encoder, the last
checkpoint with its optimiser state, bit for bit, and the losses of the log.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import torch
from transformers import BertConfig, BertModel

from cpack_lib.corpus.sources import open_table
from cpack_lib.model.encoder import Encoder, save_encoder
from cpack_lib.model.tokens import train_wordpiece
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.results import write_result

REAL = ROOT.parent / "shared/data/train/pairs_open.parquet"
PLACE = runs_folder() / "benchmarks" / "resume"
PAIRS, STEPS, SEED = 600, 40, 0
KILLS = {1: 20, 2: 3}  # by number of processes
KILLS_OF_A_RUN = 2
FILES = ("encoder/model.safetensors", f"checkpoint-{STEPS:07d}/weights.safetensors")
FILES += (f"checkpoint-{STEPS:07d}/optimizer.safetensors",)


def prepare() -> None:
    """Pairs, and an encoder of two layers, 64 wide."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    table = (
        pl.read_parquet(REAL, n_rows=50 * PAIRS)
        if REAL.exists()
        else open_table("world:pairs", "pairs").read()
    )
    pairs = table.sample(PAIRS, shuffle=True, seed=SEED).select("text_a", "text_b", "source")
    pairs.write_parquet(PLACE / "pairs.parquet")
    tokenizer = train_wordpiece([*pairs["text_a"], *pairs["text_b"]], 3_000)
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    torch.manual_seed(SEED)
    backbone = BertModel(BertConfig(vocab_size=len(tokenizer), **shape), add_pooling_layer=False)
    save_encoder(Encoder(backbone, tokenizer), PLACE / "start")


def started(folder: Path, processes: int) -> subprocess.Popen:
    """The loop on so many processes, one thread each; it goes on where the folder says."""
    folder.mkdir(exist_ok=True)
    given = {"objective": "contrast", "start": str(PLACE / "start"), "data": str(PLACE / "pairs.parquet")}
    given |= {
        "steps": STEPS,
        "rows_per_step": 64,
        "learning_rate": 1e-3,
        "checkpoint_every": 3,
        "longest": 48,
    }
    given |= {"tokens_per_chunk": 512, "activations_gib": 0.002, "dropout": 0.1}
    (folder / "config.json").write_text(json.dumps(given))
    several = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command = [sys.executable, "-m", *(several if processes > 1 else []), "cpack_lib.training.loop"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, str(folder / "config.json")], env=environment, cwd=ROOT, **quiet)


def finish(folder: Path, processes: int) -> None:
    """Run to the end."""
    if code := started(folder, processes).wait():
        raise RuntimeError(f"a run in {folder} ended with {code}")


def logged(folder: Path) -> list[dict]:
    """The whole lines of a log."""
    log = folder / "log.jsonl"
    text = log.read_text("utf-8") if log.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def kill(folder: Path, processes: int, chance: random.Random) -> dict | None:
    """Start a run and kill it at a random moment: where it was; None if it had ended before."""
    run, before = started(folder, processes), len(logged(folder))
    wanted = chance.randint(before, STEPS)  # the last: while it saves
    while run.poll() is None and len(logged(folder)) < wanted:
        time.sleep(0.001)
    time.sleep(chance.random() * 0.06)
    if run.poll() is not None:
        return None
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return {"processes": processes, "step": len(logged(folder))}


def identical(folder: Path, unbroken: Path) -> bool:
    """Whether two runs ended with the same weights, moments and losses."""
    same = all((folder / name).read_bytes() == (unbroken / name).read_bytes() for name in FILES)
    losses = [[line["loss"] for line in logged(place)] for place in (folder, unbroken)]
    return same and losses[0] == losses[1]


def killed_runs(processes: int, kills: int, unbroken: Path) -> list[dict]:
    """Runs that are killed and go on, until there were enough kills: a row for each."""
    rows, chance, number = [], random.Random(SEED), 0
    while len(rows) < kills:
        folder, number = PLACE / f"killed-{processes}-{number}", number + 1
        found = [row for _ in range(KILLS_OF_A_RUN) if (row := kill(folder, processes, chance))]
        finish(folder, processes)
        same = identical(folder, unbroken)
        rows += [row | {"run": number, "identical": same} for row in found]
        print(
            f"  {processes} processes, killed at {[row['step'] for row in found]}: identical {same}",
            flush=True,
        )
    return rows[:kills]


def main() -> None:
    """Kill, go on, compare."""
    prepare()
    rows = []
    for processes, kills in KILLS.items():
        unbroken = PLACE / f"unbroken-{processes}"
        finish(unbroken, processes)
        rows += killed_runs(processes, kills, unbroken)
    write_result(
        "resume",
        what="Runs killed with SIGKILL at random moments and started again, beside one that was not.",
        command="python benchmarks/resume.py",
        figures={
            "kills": len(rows),
            "identical": sum(row["identical"] for row in rows),
            "kills_of_two_processes": KILLS[2],
        },
        spread={},
        rows=rows,
    )


if __name__ == "__main__":
    main()
