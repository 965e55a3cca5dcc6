"""Promises of ablations.tables: the same rows as the sweep made, means over tasks, clear words where not."""

import polars as pl
import pytest

from cpack_lib.evaluation.ablations.tables import (
    MEAN,
    by_type,
    compact,
    costs_of,
    figures_of,
    only,
    places_of,
    read_sweep_table,
    types_of,
)
from tests.evaluation.ablations.swept import STAGE, swept

PLACES = [{"rows_per_step": rows, "budget": budget} for rows in (64, 256) for budget in ("pairs", "steps")]


def score(place, seed, task):
    return place["rows_per_step"] / 8 + seed + {"find": 0, "seek": 4, "near": 6, "same": 9}[task]


@pytest.fixture
def table():
    return swept(PLACES, [0, 1, 2], score)


def test_a_type_is_the_mean_over_its_tasks_and_the_mean_is_over_types(table):
    scores = by_type(table)
    assert scores.equals(by_type(table, STAGE))
    assert scores.columns == ["rows_per_step", "budget", "seed", "type", "score"] and len(scores) == 4 * 3 * 4
    at = scores.filter(pl.col("rows_per_step") == 64, pl.col("budget") == "steps", pl.col("seed") == 1)
    found = dict(at.select("type", "score").iter_rows())
    assert found == {"Retrieval": 11, "STS": 15, "PairClassification": 18, MEAN: pytest.approx(44 / 3)}
    assert types_of(scores) == ["Retrieval", "STS", "PairClassification", MEAN]


def test_a_baseline_is_a_stage_too_and_an_unknown_one_is_named(table):
    assert by_type(table, "tfidf")["score"].unique().to_list() == [10]
    with pytest.raises(ValueError, match="no scores of bm25 in the table; it has 03_contrast_pairs, tfidf"):
        by_type(table, "bm25")


def test_a_point_that_lacks_a_task_is_an_error(table):
    torn = table.filter((pl.col("task") != "seek") | (pl.col("seed") != 2))
    with pytest.raises(ValueError, match="seed=2 was not scored on the same tasks as .*seed=0: seek"):
        by_type(torn, STAGE)
    twice = pl.concat([table, table.filter(pl.col("task") == "near").head(1)])
    with pytest.raises(ValueError, match="seed=0 has several scores of near: say which stage"):
        by_type(twice, STAGE)


def test_figures_and_costs_have_a_row_for_each_point(table):
    figures = figures_of(table, STAGE, ["pairs", "seconds_per_step"])
    assert len(figures) == 12 and figures["pairs"].to_list() == [100] * 12
    assert figures.columns == [*places_of(table), "pairs", "seconds_per_step"]
    costs = costs_of(table)
    assert len(costs) == 12 and set(costs["minutes_in_all"]) == {2.0}
    with pytest.raises(ValueError, match="no figure loss of 03_contrast_pairs"):
        figures_of(table, STAGE, ["pairs", "loss"])


def test_only_takes_some_places_and_says_what_there_is_not(table):
    assert only(by_type(table, STAGE), budget="steps").columns == ["rows_per_step", "seed", "type", "score"]
    with pytest.raises(ValueError, match="no point with budget=hours"):
        only(by_type(table, STAGE), budget="hours")


def test_kept_in_results_a_table_says_the_same(table, tmp_path):
    long = table.with_columns(value=pl.col("value") + 1 / 3)
    compact(long).write_csv(tmp_path / "sweep_small.csv")
    again = read_sweep_table("sweep_small.csv", ["rows_per_step", "budget"], tmp_path)
    assert "split" not in again.columns
    ours, theirs = by_type(again, STAGE), by_type(long, STAGE)
    assert ours.drop("score").equals(theirs.drop("score"))
    assert (ours["score"] - theirs["score"]).abs().max() < 0.001
    assert len(figures_of(again, STAGE, ["pairs"])) == 12


@pytest.mark.parametrize(
    ("place", "made", "command"),
    [
        ("results/sweep_size.csv", "real_size", "`cpack sweep real_size` and then `cpack results real_size`"),
        ("results/sweep_size.csv", "size", "`cpack sweep size` and then `cpack results size`"),
        ("runs/sweeps/size/results.csv", "size", "make runs/sweeps/size/results.csv"),
        ("nothing.csv", "size", "nothing.csv does not exist: `cpack sweep NAME`"),
    ],
)
def test_a_missing_table_is_one_sentence_with_the_command_that_makes_it(tmp_path, place, made, command):
    (tmp_path / "params/sweeps").mkdir(parents=True)
    (tmp_path / f"params/sweeps/{made}.yaml").touch()
    with pytest.raises(ValueError, match=command) as caught:
        read_sweep_table(place, home=tmp_path)
    assert "\n" not in str(caught.value)


def test_another_table_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("point,value\na,1\n")
    with pytest.raises(ValueError, match="other.csv has no column stage, task, type"):
        read_sweep_table("other.csv", home=tmp_path)


def test_a_sweep_over_something_else_is_refused(table, tmp_path):
    table.write_csv(tmp_path / "small.csv")
    with pytest.raises(ValueError, match="small.csv does not vary size, but rows_per_step, budget, seed"):
        read_sweep_table("small.csv", ["size"], tmp_path)


def test_what_is_left_out_of_a_kept_table_may_be_numbers():
    table = pl.DataFrame({"point": ["a"], "value": [1.2345678], "spread": [0.5]})
    assert compact(table).rows() == [("a", 1.2346)]
