"""The table of a sweep, read back: one score per point, seed and type of task, and what each point cost.

The table is that of `cpack results NAME`: a row for each score and each figure of a run. Kept in results/ it
has fewer columns (KEPT), because what leads back to a run means nothing elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cpack_lib.evaluation.scores.protocols import MAIN, PAPER, under
from cpack_lib.work.files import ROOT

MEAN = "Mean"  # over the types, each weighed equally
NEEDED = ("point", "stage", "task", "type", "metric", "protocol", "value", "minutes", "pairs_seen")
COSTS = ("minutes", "minutes_in_all", "cores", "gpus", "steps", "pairs_seen")
LEFT_OUT = ("subset", "split", "revision", "data", "result", "spread", "attempts", "rank")  # of what is kept
RUN = "run"  # the type of rows that are figures of a run


def read_sweep_table(place: str, axes: Sequence[str] = (), home: Path = ROOT) -> pl.DataFrame:
    """A sweep's table by its path, from the repository on; ValueError says how to make a missing one.

    `axes` are the columns that the sweep has to vary, beside its seed.
    """
    path = home / place
    if not path.is_file():
        name = path.stem.removeprefix("sweep_") if path.stem != "results" else path.parent.name
        known = [
            f"{kind}{name}" for kind in ("real_", "") if (home / f"params/sweeps/{kind}{name}.yaml").exists()
        ]
        sweep = known[0] if known else "NAME"
        raise ValueError(
            f"{place} does not exist: `cpack sweep {sweep}` and then `cpack results {sweep}` make "
            f"runs/sweeps/{sweep}/results.csv, which `sweep_table` may name instead"
        )
    table = pl.read_csv(path, infer_schema_length=None)
    if missing := [name for name in NEEDED if name not in table.columns]:
        raise ValueError(
            f"{place} has no column {', '.join(missing)}: name a table that `cpack results` made"
        )
    if missing := [name for name in (*axes, "seed") if name not in places_of(table)]:
        varied = ", ".join(places_of(table))
        raise ValueError(
            f"{place} does not vary {', '.join(missing)}, but {varied}: name another sweep's table"
        )
    return table


def compact(table: pl.DataFrame) -> pl.DataFrame:
    """The table as it is kept in results/: without paths and fingerprints, numbers to five digits."""
    kept = table.drop(LEFT_OUT, strict=False)
    numbers = [name for name, kind in kept.schema.items() if kind.is_float()]
    return kept.with_columns(pl.col(numbers).round_sig_figs(5))


def places_of(table: pl.DataFrame) -> list[str]:
    """The columns in which points differ: those between `point` and `stage`, the seed among them."""
    return table.columns[1 : table.columns.index("stage")]


def by_type(table: pl.DataFrame, stage: str = "", protocol: str = PAPER) -> pl.DataFrame:
    """Scores -> (places..., seed, type, score), a row for each point and type, and for their mean.

    They are those of a stage, or of the one model that each point has made. A type's score is the mean over
    its tasks; MEAN is the mean over types. ValueError where a point lacks a task that others have, because
    its mean would be one over other tasks.
    """
    scores = table.filter(pl.col("type") != RUN)
    if stage and stage not in scores["stage"]:
        known = ", ".join(scores["stage"].unique().sort())
        raise ValueError(f"no scores of {stage} in the table; it has {known}")
    made = pl.col("stage") == stage if stage else pl.col("minutes").is_not_null()  # a baseline costs nothing
    main = under(scores.filter(made), protocol)
    check_points(main)
    places = places_of(table)
    types = main.group_by(*places, "type", maintain_order=True).agg(score=pl.col("value").mean())
    means = types.group_by(places, maintain_order=True).agg(pl.col("score").mean())
    means = means.with_columns(type=pl.lit(MEAN)).select(types.columns)
    return pl.concat([types, means])


def check_points(main: pl.DataFrame) -> None:
    """ValueError where a point was not scored on the same tasks as the first one, or twice on one."""
    tasks = main.group_by("point", maintain_order=True).agg(pl.col("task").sort())
    first = tasks["task"][0].to_list()
    for point, names in tasks.iter_rows():
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{point} has several scores of {twice[0]}: say which stage is meant")
        if names != first:
            apart = min(set(names) ^ set(first))
            raise ValueError(f"{point} was not scored on the same tasks as {tasks['point'][0]}: {apart}")


def types_of(scores: pl.DataFrame) -> list[str]:
    """The types that are there, in the order of the paper's columns, and MEAN last."""
    present = set(scores["type"])
    return [*(kind for kind in MAIN if kind in present), *([MEAN] if MEAN in present else [])]


def figures_of(table: pl.DataFrame, stage: str, names: Sequence[str]) -> pl.DataFrame:
    """Figures of a stage's runs -> (places..., seed, one column for each figure), a row for each point.

    ValueError where the table has none of a name: figures of a run that all points share are not in it.
    """
    rows = table.filter(pl.col("type") == RUN, pl.col("stage") == stage, pl.col("metric").is_in(list(names)))
    if missing := [name for name in names if name not in rows["metric"]]:
        raise ValueError(f"the table has no figure {', '.join(missing)} of {stage}")
    return rows.pivot("metric", index=places_of(table), values="value").select(*places_of(table), *names)


def costs_of(table: pl.DataFrame) -> pl.DataFrame:
    """What each point's model cost -> (places..., seed, minutes, minutes_in_all, cores, ..., pairs_seen)."""
    rows = table.filter(pl.col("minutes").is_not_null(), pl.col("type") != RUN)
    columns = [name for name in COSTS if name in table.columns]
    return rows.select(*places_of(table), *columns).unique(
        places_of(table), keep="first", maintain_order=True
    )


def only(scores: pl.DataFrame, **places: Any) -> pl.DataFrame:
    """The rows with these values, without their columns; ValueError where there are none."""
    found = scores.filter(*(pl.col(name) == value for name, value in places.items()))
    if found.is_empty():
        told = ", ".join(f"{name}={value}" for name, value in places.items())
        raise ValueError(f"the sweep has no point with {told}")
    return found.drop(*places)
