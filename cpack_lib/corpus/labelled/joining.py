"""Queries, judgements and passages that lie in files of their own, joined by their numbers.

Memory: the queries, the judgements that are kept, and the texts of QUERIES_PER_SHARD queries.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from cpack_lib.corpus.labelled.lines import number_lines
from cpack_lib.corpus.read.columnar import Aside
from cpack_lib.corpus.read.schemas import EXCERPT, ROW

QUERIES_PER_SHARD = 4_096  # with ten passages of 2.6 kB each, as in T2Ranking, 100 MB
NEGATIVES = 8  # kept per query: one trains (paper.md 3.4), the others widen the pool that is mined
NO_POSITIVE = "pos is empty"  # as the readers of labelled tables call it
JUDGED = dict.fromkeys([ROW, "query", "passage"], pl.Int64) | {"right": pl.Boolean, "file": pl.String}

Shard = tuple[str, pl.DataFrame, Aside]  # file, its rows (ROW among the columns), its rows that do not fit


class Search(NamedTuple):
    """Queries (ROW, number, text), JUDGED, and `known` and `text` of passages from their numbers."""

    source: str
    queries: pl.DataFrame
    queries_file: str
    judged: pl.DataFrame
    passages: Callable[[pl.Series], pl.DataFrame]


def judgements(
    path: Path, columns: list[str], judge: Callable[[pl.DataFrame], pl.DataFrame], separator: str = "\t"
) -> tuple[pl.DataFrame, Aside]:
    """(JUDGED, what is no line of numbers) of a file; `judge` makes ROW, query, passage, right of lines.

    All that is right is kept once, and of what is wrong the first NEGATIVES of each query.
    """
    kept, aside = pl.DataFrame(schema=JUDGED), []
    for lines, unread in number_lines(path, columns, separator):
        new = judge(lines).with_columns(file=pl.lit(short(path))).select(list(JUDGED))
        kept = pl.concat([kept, new]).unique(["query", "passage", "right"], keep="first", maintain_order=True)
        place = pl.col("passage").cum_count().over("query", "right")
        kept = kept.filter(pl.col("right") | (place <= NEGATIVES))
        aside += unread
    return kept, aside


def short(path: Path) -> str:
    """A file's name with its folder's: Multi-CPR has one qrels.train.tsv per domain."""
    return "/".join(path.parts[-2:])


def joined(search: Search) -> Iterator[Shard]:
    """Rows for retrieval; judgements on what is unknown and queries that nothing answers are set aside."""
    queries, judged = search.queries, search.judged
    lost = ~judged["query"].is_in(queries["number"].implode())
    yield from misjudged(judged.filter(lost).with_columns(reason=pl.lit("unknown query id")))
    judged = judged.filter(~lost)
    answered = queries["number"].is_in(judged.filter("right")["query"].implode())
    yield search.queries_file, pl.DataFrame(), unanswered(queries.filter(~answered), "text")
    for part in queries.filter(answered).iter_slices(QUERIES_PER_SHARD):
        mine = judged.join(part.select(query="number"), on="query", how="semi", maintain_order="left")
        found = pl.concat([mine, search.passages(mine["passage"])], how="horizontal")
        found = found.with_columns(reason=passage_reason())
        yield from misjudged(found.filter(pl.col("reason").is_not_null()))
        rows = with_sides(part, found.filter(pl.col("reason").is_null()), search.source)
        has = rows["pos"].list.len().fill_null(0) > 0
        yield search.queries_file, rows.filter(has), unanswered(rows.filter(~has), "query")


def passage_reason() -> pl.Expr:
    """Why a passage can be neither right nor wrong, null where it can."""
    return (
        pl.when(~pl.col("known"))
        .then(pl.lit("unknown passage id"))
        .when(pl.col("text").is_null())
        .then(pl.lit("passage is no UTF-8"))
        .when(~pl.col("text").str.contains(r"\S"))
        .then(pl.lit("passage is empty"))
    )


def with_sides(queries: pl.DataFrame, judged: pl.DataFrame, source: str) -> pl.DataFrame:
    """The queries with their texts, each once: what is right somewhere is not wrong."""
    texts = judged.sort("right", descending=True, maintain_order=True)
    texts = texts.unique(["query", "text"], keep="first", maintain_order=True)
    sides = texts.group_by("query").agg(
        pos=pl.col("text").filter("right"), neg=pl.col("text").filter(~pl.col("right"))
    )
    rows = queries.join(sides, left_on="number", right_on="query", how="left", maintain_order="left")
    labels = {"source": pl.lit(source), "task": pl.lit("retrieval")}
    return rows.select(ROW, "pos", "neg", query="text", **labels)


def misjudged(rows: pl.DataFrame) -> Iterator[Shard]:
    """Judgements with a reason, file by file."""
    excerpt = pl.format("query {}, passage {}", "query", "passage")
    for (file,), part in rows.group_by("file", maintain_order=True):
        yield file, pl.DataFrame(), part.select(ROW, "reason", excerpt.alias("excerpt")).rows()


def unanswered(queries: pl.DataFrame, text: str) -> Aside:
    """Queries without a positive, as rows set aside."""
    return queries.select(
        ROW, pl.lit(NO_POSITIVE).alias("reason"), pl.col(text).fill_null("").str.head(EXCERPT)
    ).rows()
