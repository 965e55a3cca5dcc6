"""From labelled rows to what a search needs: each source's pool, its groups, and what is known of them.

Texts are compared as `folded` has them: spaces, widths, capitals, traditional characters do not count.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from cpack_lib.corpus.clean.text import folded
from cpack_lib.corpus.labelled.instructions import INSTRUCTED
from cpack_lib.training.negatives.ragged import Ragged

FLAT = {"keep_nulls": False, "empty_as_null": False}  # an empty list explodes into no row


@dataclass(frozen=True)
class Source:
    """One source: a pool of P different texts, and G groups, one for each query and each of its positives."""

    name: str
    pool: pl.Series  # P texts, as each is met first
    groups: pl.DataFrame  # query, task, `encoded` (the query as it is embedded), `positive` (row of the pool)
    own: Ragged  # G lists: rows that say what the query or any of its positives says
    partners: Ragged  # G lists: rows labelled 0; none for tasks that are mined whatever their labels say

    def texts(self, queries: str) -> pl.Series:
        """The pool, and the queries from their column `query` or `encoded`: what has to be embedded."""
        return pl.concat([self.pool, self.groups[queries].alias("text")])


def sources_of(
    labelled: pl.DataFrame, prompts: Mapping[str, str], mined: Collection[str] = INSTRUCTED
) -> list[Source]:
    """The sources of labelled rows in their order; rows without a positive are left out.

    `prompts` stand before the queries of a task where they are embedded: task -> text. The label-0
    partners of `mined` tasks are passed over.
    """
    rows = labelled.select("query", "pos", "neg", "source", "task").filter(pl.col("pos").list.len() > 0)
    rows = rows.with_columns(key=folded(pl.col("query")), encoded=before(prompts) + pl.col("query"))
    parts = rows.partition_by("source", maintain_order=True)
    return [source_of(part.with_row_index("row"), mined) for part in parts]


def before(texts: Mapping[str, str]) -> pl.Expr:
    """What stands before the query of a row, by its task; nothing where the task has no text."""
    return pl.col("task").replace_strict(dict(texts), default="", return_dtype=pl.String)


def source_of(rows: pl.DataFrame, mined: Collection[str]) -> Source:
    """One source: rows with `row`, query, its `key` and what is `encoded`, pos, neg, source and task."""
    right, wrong = (rows.select("row", text=side).explode("text", **FLAT) for side in ("pos", "neg"))
    right, wrong = (side.drop_nulls().with_columns(of=folded(pl.col("text"))) for side in (right, wrong))
    pool = pl.concat([right, wrong]).unique("of", keep="first", maintain_order=True)
    place = pool.select("of").with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
    right, wrong = (side.join(place, on="of", how="left", maintain_order="left") for side in (right, wrong))
    groups = right.unique(["row", "of"], keep="first", maintain_order=True).select("row", positive="place")
    groups = groups.join(
        rows.select("row", "query", "key", "encoded", "task"), on="row", maintain_order="left"
    )
    says = right.join(rows.select("row", "key"), on="row").select("key", "place")
    itself = rows.select("key").unique().join(place, left_on="key", right_on="of")
    own = pl.concat([says, itself.select("key", "place")]).unique()
    partners = wrong.select("row", "place").unique(maintain_order=True)
    labels_count = ~pl.col("task").is_in(list(mined))
    numbered = groups.with_row_index("group")
    return Source(
        rows["source"][0],
        pool["text"],
        groups.select("query", "task", "encoded", "positive"),
        listed(numbered.select("group", "key"), own, "key"),
        listed(numbered.filter(labels_count).select("group", "row"), partners, "row", groups.height),
    )


def listed(groups: pl.DataFrame, places: pl.DataFrame, by: str, count: int | None = None) -> Ragged:
    """The places of each group, matched by a column: `count` lists, or as many as there are groups."""
    found = groups.join(places, on=by).sort("group", "place")
    owners, values = (found[column].to_numpy().astype(np.int64) for column in ("group", "place"))
    return Ragged.grouped(owners, values, groups.height if count is None else count)
