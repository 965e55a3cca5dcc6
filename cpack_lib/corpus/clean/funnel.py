"""What went into every rule and what came out of it, by source; and the rows that it set aside."""

from collections.abc import Iterable

import polars as pl

from cpack_lib.corpus.clean.rule import Judge, Tells

SUMS = ["rows_in", "rows_out", "characters_in", "characters_out"]
COUNTS = dict.fromkeys(["stage", "rule", "source"], pl.String) | dict.fromkeys(SUMS, pl.Int64)
ASIDE = dict.fromkeys(
    ["stage", "rule", "detail", "document", "source", "kind", "text_a", "text_b"], pl.String
)


def counted(stage: str, rule: str, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """COUNTS of one rule and one shard, from `source` and `characters` of the rows before and after it."""
    rows, size = pl.len().cast(pl.Int64), pl.col("characters").sum().cast(pl.Int64)
    source = pl.col("source").cast(pl.String)
    came = before.group_by(source).agg(rows_in=rows, characters_in=size)
    left = after.group_by(source).agg(rows_out=rows, characters_out=size)
    both = came.join(left, on="source", how="left").fill_null(0)
    return both.with_columns(stage=pl.lit(stage), rule=pl.lit(rule)).select(list(COUNTS))


def apply(
    rules: Iterable[Judge], stage: str, rows: pl.DataFrame
) -> tuple[pl.DataFrame, list[pl.DataFrame], list[pl.DataFrame]]:
    """(the rows that stay, COUNTS of each of the stage's rules, the rows that each sets aside)."""
    counts, aside = [], []
    for rule in (rule for rule in rules if rule.stage == stage):
        stays = rule.judge(rows)
        counts.append(counted(stage, rule.name, rows, rows.filter(stays)))
        lost = rows.filter(~stays).with_columns(stage=pl.lit(stage), rule=pl.lit(rule.name))
        aside.append(lost.with_columns(detail=rule.detail(lost)) if isinstance(rule, Tells) else lost)
        rows = rows.filter(stays)
    return rows, counts, aside


def as_aside(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows set aside in the columns of ASIDE: text_a and text_b are title and page, or title and line."""
    if "text" in rows.columns:
        names = {"title": "text_a", "page" if "page" in rows.columns else "text": "text_b"}
        rows = rows.rename({old: new for old, new in names.items() if old in rows.columns})
    missing = [pl.lit(None).alias(name) for name in ASIDE if name not in rows.columns]
    return rows.with_columns(missing).select(list(ASIDE)).cast(ASIDE)


def summed(counts: Iterable[pl.DataFrame], steps: list[tuple[str, str]]) -> pl.DataFrame:
    """The counts of all shards added up: `step` (from 1) and COUNTS, sorted by step and source."""
    order = pl.DataFrame(steps, schema=["stage", "rule"], orient="row").with_row_index("step", offset=1)
    total = pl.concat([pl.DataFrame(schema=COUNTS), *counts])
    total = total.group_by("stage", "rule", "source").agg(pl.col(SUMS).sum())
    return order.join(total, on=["stage", "rule"]).sort("step", "source").select("step", *COUNTS)
