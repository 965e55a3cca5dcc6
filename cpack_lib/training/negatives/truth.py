"""How many negatives are none: what the embedded world knows of its own texts.

The world says the same fact in many ways, so a source's pool holds answers that no row labels as such: false
negatives, planted by the grammar. A text that states what a query asks or states itself is one of them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from cpack_lib.corpus.labelled.instructions import INSTRUCTED
from cpack_lib.corpus.world.knowledge import asked, stated

WORLD = "world:"  # how the names of its sources begin


def facts_of(texts: Iterable[str], queries: bool = False) -> dict[str, frozenset[str]]:
    """Each text -> the facts that it states or, of a query, asks for; none for texts from elsewhere."""
    return {text: stated(text) | asked(text) if queries else stated(text) for text in dict.fromkeys(texts)}


def false_among(queries: Sequence[str], pool: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """Which rows of the pool answer their query after all: Q queries, rows (Q, N) -> (Q, N) bool; -1 is none.

    About a millisecond for each different text.
    """
    wanted, told = facts_of(queries, queries=True), facts_of(pool[row] for row in np.unique(rows[rows >= 0]))
    found = np.zeros(rows.shape, dtype=bool)
    for q, place in zip(*np.nonzero(rows >= 0), strict=True):
        found[q, place] = bool(wanted[queries[q]] & told[pool[rows[q, place]]])
    return found


def false_negatives(groups: pl.DataFrame | Path) -> pl.DataFrame:
    """By task and origin, of groups from `world:labelled`: `negatives`, how many are `false`, their `share`.

    What a text states is compared with what the query asks or states; that two texts have one class, which is
    all that classification asks, does not count. An instruction before the query does no harm. ValueError
    where a source is not of the world.
    """
    table = pl.read_parquet(groups) if isinstance(groups, Path) else groups
    if foreign := table.filter(~pl.col("source").str.starts_with(WORLD))["source"].head(1).to_list():
        raise ValueError(f"nobody knows which negatives of {foreign[0]!r} are false; mine world:labelled")
    pairs = table.select("query", "task", origin="origins", negative=pl.col("passages").list.slice(1))
    pairs = pairs.explode("origin", "negative", keep_nulls=False, empty_as_null=False)
    wanted, told = facts_of(pairs["query"], queries=True), facts_of(pairs["negative"])
    both = pairs.select("query", "negative").iter_rows()
    false = pl.Series([bool(wanted[query] & told[text]) for query, text in both], dtype=pl.Boolean)
    counts = pairs.with_columns(false=false).group_by("task", "origin", maintain_order=True)
    counted = counts.agg(negatives=pl.len().cast(pl.Int64), false=pl.col("false").sum().cast(pl.Int64))
    return counted.with_columns(share=pl.col("false") / pl.col("negatives"))


def false_negative_share(groups: pl.DataFrame | Path, tasks: Sequence[str] = INSTRUCTED) -> float:
    """The share of false negatives among all negatives of some tasks of `world:labelled`: 0 to 1."""
    counted = false_negatives(groups).filter(pl.col("task").is_in(list(tasks)))
    if not counted.height:
        raise ValueError(f"no negative is one of {', '.join(tasks)}; name tasks that have some")
    return counted["false"].sum() / counted["negatives"].sum()
