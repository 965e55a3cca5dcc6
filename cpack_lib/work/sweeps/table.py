"""The table of a sweep: one row for each score of each finished point, tidy, beside what it cost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from cpack_lib.work.files import ROOT
from cpack_lib.work.runs import read_manifest, read_record
from cpack_lib.work.sweeps.planning import SweepPlan, SweepRun, plan_sweep

SCORES = "scores.csv"  # of an evaluation: model, task, type, metric, score, and whatever stands beside them
COST = ("minutes", "minutes_in_all", "cores", "gpus", "steps", "pairs_seen", "attempts")


def write_results(name: str, home: Path = ROOT) -> Path:
    """Write runs/sweeps/NAME/results.parquet and results.csv of what is finished; the path of the latter."""
    plan = plan_sweep(name, home=home)
    table, missing = results_of(plan)
    if table.is_empty():
        raise ValueError(f"no point of {name} is finished; `cpack sweep {name}` makes them")
    plan.folder.mkdir(parents=True, exist_ok=True)
    table.write_parquet(plan.folder / "results.parquet")
    table.write_csv(plan.folder / "results.csv")
    print(f"{len(table):,} rows of {len(plan.points) - len(missing)} of {len(plan.points)} points")
    if missing:
        print(f"not finished: {' · '.join(missing)}")
    return plan.folder / "results.csv"


def results_of(plan: SweepPlan) -> tuple[pl.DataFrame, list[str]]:
    """The table, and the names of the points that are not finished.

    Columns: point, one for each axis, seed, then `stage` (the notebook that made the model, or the name of
    another one), task, type, metric, value, what else scores.csv has, and the cost of the run that made the
    model. Figures of runs that points do not share are rows too, with `run` as their type and no task.
    """
    tables, missing = [], []
    for point in plan.points:
        stages = plan.stages[point.name]
        if any(plan.runs[run].planned.action != "reuse" for run in stages.values()):
            missing.append(point.name)
            continue
        place = {"point": point.name} | {name: as_cell(value) for name, value in point.columns.items()}
        for part in (scored(plan, stages), figured(plan, stages)):
            if part is not None:
                columns = [pl.lit(value).alias(name) for name, value in place.items()]
                tables.append(part.select(*columns, pl.all()))
    return pl.concat(tables, how="diagonal_relaxed") if tables else pl.DataFrame(), missing


def scored(plan: SweepPlan, stages: dict[str, str]) -> pl.DataFrame | None:
    """The scores of a point, with stages instead of the names of runs."""
    paths = [plan.runs[stages[goal]].planned.folder / SCORES for goal in plan.sweep.goals]
    tables = [pl.read_csv(path) for path in paths if path.exists()]
    if not tables:
        return None
    table = pl.concat(tables, how="diagonal_relaxed").rename({"model": "stage", "score": "value"})
    owners = {run: stage for stage, run in reversed(stages.items())}
    costs = [{"stage": run} | cost_of_run(plan, plan.runs[run]) for run in owners]
    schema = {"stage": pl.String} | {name: pl.Float64 for name in COST}
    table = table.join(pl.DataFrame(costs, schema=schema), on="stage", how="left", maintain_order="left")
    return table.with_columns(pl.col("stage").replace(owners), pl.col("value").cast(pl.Float64))


def figured(plan: SweepPlan, stages: dict[str, str]) -> pl.DataFrame | None:
    """The figures in the manifests of a point's runs, but of those that all points share."""
    own = {stage: plan.runs[run] for stage, run in stages.items()}
    if len(plan.points) > 1:
        own = {stage: run for stage, run in own.items() if len(run.points) < len(plan.points)}
    rows = [
        {"stage": stage, "task": "", "type": "run", "metric": metric, "value": float(value)}
        | cost_of_run(plan, run)
        for stage, run in own.items()
        for metric, value in read_manifest(run.planned.folder)["figures"].items()
    ]
    schema = {name: pl.String for name in ("stage", "task", "type", "metric")}
    schema |= {name: pl.Float64 for name in ("value", *COST)}
    return pl.DataFrame(rows, schema=schema) if rows else None


def cost_of_run(plan: SweepPlan, run: SweepRun) -> dict[str, float | None]:
    """What a run took by itself, in its last attempt, and in all with whatever it reads."""
    parameters, folder = run.planned.parameters, run.planned.folder
    record = read_record(folder)
    steps, rows = parameters.get("steps"), parameters.get("rows_per_step")
    minutes = {name: minutes_of(plan.runs[name]) for name in {run.name, *inputs(plan, run)}}
    return {
        "minutes": minutes[run.name],
        "minutes_in_all": sum(minutes.values()),
        "cores": record["device"]["cores"],
        "gpus": len(record["device"]["gpus"]),
        "steps": steps,
        "pairs_seen": steps * rows if steps is not None and rows is not None else None,
        "attempts": len(record["opened"]),
    }


def minutes_of(run: SweepRun) -> float:
    """The minutes in a run's manifest."""
    return read_manifest(run.planned.folder)["minutes"]


def inputs(plan: SweepPlan, run: SweepRun) -> Iterator[str]:
    """The runs of the plan that a run reads, directly or not."""
    for need in run.needs:
        yield need
        yield from inputs(plan, plan.runs[need])


def as_cell(value: Any) -> Any:
    """A value of a point as one cell: a list as one text."""
    return " ".join(map(str, value)) if isinstance(value, list) else value
