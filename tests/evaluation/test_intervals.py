"""Promises of the intervals: a plain bootstrap, right in size, sure where it should be."""

import numpy as np
import pytest

from cpack_lib.evaluation.scores.intervals import bootstrap_mean, paired_difference


def test_the_interval_is_that_of_a_plain_bootstrap():
    values = np.random.default_rng(0).random(80) * 100
    draw = np.random.default_rng(5)
    means = sorted(np.mean([values[draw.integers(80)] for _ in range(80)]) for _ in range(3000))
    found = bootstrap_mean(values)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((means[75], means[2925]), abs=0.6)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    draw = np.random.default_rng(1)
    samples = [bootstrap_mean(draw.normal(3.0, 2.0, size=60)) for _ in range(60)]
    assert 51 <= sum(found.low <= 3.0 <= found.high for found in samples) <= 60


def test_a_paired_difference_sees_what_two_intervals_hide():
    draw = np.random.default_rng(2)
    hardness = draw.normal(50, 30, size=200)
    ours, theirs = hardness + draw.normal(2, 3, size=200), hardness
    paired = paired_difference(ours, theirs)
    assert paired.low > 0 and bootstrap_mean(ours).low < bootstrap_mean(theirs).high


@pytest.mark.parametrize("values", [[1.0], [1.0, float("nan")]])
def test_too_few_or_broken_values_are_refused(values):
    with pytest.raises(ValueError, match="two or more finite values"):
        bootstrap_mean(np.array(values))
    with pytest.raises(ValueError, match="equal numbers"):
        paired_difference(np.ones(3), np.ones(4))
