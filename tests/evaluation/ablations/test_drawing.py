"""Promises of ablations.drawing: a panel for each type, every seed in sight, the paper's curve told apart."""

import matplotlib.pyplot as plt
import polars as pl
import pytest

from cpack_lib.evaluation.ablations.drawing import draw_costs, draw_effects, draw_types, round_numbers

KINDS = ["Retrieval", "STS", "Mean"]


@pytest.fixture
def gains():
    rows = [
        (size, budget, seed, kind, float(place + seed))
        for place, size in enumerate((64, 256, 1024))
        for budget in ("pairs", "steps")
        for seed in (0, 1, 2)
        for kind in KINDS
    ]
    return pl.DataFrame(rows, schema=["rows_per_step", "budget", "seed", "type", "score"], orient="row")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_each_type_has_a_panel_with_a_line_for_each_series_and_one_for_the_paper(gains):
    paper = pl.DataFrame({"rows_per_step": [256, 19_200], "score": [0.0, 9.0]}).join(
        pl.DataFrame({"type": KINDS}), how="cross"
    )
    figure = draw_types(gains, "rows_per_step", "pairs", series="budget", published=paper, paper="theirs")
    shown = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in shown] == KINDS
    for ax in shown:
        named = [line.get_label() for line in ax.get_lines() if not line.get_label().startswith("_")]
        assert named == ["pairs", "steps", "theirs"]
        low, high = ax.get_ylim()
        assert low < 0 < 9 < high, "a dot or the paper's curve is out of sight"


def test_effects_stand_below_each_other_with_their_intervals():
    found = pl.DataFrame({"type": KINDS, "mean": [1.0, 2, 3], "low": [0.0, 1, 2], "high": [2.0, 3, 4]})
    _, ax = plt.subplots()
    draw_effects(ax, found, "type")
    assert [label.get_text() for label in ax.get_yticklabels()] == KINDS
    assert [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()] == [
        [0, 2],
        [1, 3],
        [2, 4],
    ]


@pytest.mark.parametrize(("costs", "scale"), [([1.0, 2.0], "linear"), ([1.0, 100.0], "log")])
def test_costs_that_are_far_apart_get_a_logarithmic_axis_and_many_series_stay_apart(costs, scale):
    rows = [(name, cost, 1.0) for name in "abcdefghi" for cost in costs]
    table = pl.DataFrame(rows, schema=["name", "minutes", "score"], orient="row")
    (ax,) = draw_costs(table, [("minutes", "minutes")], series="name").axes
    assert ax.get_xscale() == scale
    looks = {(line.get_color(), line.get_marker()) for line in ax.get_lines()}
    assert len(ax.get_lines()) == len(looks) == 9


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((0.4, 3.9), [0.5, 1, 2]),
        ((512, 32_768), [1_000, 2_000, 5_000, 10_000, 20_000]),
        ((1, 9_000), [1, 10, 100, 1_000]),
        ((7, 7), []),
    ],
)
def test_round_numbers_lie_within_their_bounds(bounds, expected):
    assert round_numbers(*bounds) == pytest.approx(expected)
