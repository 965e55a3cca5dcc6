"""Averages of scores, each under a name that says over what; and what keeps two numbers from comparing.

`mean_over_cmteb_35`, `mean_over_cmteb_31` and `mean_over_mteb_en_56` are there only if every one of their
datasets is. `mean_over_datasets` runs over those present, `mean_over_task_types` over the means of the types.
"""

import warnings

import polars as pl

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from cpack_lib.evaluation.scores.protocols import MAIN, PAPER, published_name, under

LISTS = {
    "mean_over_cmteb_35": "cmteb-35",
    "mean_over_cmteb_31": "cmteb-31",
    "mean_over_mteb_en_56": "mteb-en-56",
}


class Incomparable(UserWarning):
    """Two numbers stand side by side that were not measured in the same way."""


def averages(scores: pl.DataFrame, protocol: str = PAPER) -> pl.DataFrame:
    """Per model, in one row: its means over whole benchmarks, datasets and types, and of each type.

    The mean over datasets weighs types by their number of datasets, as the paper's "Average" does. Models
    that were not scored on the same tasks are an error, because their means do not compare; other reasons
    for doubt are a warning.
    """
    main = under(scores, protocol)
    check_tasks(main)
    for doubt in doubts(main):
        warnings.warn(doubt, Incomparable, stacklevel=2)
    rows = []
    for (model,), of_model in main.group_by("model", maintain_order=True):
        means = {name: mean(weighed) for name, weighed in named_averages(of_model).items()}
        rows.append({"model": model} | means)
    return pl.DataFrame(rows)


def mean(weighed: pl.DataFrame) -> float:
    """The weighed mean of some scores."""
    return float((weighed["score"] * weighed["weight"]).sum())


def named_averages(of_model: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The averages that one model's scores allow: name -> their rows with a `weight`, which add up to 1."""
    rows = with_dataset(of_model)
    present = set(rows["dataset"])
    chosen = {
        name: rows.filter(pl.col("dataset").is_in(list(names)))
        for name, suite in LISTS.items()
        if (names := datasets_of(suite)) <= present
    }
    chosen |= {"mean_over_datasets": rows, "mean_over_task_types": rows}
    kinds = [kind for kind in MAIN if kind in set(rows["type"])]
    chosen |= {kind: rows.filter(pl.col("type") == kind) for kind in kinds}
    one, of_type = 1 / pl.len().over("dataset"), pl.col("dataset").n_unique().over("type")
    weight = {"mean_over_task_types": one / of_type / pl.col("type").n_unique()}
    over_datasets = one / pl.col("dataset").n_unique()
    return {
        name: some.with_columns(weight.get(name, over_datasets).alias("weight"))
        for name, some in chosen.items()
    }


def datasets_of(suite: str) -> set[str]:
    """The datasets that a benchmark's average runs over."""
    return {one.part_of or dataset_name(one.task, one.subset) for one in evaluation_sets(suite)}


def dataset_name(task: str, subset: str | None) -> str:
    """`STSB`, or `STS22 (zh)`: C-MTEB and English MTEB score different subsets of some tasks."""
    return task if subset in (None, "default") else f"{task} ({subset})"


def with_dataset(rows: pl.DataFrame) -> pl.DataFrame:
    """One model's scores with a column `dataset`: what was scored, or the whole that it is a part of.

    CQADupstackRetrieval is the mean over twelve forums, if all of them are there.
    """
    parts: dict[str, list[str]] = {}
    for one in evaluation_sets("mteb-en-56"):
        if one.part_of:
            parts.setdefault(one.part_of, []).append(one.task)
    present = set(rows["task"])
    wholes = {part: whole for whole, names in parts.items() if present >= set(names) for part in names}
    names = [
        wholes.get(task, dataset_name(task, subset)) for task, subset in rows.select("task", "subset").rows()
    ]
    return rows.with_columns(dataset=pl.Series(names, dtype=pl.String))


def join_parts(scores: pl.DataFrame) -> pl.DataFrame:
    """A score per (model, type, dataset) -> with one row, and the mean, for a dataset that came in parts."""
    joined = [with_dataset(rows) for _, rows in scores.group_by("model", maintain_order=True)]
    groups = pl.concat(joined).group_by("model", "type", "dataset", "metric", maintain_order=True)
    return groups.agg(pl.col("score").mean()).rename({"dataset": "task"})


def check_tasks(main: pl.DataFrame) -> None:
    """ValueError where a model was not scored on the same tasks as the first one, or is there twice."""
    tasks = main.group_by("model", maintain_order=True).agg(pl.col("task").sort())
    for model, names in tasks.iter_rows():
        first = tasks["task"][0].to_list()
        if names != first:
            apart = sorted(set(names) ^ set(first)) or [n for n in names if names.count(n) > 1]
            raise ValueError(
                f"{model} was not scored on the same tasks as {tasks['model'][0]} ({apart[0]}): evaluate all "
                "models on all tasks before comparing their averages"
            )


def doubts(scores: pl.DataFrame) -> list[str]:
    """Why scores of the same dataset in this table do not compare, a sentence each; empty where they do.

    Give it what stands side by side: one row per model and task, from one run or from several.
    """
    told = []
    named = scores.with_columns(dataset=pl.col("task").map_elements(published_name, return_dtype=pl.String))
    for (dataset,), rows in named.group_by("dataset", maintain_order=True):
        told += [sentence for what, why in REASONS.items() if (sentence := differs(rows, dataset, what, why))]
    lists = named.group_by("model", maintain_order=True).agg(pl.col("dataset").unique().sort())
    for model, names in lists.iter_rows():
        first = lists["dataset"][0].to_list()
        if names != first:
            told.append(
                f"{model} has scores of other datasets than {lists['model'][0]} ({len(names)} and "
                f"{len(first)} of them): their averages do not compare"
            )
    return told


REASONS = {
    "task": "one is a sample, and a smaller set is an easier one",
    "metric": "they come from different protocols",
    "split": "they are scores of different splits",
    "subset": "they are scores of different subsets",
    "data": "the data were not the same",
}


def differs(rows: pl.DataFrame, dataset: str, what: str, why: str) -> str | None:
    """A sentence where the rows of a dataset differ in one column between two models."""
    if what == "data" and rows["task"].n_unique() > 1:
        return None
    held = rows.group_by("model", maintain_order=True).agg(pl.col(what).unique().sort())
    (model, values), *others = held.rows()
    for other, theirs in others:
        if theirs != values:
            return (
                f"{dataset}: {'+'.join(values)} of {model} stands beside {'+'.join(theirs)} of {other}; "
                f"{why}, so that they do not compare"
            )
    return None
