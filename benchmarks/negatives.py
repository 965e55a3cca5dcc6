"""Negatives: what each strategy lets through in the world, and what it teaches on real questions.

`python benchmarks/negatives.py` writes results/negatives.json from two things, and the first of them again
as results/sweep_real_negatives.csv. One is the sweep `cpack sweep real_negatives`, then `cpack results
real_negatives` (some 25 minutes on two cores; it needs ../shared/data), whose last table is taken over. The
other is mined here, in some minutes: labelled rows of the embedded world, drawn with three seeds, by the
encoders of the profile demo after notebooks 03 and, for `refreshed`, 04, which are made if need be.

Figures are means over three seeds, their spread the least and the most of these. `retrieval_delta_` is what
the labelled stage adds to nDCG@10 × 100 with a strategy, `stage3_delta_` what it adds to each type with
C-Pack's window of ranks; `instruction_delta_retrieval` what of that is the instruction's. Rows have Student's
95 % intervals.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.evaluation.ablations.spread import paired, summed_up
from cpack_lib.evaluation.ablations.tables import by_type, compact, only, read_sweep_table, types_of
from cpack_lib.model.encoder import load_encoder, saved_instruction
from cpack_lib.training.negatives import (
    STRATEGIES,
    Window,
    embedder,
    false_negative_share,
    false_negatives,
    write_groups,
)
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.launch import run_profile
from cpack_lib.work.results import write_result
from cpack_lib.work.runs import finished_run

SWEEP, KEPT = "real_negatives", "results/sweep_real_negatives.csv"
BEFORE, USUAL, BARE = "before", "rank window", "no instruction"  # points that are no strategy, or C-Pack's
NOTEBOOKS = ("01_curate_pairs", "02_pretrain_retromae", "03_contrast_pairs", "04_instruct_finetune")
SEEDS, ROWS, LONGEST, NEGATIVES = (0, 1, 2), 4_000, 64, 2
NEAR = (0, 30)  # ranks that strategies with a guard draw from, in the sweep as well


@dataclass(frozen=True)
class Way:
    """How negatives of the world are mined: a strategy, its ranks, and the notebook whose encoder mines."""

    strategy: str
    ranks: tuple[int, int] = (10, 210)
    notebook: str = NOTEBOOKS[2]


WAYS = {
    "easy window": Way("easy window"),
    "at random": Way("at random"),
    "rank window": Way("rank window"),
    "ranks 0 to 30": Way("rank window", NEAR),
    "positive aware": Way("positive aware", NEAR),
    "positive margin": Way("positive margin", NEAR),
    "guided": Way("guided", NEAR),
    "given": Way("given"),
    "refreshed": Way("rank window", notebook=NOTEBOOKS[3]),
}


def named(text: str) -> str:
    """A name as part of a figure's: PairClassification -> pair_classification."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).replace(" ", "_").lower()


def table_of_sweep() -> pl.DataFrame:
    """The table in results/, as the last `cpack results` made it; ValueError says how where there is none."""
    made = runs_folder() / "sweeps" / SWEEP / "results.csv"
    table = read_sweep_table(str(made) if made.is_file() else KEPT, axes=["mined"])
    compact(table).write_csv(ROOT / KEPT)
    return read_sweep_table(KEPT)


def mined_shares() -> list[dict]:
    """The share of answers among mined negatives, by strategy and seed."""
    for notebook in NOTEBOOKS:
        run_profile("demo", only=notebook)
    places = {notebook: finished_run(f"demo/{notebook}") / "encoder" for notebook in NOTEBOOKS[2:]}
    rows = []
    for seed in SEEDS:
        labelled = open_table("world:labelled", "labelled", ROWS, seed).read()
        with TemporaryDirectory() as folder:
            rows += list(shares_of_seed(labelled, places, Path(folder), seed))
    return rows


def shares_of_seed(
    labelled: pl.DataFrame, places: dict[str, Path], folder: Path, seed: int
) -> Iterator[dict]:
    """The shares of all strategies on some labelled rows; texts are embedded once for each encoder."""
    encode = {notebook: embedder(load_encoder(place), LONGEST) for notebook, place in places.items()}
    for name, way in WAYS.items():
        window = Window(*way.ranks, count=NEGATIVES, seed=seed)
        options = {"strategy": STRATEGIES[way.strategy], "window": window}
        if way.strategy == "guided":
            options["guide"] = encode[way.notebook]
        if way.notebook == NOTEBOOKS[3]:
            options["prompt"] = saved_instruction(places[way.notebook])
        path = folder / f"{named(name)}.parquet"
        write_groups(labelled, encode[way.notebook], path, vectors=folder / way.notebook, **options)
        yield {"strategy": name, "seed": seed, "false_share": share_of(path, name)}
        print(f"  world, seed {seed}, {name}", flush=True)


def share_of(groups: Path, name: str) -> float:
    """Of searches; of the strategy `given`, which has label-0 partners of other tasks only, of these."""
    if name != "given":
        return false_negative_share(groups)
    counted = false_negatives(groups).filter(pl.col("origin") == "given")
    return counted["false"].sum() / counted["negatives"].sum()


def over_seeds(rows: pl.DataFrame, value: str) -> tuple[float, list[float]]:
    """The mean of a value with one row for each seed, and its least and most."""
    found = rows[value].to_numpy()
    return round(float(np.mean(found)), 4), [round(float(found.min()), 4), round(float(found.max()), 4)]


def taught(table: pl.DataFrame) -> tuple[dict[str, pl.DataFrame], list[dict]]:
    """Figure -> its value for each seed; and all deltas with intervals."""
    scores = by_type(table)
    added = paired(scores, "mined", BEFORE).filter(pl.col("mined") != BEFORE)
    retrieval = added.filter(pl.col("type") == "Retrieval")
    strategies = [name for name in added["mined"].unique(maintain_order=True) if name != BARE]
    found = {f"retrieval_delta_{named(name)}": only(retrieval, mined=name) for name in strategies}
    usual = only(added, mined=USUAL)
    found |= {f"stage3_delta_{named(kind)}": only(usual, type=kind) for kind in types_of(usual)}
    of_instruction = only(paired(added, "mined", BARE), mined=USUAL)
    found["instruction_delta_retrieval"] = only(of_instruction, type="Retrieval")
    rows = [{"delta": "to before"} | row for row in summed_up(added, ["mined", "type"]).to_dicts()]
    told = summed_up(of_instruction, ["type"]).to_dicts()
    return found, rows + [{"delta": f"to {BARE}", "mined": USUAL} | row for row in told]


def main() -> None:
    """Write results/negatives.json, and the table that it was made from."""
    by_figure, rows = taught(table_of_sweep())
    found = {name: over_seeds(seeds, "score") for name, seeds in by_figure.items()}
    shares = pl.DataFrame(mined_shares())
    for (name,), seeds in shares.group_by("strategy", maintain_order=True):
        found[f"false_negative_share_{named(name)}"] = over_seeds(seeds, "false_share")
    write_result(
        "negatives",
        what="Negatives by strategy: answers among those mined in the world; points on real questions.",
        command="python benchmarks/negatives.py",
        figures={name: mean for name, (mean, _) in found.items()},
        spread={name: ends for name, (_, ends) in found.items()},
        rows=rows + shares.to_dicts(),
    )


if __name__ == "__main__":
    main()
