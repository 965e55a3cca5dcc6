"""What a card counts of a curated folder's files: in scans that hold counts, never a set's texts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from cpack_lib.corpus.clean.contamination import EXACT, STRETCH, contamination_report
from cpack_lib.corpus.clean.funnel import ASIDE, COUNTS, SUMS
from cpack_lib.corpus.parts import PAIRS_WRITTEN, TEXTS_WRITTEN
from cpack_lib.corpus.read.sampling import drawn_rows, lowest_lots

SETS = {"pairs": PAIRS_WRITTEN, "texts": TEXTS_WRITTEN, "rejected": ASIDE}
NOT_STATED = "not stated"  # in place of null; `schemas.FILLERS` writes the same for a licence
ENGLISH, CHINESE = "[A-Za-z]+ [A-Za-z]+ [A-Za-z]+", r"\p{Han}"
QUANTILES = (5, 50, 95)  # per cent
SAMPLES = 3  # pairs of each kind
LONGEST_LIST = 5  # names
SEEN = pl.col("rule").is_in([EXACT, STRETCH])  # rows and steps of the rules that look for evaluation texts


def rows_of(kind: str, files: Sequence[Path]) -> pl.LazyFrame:
    """One of SETS as a scan that has at least its columns."""
    rows = pl.scan_parquet(files, glob=False) if files else pl.LazyFrame(schema=SETS[kind])
    missing = [name for name in SETS[kind] if name not in rows.collect_schema()]
    return rows.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)


def stated(rows: pl.LazyFrame, name: str) -> pl.Expr:
    """A column that describes, NOT_STATED where it tells nothing or is not there."""
    known = pl.col(name).cast(pl.String) if name in rows.collect_schema() else pl.lit(None, pl.String)
    return known.fill_null(NOT_STATED).alias(name)


def tallied(rows: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """set, source, kind, licence; the rows, and those in Chinese, with an English side, of no document."""
    frames = []
    for name, frame in rows.items():
        keys = [stated(frame, key) for key in ("source", "kind", "licence")]
        sides = [pl.col(side) for side in ("text_a", "text_b", "text") if side in frame.collect_schema()]
        tests = {
            "chinese": pl.any_horizontal(side.str.contains(CHINESE) for side in sides),
            "english": pl.any_horizontal(
                side.str.contains(ENGLISH) & ~side.str.contains(CHINESE) for side in sides
            ),
            "no_document": pl.col("document").is_null(),
        }
        counted = frame.select(*keys, **tests).group_by("source", "kind", "licence")
        sums = [pl.col(test).sum().cast(pl.Int64) for test in tests]
        frames.append(counted.agg(*sums, rows=pl.len().cast(pl.Int64)).with_columns(set=pl.lit(name)))
    return pl.concat(pl.collect_all(frames, engine="streaming")).sort("set", "source", "kind", "licence")


def steps_of(path: Path) -> pl.DataFrame:
    """The funnel summed over the sources: step, stage, rule and SUMS."""
    if not path.exists():
        raise ValueError(f"{path} does not exist: a card tells of a folder that curate(...) has filled")
    funnel = pl.read_csv(path, schema={"step": pl.Int64, **COUNTS})
    return funnel.group_by("step", "stage", "rule").agg(pl.col(SUMS).sum()).sort("step")


def per_set(counts: pl.DataFrame, key: str) -> pl.DataFrame:
    """key, pairs, texts: the rows of both with each value of a column, most pairs first."""
    both = [pl.col("rows").filter(pl.col("set") == name).sum().alias(name) for name in ("pairs", "texts")]
    kept = counts.filter(pl.col("set") != "rejected").group_by(key).agg(both)
    return kept.sort("pairs", "texts", key, descending=[True, True, False])


def listed(counts: pl.DataFrame, key: str) -> pl.DataFrame:
    """source, key: what the rows of each source have, with counts where they differ, most first."""
    each = (
        counts.group_by("source", key).agg(pl.col("rows").sum()).sort("rows", key, descending=[True, False])
    )
    told = pl.when(pl.len() > 1).then(pl.format("{} ({})", key, "rows")).otherwise(key)
    more = pl.when(pl.len() > LONGEST_LIST).then(pl.format(", {} more", pl.len() - LONGEST_LIST))
    lists = told.head(LONGEST_LIST).str.join(", ") + more.otherwise(pl.lit(""))
    return each.group_by("source").agg(lists.alias(key))


def quantiles(rows: pl.LazyFrame, side: str) -> pl.DataFrame:
    """kind, count and QUANTILES of a side's characters, last of all kinds; counted length by length."""
    size = pl.col(side).str.len_chars()
    counted = rows.select(stated(rows, "kind"), length=size).group_by("kind", "length")
    each = counted.agg(rows=pl.len().cast(pl.Int64)).collect(engine="streaming").sort("length")
    reached, total = 100 * pl.col("rows").cum_sum(), pl.col("rows").sum()
    found = [pl.col("length").filter(reached >= q * total).first().alias(f"{side} {q} %") for q in QUANTILES]
    by_kind = each.group_by("kind", maintain_order=True).agg(total.alias("count"), *found)
    whole = each.group_by("length", maintain_order=True).agg(total)
    last = whole.select(pl.lit("all").alias("kind"), total.alias("count"), *found)
    return pl.concat([by_kind.sort("count", "kind", descending=[True, False]), last])


def tasks_found(rejected: Sequence[Path]) -> pl.DataFrame:
    """task, rule, rows set aside for evaluation texts, most rows first; one shard at a time."""
    found = [contamination_report(rows_of("rejected", [file]).filter(SEEN).collect()) for file in rejected]
    none = pl.DataFrame(schema={"task": pl.String, "rule": pl.String, "rows": pl.Int64})
    rows = pl.concat([none, *(report.select(none.columns) for report in found)], how="vertical_relaxed")
    summed = rows.group_by("task", "rule").agg(pl.col("rows").sum())
    return summed.sort("rows", "task", "rule", descending=[True, False, False])


def drawn_pairs(files: Sequence[Path], seed: int) -> pl.DataFrame:
    """kind, text_a, text_b, source of SAMPLES pairs of each kind, drawn by lot from all of them.

    The kinds are read, a shard at a time, and then of the texts no more than the rows that are drawn.
    """

    def kinds() -> Iterator[pl.DataFrame]:
        for file in files:
            rows = rows_of("pairs", [file])
            yield rows.select(stated(rows, "kind").alias("source")).with_row_index("place").collect()

    columns = ["kind", "text_a", "text_b", "source"]
    found = [pl.DataFrame(schema=dict.fromkeys(columns, pl.String))]
    bounds = lowest_lots(kinds(), SAMPLES, seed)
    for file, drawn in zip(files, drawn_rows(kinds(), bounds, seed), strict=True):
        rows = rows_of("pairs", [file])
        texts = rows.select(stated(rows, name) for name in columns)
        found += [texts.slice(place, 1).collect() for place in drawn["place"]]
    return pl.concat(found).sort("kind", maintain_order=True)
