"""Promises of thresholds: equal to counting, right at their ends, and honest about what cannot be had."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from cpack_lib.evaluation.thresholds import (
    area_under_curve,
    precision_and_recall,
    threshold_for,
    threshold_interval,
)


def heaps(seed, right=40, wrong=70):
    """Two heaps that overlap, with ties: scores in steps of 0.05."""
    draw = np.random.default_rng(seed)
    return tuple(
        np.round(draw.normal(centre, 0.2, size) * 20) / 20 for centre, size in ((0.7, right), (0.4, wrong))
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_area_counts_who_beats_whom(seed):
    right, wrong = heaps(seed)
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(right.tolist(), wrong.tolist())]
    assert area_under_curve(right, wrong) == pytest.approx(sum(wins) / len(wins), abs=1e-12)
    assert area_under_curve(right, right) == pytest.approx(0.5)


def test_the_area_at_its_ends():
    assert area_under_curve(np.array([0.9]), np.array([0.1, 0.2])) == 1
    assert area_under_curve(np.array([0.0]), np.array([0.1, 0.2])) == 0
    with pytest.raises(ValueError, match="0 right and 1 wrong"):
        area_under_curve(np.array([]), np.array([0.1]))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_precision_and_recall_are_those_of_counting_in_that_mixture(share):
    right, wrong = heaps(1)
    accepted = sum(share / len(right) for score in right if score >= 0.6)
    mistaken = sum((1 - share) / len(wrong) for score in wrong if score >= 0.6)
    precision, recall = precision_and_recall(right, wrong, 0.6, share)
    assert precision == pytest.approx(accepted / (accepted + mistaken))
    assert recall == pytest.approx(sum(score >= 0.6 for score in right) / len(right))
    precision, recall = precision_and_recall(right, wrong, math.inf, share)
    assert math.isnan(precision) and recall == 0


@pytest.mark.parametrize("seed, precision, share", list(product(range(3), [0.8, 0.95], [0.2, 0.5])))
def test_the_threshold_is_the_lowest_that_is_precise_enough(seed, precision, share):
    right, wrong = heaps(seed)
    enough = [t for t in right if precision_and_recall(right, wrong, t, share)[0] >= precision]
    assert threshold_for(right, wrong, precision, share) == min(enough, default=math.inf)


def test_no_threshold_is_precise_where_the_best_score_is_a_wrong_one():
    right, wrong = np.linspace(0.1, 0.5, 9), np.linspace(0.6, 0.9, 9)
    assert threshold_for(right, wrong, 0.9) == math.inf
    found = threshold_interval(right, wrong[:, None], 0.9)
    assert (found.mean, found.low, found.high) == (math.inf, math.inf, math.inf)


def test_a_rarer_right_pair_needs_a_higher_threshold():
    right, wrong = heaps(0, 400, 700)
    thresholds = [threshold_for(right, wrong, 0.8, share) for share in (0.5, 0.2, 0.05)]
    assert thresholds == sorted(thresholds) and thresholds[0] < thresholds[-1]


def test_the_interval_holds_the_threshold_of_all_questions_and_narrows_with_more():
    draw = np.random.default_rng(0)
    widths = []
    exact = brentq(lambda t: norm.sf(t, 0.7, 0.1) - 9 * norm.sf(t, 0.5, 0.1), 0.5, 0.8)  # 9 right for 1 wrong
    for Q in (50, 1_000):
        right, wrong = draw.normal(0.7, 0.1, Q), draw.normal(0.5, 0.1, (Q, 3))
        found = threshold_interval(right, wrong, 0.9)
        assert found.low <= found.mean <= found.high and found.low <= exact <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2
    again = threshold_interval(right, wrong, 0.9)
    assert (again.low, again.high) == (found.low, found.high)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: threshold_for(np.ones(2), np.zeros(2), 1.0), "precision 1.0 and share 0.5"),
        (lambda: threshold_for(np.ones(0), np.zeros(2), 0.9), "0 right and 2 wrong"),
        (lambda: precision_and_recall(np.ones(2), np.zeros(2), 0.5, share=0.0), "share is 0.0"),
        (lambda: threshold_interval(np.ones(2), np.zeros(2), 0.9), r"\(2,\) right and \(2,\) wrong"),
    ],
)
def test_what_cannot_be_asked_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
