"""Files of groups and pairs as they are read: cut to a size, checked, and with what stands before each text.

Axes: R rows, each a query and its passages, P passages of all rows.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from cpack_lib.model.instructions import sides
from cpack_lib.training.settings import Settings


@dataclass(frozen=True)
class Table:
    """What a file holds: one positive first among the passages of a query, then negatives."""

    queries: pl.Series  # (R,)
    passages: pl.Series  # (P,)
    lengths: np.ndarray  # (R,) passages of each row
    sources: list[str]  # (R,)
    tasks: pl.Series | None  # (R,) where the file has them
    scores: np.ndarray | None  # (P,) a teacher's, where they are asked for


def read_groups(settings: Settings) -> Table:
    """The rows of the settings' data, `group_size` passages of each at most, the first ones.

    A shorter row stays short: its query has fewer negatives of its own, and none is made up or repeated.
    """
    table = pl.read_parquet(settings.data)
    if "text_a" in table.columns:
        named = {"query": "text_a", "passages": pl.concat_list("text_b"), "source": "source"}
        table = table.select(**named, **{name: name for name in ("task",) if name in table.columns})
    table = table.with_columns(pl.col("passages").list.drop_nulls())
    wanted = settings.distillation and not settings.teacher
    if wanted:
        check_scores(table, settings.data)
    if settings.group_size:
        lists = ["passages", "scores"] if wanted else ["passages"]
        table = table.with_columns(pl.col(lists).list.head(settings.group_size))
    lengths = table["passages"].list.len().fill_null(0)
    if not table.height or not lengths.min():
        raise ValueError(
            f"{settings.data} has {table.height} rows, {(lengths == 0).sum()} of them without a passage; "
            "it needs a row at least, and a passage in each"
        )
    if settings.distillation and settings.distilled == "group" and lengths.max() == 1:
        raise ValueError(f"no row of {settings.data} has two passages, so a teacher has nothing to compare")
    return Table(
        queries=table["query"],
        passages=flat(table["passages"]),
        lengths=lengths.to_numpy().astype(np.int64),
        sources=table["source"].to_list(),
        tasks=table["task"] if "task" in table.columns else None,
        scores=flat(table["scores"]).cast(pl.Float32).to_numpy() if wanted else None,
    )


def flat(lists: pl.Series) -> pl.Series:
    """The entries of all lists, one after the other."""
    return lists.explode(keep_nulls=False, empty_as_null=False)


def check_scores(table: pl.DataFrame, name: str) -> None:
    """Refuse scores that are not one finite number for each passage."""
    finite = pl.col("scores").list.eval(pl.element().cast(pl.Float64).is_finite().fill_null(False)).list.all()
    as_many = pl.col("scores").list.len() == pl.col("passages").list.len()
    bad = table.select((as_many & finite).fill_null(False).not_().sum()).item()
    if bad:
        raise ValueError(
            f"{bad} of {table.height} rows of {name} have other scores than one number for each passage; "
            "score them again, or name a teacher"
        )


def with_instructions(table: Table, settings: Settings) -> tuple[pl.Series, pl.Series]:
    """Queries (R,) and passages (P,) behind what the settings put before them; refused where it is there."""
    if settings.instructed == "as written":
        return table.queries, table.passages
    told = (settings.instructed, settings.instruction, settings.language)
    before = {task: sides(task, *told) for task in table.tasks.unique()}
    of_passages = table.tasks.gather(np.repeat(np.arange(len(table.lengths)), table.lengths))
    found = []
    for side, texts, tasks in (
        ("query", table.queries, table.tasks),
        ("passage", table.passages, of_passages),
    ):
        texts_of = {task: getattr(each, side) for task, each in before.items()}
        prefix = tasks.replace_strict(texts_of, return_dtype=pl.String)
        again = ((prefix != "") & texts.str.starts_with(prefix)).sum()
        if again:
            raise ValueError(
                f"instructed is {settings.instructed}, but {again} texts of {settings.data} begin with their "
                "instruction already; set it to 'as written', or take the instruction out of the texts"
            )
        found.append(prefix + texts)
    return found[0], found[1]


def stand_alone(table: Table, settings: Settings) -> np.ndarray | None:
    """Which rows (R,) are contrasted with their own passages alone; None if no task is.

    ValueError where a task has no rows, or none of its rows has a negative: nothing would be learnt of it.
    """
    if not settings.in_batch_off:
        return None
    for task in settings.in_batch_off:
        lengths = table.lengths[(table.tasks == task).fill_null(False).to_numpy()]
        if not len(lengths):
            there = ", ".join(map(str, table.tasks.unique(maintain_order=True)))
            raise ValueError(f"in_batch_off has {task!r}, but the tasks of {settings.data} are {there}")
        if lengths.max() == 1:
            raise ValueError(
                f"in_batch_off has {task!r}, but no row of it in {settings.data} has a negative, so nothing "
                "is left to learn from; mine negatives, or take it out"
            )
    return table.tasks.is_in(settings.in_batch_off).fill_null(False).to_numpy()
