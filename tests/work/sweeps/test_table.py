"""Promises of `cpack results NAME`, on made-up runs."""

import polars as pl
import pytest

from cpack_lib.work.cli import main
from cpack_lib.work.sweeps.planning import plan_sweep
from tests.small_sweep import SWEEP, finish, write_sweep


@pytest.fixture
def table(home, runs):
    """The table of a sweep whose points are all finished."""
    write_sweep(home, SWEEP + "seeds: [0, 3]\nseeded: [02_second]\n")
    finish(plan_sweep("small", home=home))
    assert main(["results", "small"], home) == 0
    return pl.read_parquet(runs / "sweeps/small/results.parquet")


def test_every_score_of_every_point_has_one_row_with_its_place_and_what_stands_beside_it(table):
    assert table.columns[:8] == ["point", "rows_per_step", "rate", "seed", "stage", "task", "type", "metric"]
    assert {"value", "rank", "minutes", "minutes_in_all", "cores", "gpus", "steps", "pairs_seen"} < set(
        table.columns
    )
    scores = table.filter(pl.col("task") == "echo", pl.col("stage") == "01_first")
    assert scores.select("rows_per_step", "rate", "seed", "value", "rank").rows() == [
        (1, 0.25, 0, 0.25, 1), (1, 0.25, 3, 0.25, 1), (2, 0.5, 0, 0.5, 1), (2, 0.5, 3, 0.5, 1),
    ]  # fmt: skip
    assert set(table["stage"]) == {"01_first", "bm25", "02_second"}


def test_figures_of_runs_that_points_share_are_left_out(table):
    figures = table.filter(pl.col("type") == "run")
    assert set(figures["stage"]) == {"02_second"} and len(figures) == 4
    assert figures.select("rows_per_step", "steps", "pairs_seen").unique(maintain_order=True).rows() == [
        (1, 4.0, 4.0), (2, 4.0, 8.0),
    ]  # fmt: skip


def test_a_model_costs_what_its_run_took_and_a_baseline_nothing(table):
    assert table.filter(pl.col("stage") == "bm25")["minutes"].null_count() == 4
    assert table.filter(pl.col("stage") != "bm25")["minutes"].null_count() == 0


def test_the_csv_says_what_the_parquet_says(table, runs):
    text = pl.read_csv(runs / "sweeps/small/results.csv")
    assert text.columns == table.columns and text["value"].to_list() == table["value"].to_list()


def test_points_that_are_not_finished_are_named(home, capfd):
    assert main(["results", "small"], home) == 2
    assert "no point of small is finished; `cpack sweep small`" in capfd.readouterr().err
    finish(plan_sweep("small", home=home), "rows_per_step=2,rate=0.5")
    assert main(["results", "small"], home) == 0
    said = capfd.readouterr().out
    assert "of 1 of 2 points" in said and "not finished: rows_per_step=2,rate=0.5" in said
