"""Sets of sentence pairs with labels: NLI-zh (ATEC, BQ, LCQMC, PAWS-X, STS-B), CMNLI and OCNLI.

A row is a first sentence with all that is right for it, and as `neg` all that is labelled 0: the hardest
negatives there are, and the paper's for these sets (paper.md 3.4).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from cpack_lib.corpus.labelled.joining import NO_POSITIVE, Shard
from cpack_lib.corpus.labelled.lines import as_text
from cpack_lib.corpus.read.columnar import Aside, parquet_shards
from cpack_lib.corpus.read.schemas import EXCERPT, ROW, ROWS_PER_SHARD

COLUMNS = {"query": "sentence1", "sentence2": "sentence2", "label": "label"}  # here -> in the files
FIELDS = ("query", "other", "label")
PAIR = {ROW: pl.Int64, "query": pl.String, "other": pl.String, "label": pl.Float64}


class Scale(NamedTuple):
    """Which labels say right and which say wrong; what lies between is neither."""

    right: tuple[float, float]  # the lowest and the highest label
    wrong: tuple[float, float]


SAME = Scale(right=(1, 1), wrong=(0, 0))  # ATEC, BQ, LCQMC and PAWS-X: the two say the same, or not
STS_B = Scale(right=(4, 5), wrong=(0, 2))  # of 0 to 5: 4 differs in details; 3 in what matters; 2 says else
CLUE = Scale(right=(1, 1), wrong=(2, 2))  # 0 neutral, 1 entailment, 2 contradiction, -1 not labelled
PARTS = {"ATEC": SAME, "BQ": SAME, "LCQMC": SAME, "PAWSX": SAME, "STS-B": STS_B}  # of NLI-zh


def nli_zh(folder: Path) -> Iterator[Shard]:
    """The hub's own Parquet of the five parts, each a source."""
    for part, scale in PARTS.items():
        for path in sorted(folder.glob(f"{part}/train/*.parquet")):
            pairs, unread = parquet_pairs(path)
            yield from paired(pairs, unread, f"{part}/{path.name}", f"nli-zh-{part.lower()}", "sts", scale)


def nli_zh_lines(folder: Path) -> Iterator[Shard]:
    """The five parts as text2vec publishes them: lines of two sentences and a label with tabs between."""
    for part, scale in PARTS.items():
        path = folder / part / f"{part}.train.data"
        pairs, unread = line_pairs(path)
        yield from paired(pairs, unread, f"{part}/{path.name}", f"nli-zh-{part.lower()}", "sts", scale)


def clue(name: str, folder: Path) -> Iterator[Shard]:
    """CMNLI or OCNLI: what follows from a premise is right for it, what contradicts it is wrong."""
    for path in sorted(folder.glob(f"{name}/train-*.parquet")):
        pairs, unread = parquet_pairs(path)
        yield from paired(pairs, unread, f"{name}/{path.name}", name, "nli", CLUE)


def parquet_pairs(path: Path) -> tuple[pl.DataFrame, Aside]:
    """(PAIR, what cannot be read) of a file with sentence1, sentence2 and label."""
    parts, aside = [pl.DataFrame(schema=PAIR)], []
    for frame, unread in parquet_shards(path, "labelled", {"sentence1": "query"}):
        aside += unread
        missing = [said for name, said in COLUMNS.items() if frame.width and name not in frame.columns]
        if missing:
            raise ValueError(f"{path} has no column {missing[0]!r}: it needs {', '.join(COLUMNS.values())}")
        if frame.height:
            parts.append(
                frame.select(ROW, "query", other="sentence2", label="label").cast(PAIR, strict=False)
            )
    return pl.concat(parts), aside


def line_pairs(path: Path) -> tuple[pl.DataFrame, Aside]:
    """(PAIR, lines that are no UTF-8 or have not three fields) of a file."""
    binary = path.read_bytes().split(b"\n")
    lines = pl.DataFrame(
        {ROW: range(1, len(binary) + 1), "line": as_text(pl.Series(binary, dtype=pl.Binary))}
    )
    fields = pl.col("line").str.strip_chars_end("\r").str.split("\t")
    lines = lines.filter(pl.col("line").str.contains(r"\S").fill_null(True)).with_columns(field=fields)
    fits = (pl.col("field").list.len() == len(FIELDS)).fill_null(False)
    reason = pl.when(pl.col("line").is_null()).then(pl.lit("invalid UTF-8")).otherwise(pl.lit("not 3 fields"))
    bad = lines.filter(~fits).select(
        ROW, reason.alias("reason"), pl.col("line").fill_null("").str.head(EXCERPT)
    )
    pairs = lines.filter(fits).select(
        ROW, **{name: pl.col("field").list.get(place) for place, name in enumerate(FIELDS)}
    )
    return pairs.cast(PAIR, strict=False), bad.rows()


def paired(
    pairs: pl.DataFrame, unread: Aside, file: str, source: str, task: str, scale: Scale
) -> Iterator[Shard]:
    """Pairs grouped by their first sentence; pairs that say nothing, or nothing right, are set aside."""
    right, wrong = (pl.col("label").is_between(*bounds) for bounds in scale)
    pairs = pairs.with_columns(right=right, reason=pair_reason(right | wrong))
    is_answered = pl.col("right").any().over("query")
    fitting = pairs.filter(pl.col("reason").is_null())
    fitting = fitting.with_columns(reason=pl.when(~is_answered).then(pl.lit(NO_POSITIVE)))
    has_reason = pl.col("reason").is_not_null()
    bad = pl.concat([pairs.filter(has_reason), fitting.filter(has_reason)])
    excerpt = pl.concat_str("query", "other", separator=" ", ignore_nulls=True).str.head(EXCERPT)
    yield file, pl.DataFrame(), [*unread, *bad.select(ROW, "reason", excerpt).rows()]
    told = fitting.filter(~has_reason).sort("right", descending=True, maintain_order=True)
    told = told.unique(["query", "other"], keep="first", maintain_order=True)  # right somewhere is not wrong
    rows = told.group_by("query").agg(
        pl.col(ROW).min(), pos=pl.col("other").filter("right"), neg=pl.col("other").filter(~pl.col("right"))
    )
    rows = rows.sort(ROW).with_columns(source=pl.lit(source), task=pl.lit(task))
    for shard in rows.iter_slices(ROWS_PER_SHARD):
        yield file, shard, []


def pair_reason(is_judged: pl.Expr) -> pl.Expr:
    """Why a pair says nothing, null where it says something."""
    label = pl.col("label")
    empty = [
        pl.when(pl.col(name).is_null() | ~pl.col(name).str.contains(r"\S")).then(pl.lit(f"{shown} is empty"))
        for name, shown in (("query", "sentence1"), ("other", "sentence2"))
    ]
    return pl.coalesce(
        *empty,
        pl.when(label.is_null() | (label < 0)).then(pl.lit("no label")),
        pl.when(~is_judged).then(pl.lit("label neither right nor wrong")),
    )
