"""Promises of ablations.spread: scipy's intervals and lines, paired seed by seed."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import linregress, ttest_1samp, ttest_rel

from cpack_lib.evaluation.ablations.spread import (
    effects,
    mean_of_seeds,
    paired,
    slope,
    slope_per_doubling,
    slopes,
    summed_up,
    verdict,
)
from cpack_lib.evaluation.scores.intervals import Interval


def scores(rule, sizes=(64, 256, 1024), seeds=(0, 1, 2), types=("STS", "Retrieval")):
    rows = [
        (size, seed, kind, float(rule(size, seed, kind)))
        for size in sizes
        for seed in seeds
        for kind in types
    ]
    return pl.DataFrame(rows, schema=["rows_per_step", "seed", "type", "score"], orient="row")


def test_the_interval_of_a_mean_is_students():
    values = [3.1, 4.0, 2.2, 5.5]
    found, theirs = mean_of_seeds(values), ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert found.mean == pytest.approx(np.mean(values))


def test_nineteen_of_twenty_intervals_of_three_seeds_hold_the_truth():
    draw = np.random.default_rng(3)
    found = [mean_of_seeds(draw.normal(1, 2, size=3)) for _ in range(2_000)]
    assert np.mean([each.low <= 1 <= each.high for each in found]) == pytest.approx(0.95, abs=0.015)


def test_one_seed_has_a_mean_and_no_bounds_and_none_is_an_error():
    found = mean_of_seeds([2.0])
    assert found.mean == 2 and np.isnan([found.low, found.high]).all()
    for values in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="needs finite values"):
            mean_of_seeds(values)


def test_pairs_are_those_of_one_seed_and_type():
    hard = {0: 0.0, 1: 30.0, 2: -20.0}
    table = scores(lambda size, seed, kind: hard[seed] + np.log2(size) + (size == 1024) * seed)
    apart = paired(table, "rows_per_step", 64)
    found = summed_up(apart, ["rows_per_step", "type"]).filter(pl.col("type") == "STS")
    assert found["mean"].to_list() == pytest.approx([0, 2, 5])
    assert found["low"][1] == pytest.approx(2) and found["low"][2] < 4.99 < 5.01 < found["high"][2]
    ours, theirs = (
        table.filter(pl.col("rows_per_step") == size, pl.col("type") == "STS")["score"].to_numpy()
        for size in (1024, 64)
    )
    bounds = ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found["low"][2], found["high"][2]) == pytest.approx((bounds.low, bounds.high))


def test_a_point_without_its_partner_is_named():
    table = scores(lambda *_: 1.0).filter((pl.col("rows_per_step") != 64) | (pl.col("seed") != 2))
    with pytest.raises(ValueError, match="'seed': 2.* has no partner with rows_per_step=64"):
        paired(table, "rows_per_step", 64)
    with pytest.raises(ValueError, match="rows_per_step=32 is no point here; there are 64, 256, 1024"):
        paired(table, "rows_per_step", 32)


def test_a_slope_is_that_of_the_least_squares_line():
    draw = np.random.default_rng(0)
    x, y = draw.random(9), draw.random(9)
    assert slope(x, y) == pytest.approx(linregress(x, y).slope)
    assert slope_per_doubling([64, 128, 512], [1.0, 3.0, 7.0]) == pytest.approx(2)
    with pytest.raises(ValueError, match="two different places"):
        slope([3, 3], [1, 2])


def test_slopes_are_taken_for_each_seed_and_summed_up():
    per = {"STS": -1.0, "Retrieval": 2.0}
    found = slopes(scores(lambda size, seed, kind: 5 * seed + per[kind] * np.log2(size)), "rows_per_step")
    assert found["type"].to_list() == ["STS", "Retrieval"] and found["seeds"].to_list() == [3, 3]
    assert found["mean"].to_list() == pytest.approx([-1, 2])
    assert found["low"].to_list() == pytest.approx([-1, 2])  # seeds agree


def test_the_mean_slope_is_that_of_all_seeds_together_and_its_interval_knows_their_scatter():
    draw = np.random.default_rng(1)
    table = scores(lambda size, *_: np.log2(size) + draw.normal(0, 0.5), seeds=range(12), types=("STS",))
    (found,) = slopes(table, "rows_per_step").to_dicts()
    line = linregress(np.log2(table["rows_per_step"].to_numpy()), table["score"].to_numpy())
    assert found["mean"] == pytest.approx(line.slope)
    assert (found["high"] - found["low"]) / 2 == pytest.approx(2 * line.stderr, rel=0.6)


def test_an_effect_may_be_any_number_of_a_seeds_rows():
    found = effects(scores(lambda size, seed, _: seed), ["type"], lambda rows: rows["score"].max())
    assert found["mean"].to_list() == [1, 1] and found["seeds"].to_list() == [3, 3]


@pytest.mark.parametrize(
    ("found", "paper", "said"),
    [
        ((2.0, 1.0, 3.0), 5.0, "reproduced"),
        ((-2.0, -3.0, -1.0), -5.0, "reproduced"),
        ((-2.0, -3.0, -1.0), 5.0, "reversed"),
        ((2.0, -1.0, 5.0), 5.0, "undecided"),
        ((2.0, float("nan"), float("nan")), 5.0, "undecided"),
        ((2.0, 1.0, 3.0), 0.05, "no effect in the paper"),
    ],
)
def test_a_verdict_needs_an_interval_that_excludes_zero(found, paper, said):
    assert verdict(Interval(*found), paper, least=0.1) == said
