"""A fixed number of rows of every source, chosen by lot: two readings, and only numbers kept in between."""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl


def lots(shard: int, rows: int, seed: int) -> pl.Series:
    """One number in [0, 1) for each row of a shard: the same for the same seed, shard and row."""
    return pl.Series("lot", np.random.default_rng([seed, shard]).random(rows))


def lowest_lots(shards: Iterable[pl.DataFrame], per_source: int, seed: int) -> pl.DataFrame:
    """source, lot: the `per_source`-th lowest lot of every source, the highest where it has fewer rows."""
    lowest = pl.DataFrame(schema={"source": pl.String, "lot": pl.Float64})
    for number, shard in enumerate(shards):
        drawn = shard.select("source").with_columns(lots(number, len(shard), seed))
        lowest = pl.concat([lowest, drawn]).filter(pl.col("lot").rank("ordinal").over("source") <= per_source)
    return lowest.group_by("source").agg(pl.col("lot").max())


def drawn_rows(shards: Iterable[pl.DataFrame], bounds: pl.DataFrame, seed: int) -> Iterator[pl.DataFrame]:
    """The shards' rows whose lot is within their source's bound, in their order."""
    bounds = bounds.rename({"lot": "bound"})
    for number, shard in enumerate(shards):
        drawn = shard.select("source").with_columns(lots(number, len(shard), seed))
        drawn = drawn.join(bounds, on="source", how="left", maintain_order="left")
        yield shard.filter(drawn["lot"] <= drawn["bound"])
