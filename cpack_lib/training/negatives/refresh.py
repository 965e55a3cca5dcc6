"""Mining again while the encoder learns: training in legs, each with negatives mined at its beginning.

Negatives go stale: what was hard for the encoder of step 0 is easy after some hundred steps. ANCE (Xiong et
al. 2021, arXiv 2007.00808) renews them all the time beside training, Conan-embedding when they have become
easy; here training pauses. Optimiser, learning rate and batches go on as if nothing had happened.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from safetensors.torch import load_file

from cpack_lib.model.encoder import Encoder, load_encoder
from cpack_lib.training.checkpoints import last_checkpoint
from cpack_lib.work.launch import run_program

TOKENS = ("tokens", "guide", "teacher")  # folders of what a run has tokenised of its data
Write = Callable[[Encoder, Path, int], pl.DataFrame]  # mines at a step, writes groups: how they were made


def train_in_legs(
    config: dict[str, Any], folder: Path, every: int, write: Write, processes: int = 1
) -> pl.DataFrame:
    """Train as `config` says, without its `data`; after every so many steps (0: never) mine anew.

    `write(encoder, path, step)` writes the groups of a leg, `groups-STEP.parquet` in the folder, with the
    encoder as it is at that step; all legs need the same groups in the same order, with other negatives.
    What it tells comes back for all legs, each with the step it begins with in `leg`. Killed at any moment,
    it goes on where it was. With `every` 0, or `steps` and more, this is one run of the loop.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps, told = config["steps"], []
    for begin, end in legs(steps, every):
        groups, counts = folder / f"groups-{begin:07d}.parquet", folder / f"mined-{begin:07d}.parquet"
        if not counts.exists():
            write(encoder_at(config["start"], folder, begin), groups, begin).write_parquet(counts)
        told.append(pl.read_parquet(counts).select(pl.lit(begin).alias("leg"), pl.all()))
        if not finished(folder, end, steps):
            for name in TOKENS:  # of the leg before
                shutil.rmtree(folder / name, ignore_errors=True)
            leg = {"data": str(groups), "until": 0 if end == steps else end}
            run_program("cpack_lib.training.loop", config | leg, folder, processes)
    return pl.concat(told)


def legs(steps: int, every: int) -> list[tuple[int, int]]:
    """The first step of each leg, and the one behind its last."""
    if every < 0 or steps < 1:
        raise ValueError(
            f"{steps} steps cannot be cut every {every} steps; give 1 step or more, and 0 or more"
        )
    starts = range(0, steps, every or steps)
    return [(start, min(start + (every or steps), steps)) for start in starts]


def finished(folder: Path, end: int, steps: int) -> bool:
    """Whether the run has come to the end of a leg; at the end of all, whether it has written its encoder."""
    place = last_checkpoint(folder)
    if end == steps:
        return (folder / "encoder").exists()
    return place is not None and steps_done(place) >= end


def steps_done(checkpoint: Path) -> int:
    """The steps that were done when a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def encoder_at(start: str, folder: Path, step: int) -> Encoder:
    """The encoder as it is after so many steps of the run in a folder, which began with that of `start`.

    ValueError where the run's last checkpoint is another one.
    """
    encoder = load_encoder(start)
    if step:
        place = folder / f"checkpoint-{step:07d}"
        if not place.exists():
            raise ValueError(f"{folder} has no {place.name}; mine before training goes on, or begin anew")
        encoder.load_state_dict(load_file(place / "weights.safetensors"))
    return encoder


def kept(before: pl.DataFrame, after: pl.DataFrame) -> float:
    """The share of one leg's negatives that the next leg has, too, for the same query and positive: 0 to 1.

    With the seed of the window unchanged, chance chooses alike, so this tells how far the ranks have moved.
    """
    pairs = [
        groups.select(
            "query", positive=pl.col("passages").list.first(), text=pl.col("passages").list.slice(1)
        )
        .explode("text", keep_nulls=False, empty_as_null=False)
        .unique()
        for groups in (before, after)
    ]
    if not pairs[0].height:
        raise ValueError("the groups before have no negatives; there is nothing that could be kept")
    return pairs[0].join(pairs[1], on=pairs[0].columns, how="semi").height / pairs[0].height
