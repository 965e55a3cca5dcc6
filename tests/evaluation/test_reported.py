"""Promises of the published rows: averages that can be recomputed are, and ada-002 is the one that is not."""

import polars as pl

from cpack_lib.evaluation.scores.reported import DATASETS, reported_scores


def test_every_average_over_35_datasets_is_recomputed_to_a_hundredth():
    over_35 = reported_scores().filter(pl.col("average_over") == 35)
    assert len(over_35) == 13 and sum(DATASETS.values()) == 35
    assert (over_35["average"] - over_35["over_35"]).abs().max() < 0.011


def test_in_the_papers_table_only_ada_002_does_not_fit_its_columns():
    table = reported_scores().filter(pl.col("source").str.contains("table 2"))
    off = table.filter((pl.col("average") - pl.col("over_35")).abs() > 0.011)
    assert len(table) == 11 and off["model"].to_list() == ["OpenAI ada-002"]
    assert off["average_over"].to_list() == [31]  # printed 53.02, but 53.73 by its own columns


def test_every_row_names_its_source_and_protocol():
    rows = reported_scores()
    assert rows.select(pl.col("source", "protocol", "average_over").is_null().any()).row(0) == (False,) * 3
