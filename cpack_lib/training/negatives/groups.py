"""Groups: a query, its positive and its negatives, written for training; and how they were made, counted.

Axes: G groups, P texts of a pool, N negatives.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from cpack_lib.corpus.labelled.instructions import INSTRUCTED
from cpack_lib.training.negatives.cells import new_cells, recall
from cpack_lib.training.negatives.layout import Source, before, sources_of
from cpack_lib.training.negatives.search import Search, products
from cpack_lib.training.negatives.strategies import Strategy, given, rank_window
from cpack_lib.training.negatives.vectors import Encode, Rows, write_vectors
from cpack_lib.training.negatives.window import ORIGINS, Negatives, Window

COUNTS = ("groups", "pool", *ORIGINS, "missing", "rejected")


def write_groups(
    labelled: pl.DataFrame,
    encode: Encode,
    path: Path,
    strategy: Strategy = rank_window,
    window: Window | None = None,
    instruction: str | Mapping[str, str] = "",
    prompt: str | Mapping[str, str] = "",
    guide: Encode | None = None,
    vectors: Path | None = None,
) -> pl.DataFrame:
    """Write one group for each query and each of its positives; how they were made, by source and task.

    The file has `query`, `passages` (the positive, then its negatives), `cosines` of the query with each of
    them, `origins` of the negatives, `source` and `task`. Queries of retrieval, search and reranking are
    mined and carry the instruction; those of other tasks take their label-0 partners first, and with the
    strategy `given` so do all. Mining stays within a source: its pool is what stands in `pos` and `neg` of
    its rows. Rows without a positive are left out and counted.

    A mapping gives each task an instruction of its own. `prompt` stands before queries while they are mined,
    for an encoder that knows it. Embeddings stay in the folder `vectors` for whoever mines with the same
    encoder again; without, they are deleted, except where this is interrupted: then it goes on from them.
    """
    window, folder = window or Window(), vectors or path.with_name(f".{path.name}.vectors")
    mined_tasks = () if strategy is given else INSTRUCTED
    sources = sources_of(with_positives(labelled), by_task(prompt), mined_tasks)
    seen = Embedded(folder / "encoder", sources, "encoded", encode)
    guiding = None if guide is None else Embedded(folder / "guide", sources, "query", guide)
    aside, told = path.with_name(f".{path.name}.new"), []
    with GroupsFile(aside) as file:
        for source in sources:
            groups, counts = mined(source, new_search(source, seen, guiding, window), strategy, window)
            file.add(groups.with_columns(query=before(by_task(instruction)) + pl.col("query")))
            told.append(counts)
    aside.rename(path)
    if vectors is None:
        shutil.rmtree(folder)
    return with_rows_left_out(pl.concat(told), labelled)


def with_positives(labelled: pl.DataFrame) -> pl.DataFrame:
    """The rows of which groups can be made; ValueError where there is none."""
    answered = labelled.filter(pl.col("pos").list.len() > 0)
    if not answered.height:
        raise ValueError(f"none of the {labelled.height} labelled rows has a positive; no group can be made")
    return answered


def mined(
    source: Source, search: Search, strategy: Strategy, window: Window
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The groups of a source, and how they were made."""
    found = given(search, window, rest=strategy)
    return groups_of(source, search, found), counted(source, search, found, window)


def by_task(text: str | Mapping[str, str]) -> Mapping[str, str]:
    """Task -> what stands before its queries; one text is for the tasks of retrieval alone."""
    return dict.fromkeys(INSTRUCTED, text) if isinstance(text, str) else text


class Embedded:
    """The vectors of all texts of some sources, each different text embedded once; queries from a column."""

    def __init__(self, folder: Path, sources: list[Source], queries: str, encode: Encode):
        self.queries = queries
        texts = pl.concat([source.texts(queries) for source in sources]).unique(maintain_order=True)
        self.numbers = texts.to_frame("text").with_row_index("number")
        self.vectors = write_vectors(folder, texts, encode)

    def rows(self, texts: pl.Series) -> Rows:
        """The vectors of these texts, on the disk."""
        found = texts.to_frame("text").join(self.numbers, on="text", how="left", maintain_order="left")
        return Rows(self.vectors, found["number"].to_numpy().astype(np.int64))

    def of(self, source: Source) -> tuple[Rows, Rows]:
        """A source's queries and pool."""
        return self.rows(source.groups[self.queries]), self.rows(source.pool)


def new_search(source: Source, seen: Embedded, guiding: Embedded | None, window: Window) -> Search:
    """The search of a source, in cells if its pool is large."""
    queries, pool = seen.of(source)
    large = len(pool) > window.exact_up_to
    return Search(
        queries,
        pool,
        positives=source.groups["positive"].to_numpy(),
        own=source.own,
        partners=source.partners,
        guide=None if guiding is None else guiding.of(source),
        cells=new_cells(pool, window.seed, window.looked_at) if large else None,
    )


class GroupsFile:
    """A Parquet file of groups, written source by source."""

    def __init__(self, path: Path):
        self.path, self.file = path, None

    def add(self, groups: pl.DataFrame) -> None:
        """Write the groups of a source."""
        table = groups.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self.file is None:
            self.file = pq.ParquetWriter(self.path, table.schema, compression="zstd")
        self.file.write_table(table)

    def __enter__(self) -> "GroupsFile":
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()


def groups_of(source: Source, search: Search, found: Negatives) -> pl.DataFrame:
    """The groups of a source as they are written, but for instructions."""
    places = np.column_stack([search.positives, found.rows])  # (G, 1 + N)
    there = places >= 0
    numbers = np.arange(len(places))
    cosines = products(search.queries, search.pool, numbers, places)[there]
    origins = np.column_stack([np.full(len(places), ""), found.origins])[there]
    flat = {"passages": source.pool.gather(places[there]), "cosines": cosines, "origins": origins}
    lists = pl.DataFrame({"group": numbers.repeat(there.sum(axis=1))} | flat)
    lists = lists.group_by("group", maintain_order=True).agg(pl.all())
    return source.groups.select(
        "query",
        passages=lists["passages"],
        cosines=lists["cosines"],
        origins=lists["origins"].list.slice(1),
        source=pl.lit(source.name),
        task="task",
    )


def counted(source: Source, search: Search, found: Negatives, window: Window) -> pl.DataFrame:
    """How the groups of a source were made, by task; `recall` is that of the search, on a sample."""
    each = {name: (found.origins == name).sum(axis=1) for name in ORIGINS}
    each |= {"missing": (found.rows < 0).sum(axis=1), "rejected": found.rejected}
    share = recall(search.queries, search.pool, window.first, window.last, search.cells, window.seed)
    table = source.groups.select("task").with_columns(**{name: pl.Series(n) for name, n in each.items()})
    sums = table.group_by("task", maintain_order=True).agg(pl.len().alias("groups"), pl.col(*each).sum())
    return sums.select(
        pl.lit(source.name).alias("source"),
        "task",
        pl.lit(len(source.pool)).alias("pool"),
        pl.col("groups", *each).cast(pl.Int64),
        pl.lit(share).alias("recall"),
    )


def with_rows_left_out(counts: pl.DataFrame, labelled: pl.DataFrame) -> pl.DataFrame:
    """The counts of all sources and tasks of the labelled rows, and how many rows have no positive."""
    by = ["source", "task"]
    rows = labelled.group_by(by, maintain_order=True).agg(
        without_positive=(pl.col("pos").list.len().fill_null(0) == 0).sum().cast(pl.Int64)
    )
    joined = rows.join(counts, on=by, how="left", maintain_order="left")
    return joined.select(*by, pl.col(*COUNTS).cast(pl.Int64).fill_null(0), "recall", "without_positive")
