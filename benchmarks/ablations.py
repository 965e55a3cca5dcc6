"""What the real sweeps say: effects of batch size, model size, stages and data, with intervals over seeds.

`python benchmarks/ablations.py` writes results/ablations.json from the tables results/sweep_NAME.csv, and
with them what the launcher costs, from results/launcher.json. A table that `cpack results real_NAME` has made
since is taken over first, without what leads back to runs. To make the sweeps themselves, in this order:
`cpack sweep real_batch_size`, real_scale, real_stages, real_data_scale (hours on two cores; they need
../shared/data).
"""

import json
from collections.abc import Mapping

import polars as pl

from cpack_lib.evaluation.ablations.laws import fit_with_draws
from cpack_lib.evaluation.ablations.shares import factorial_effects, name_of, shared_out, subsets
from cpack_lib.evaluation.ablations.spread import paired, slopes, summed_up
from cpack_lib.evaluation.ablations.tables import (
    MEAN,
    by_type,
    compact,
    figures_of,
    read_sweep_table,
    types_of,
)
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.results import write_result

SWEEPS = ("batch_size", "scale", "stages", "data_scale")
STAGES = ["pretrain", "contrast", "instruct"]
MODEL = "03_contrast_pairs"
Row = Mapping[str, object]


def table_of(name: str) -> pl.DataFrame:
    """A sweep's table in results/, as the last `cpack results` made it."""
    kept, made = f"results/sweep_{name}.csv", runs_folder() / "sweeps" / f"real_{name}" / "results.csv"
    table = read_sweep_table(str(made) if made.is_file() else kept)
    compact(table).write_csv(ROOT / kept)
    return read_sweep_table(kept)


def batch_rows(table: pl.DataFrame) -> list[Row]:
    """Points for each doubling of the batch, by budget and type."""
    found = slopes(by_type(table), "rows_per_step", ["budget", "type"])
    return [{"effect": f"doubling the batch, {row.pop('budget')}"} | row for row in found.to_dicts()]


def scale_rows(table: pl.DataFrame) -> list[Row]:
    """Points that a larger encoder has more than nano, by type."""
    scores = by_type(table).select("size", "seed", "type", "score")
    gains = paired(scores, "size", "nano").filter(pl.col("size") != "nano")
    found = summed_up(gains, ["size", "type"])
    return [{"effect": f"nano to {row.pop('size')}"} | row for row in found.to_dicts()]


def stage_rows(table: pl.DataFrame) -> list[Row]:
    """Each stage's Shapley value and the factorial effects, by type."""
    named = [name_of(subset, STAGES) for subset in subsets(STAGES)]
    scores = by_type(table).filter(pl.col("stages").is_in(named))
    shares = shared_out(scores, STAGES).to_dicts()
    rows = [{"effect": f"Shapley value of {row.pop('stage')}"} | row for row in shares]
    together = shared_out(scores, STAGES, factorial_effects).to_dicts()
    return rows + [{"effect": f"factorial effect of {row.pop('stage')}"} | row for row in together]


def data_rows(table: pl.DataFrame) -> list[Row]:
    """The exponent of the error's power law over the number of different pairs seen, by type."""
    scores = by_type(table)
    place = scores.columns[0]
    pairs = figures_of(table, MODEL, ["pairs"]).group_by(place).agg(pl.col("pairs").mean())
    seen = table.filter(pl.col("stage") == MODEL)["pairs_seen"].max()
    scores = scores.join(pairs, on=place).with_columns(different=pl.min_horizontal("pairs", pl.lit(seen)))
    rows = []
    for kind in types_of(scores):
        of_kind = scores.filter(pl.col("type") == kind)
        for law, floor in (("without a floor", False), ("with a floor", True)):
            fit = fit_with_draws(of_kind["different"], 100 - of_kind["score"], floor)
            found = fit.exponent()
            row = {"effect": f"exponent of the data, {law}", "type": kind, "mean": found.mean}
            row |= {"low": found.low, "high": found.high, "seeds": of_kind["seed"].n_unique()}
            rows.append(row | {"floor": fit.law.floor})
    return rows


def main() -> None:
    """Write results/ablations.json, and the tables that it was made from."""
    parts = {"batch_size": batch_rows, "scale": scale_rows, "stages": stage_rows, "data_scale": data_rows}
    rows = [row for name, rows_of in parts.items() for row in rows_of(table_of(name))]
    slope = "batch_size_retrieval_slope_per_doubling"
    chosen = {
        slope: ("doubling the batch, equal pairs", "Retrieval"),
        f"{slope}_equal_steps": ("doubling the batch, equal steps", "Retrieval"),
        "scale_gain_nano_to_small": ("nano to small", MEAN),
        **{f"stage_effect_{stage}": (f"Shapley value of {stage}", MEAN) for stage in STAGES},
        "data_scaling_exponent": ("exponent of the data, without a floor", "Retrieval"),
    }
    by_name = {(row["effect"], row["type"]): row for row in rows}
    found = {name: by_name[place] for name, place in chosen.items()}
    figures = {name: round(row["mean"], 4) for name, row in found.items()}
    spread = {name: [round(row["low"], 4), round(row["high"], 4)] for name, row in found.items()}
    launcher = json.loads((ROOT / "results" / "launcher.json").read_text("utf-8"))
    for name in ("launcher_seconds_per_run", "dry_run_200_points_s"):
        figures[name], spread[name] = launcher["figures"][name], launcher["spread"][name]
    write_result(
        "ablations",
        what="The real sweeps: effects on scores × 100, their 95 % intervals over seeds; the launcher's cost",
        command="python benchmarks/ablations.py",
        figures=figures,
        spread=spread,
        rows=rows,
    )


if __name__ == "__main__":
    main()
