"""Promises of ablations.laws: what made the numbers is found again, and as surely as is said."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from cpack_lib.evaluation.ablations.laws import PowerLaw, fit_power_law, fit_with_draws

X = np.repeat([160.0, 500.0, 1_600.0, 5_000.0, 16_000.0], 3)


@pytest.mark.parametrize("law", [PowerLaw(0, 90, 0.05), PowerLaw(0, 200, 0.8), PowerLaw(0, 3, 0.3)])
def test_a_line_over_two_logarithms_is_found(law):
    found = fit_power_law(X, law.at(X), floor=False)
    assert found == pytest.approx(law, rel=1e-3)
    by_line = np.polyfit(np.log(X), np.log(law.at(X)), 1)
    assert found.exponent == pytest.approx(-by_line[0], rel=1e-3)


@pytest.mark.parametrize("law", [PowerLaw(12, 90, 0.25), PowerLaw(30, 200, 0.5), PowerLaw(0, 60, 0.2)])
def test_a_floor_is_found(law):
    found = fit_power_law(X, law.at(X))
    assert found.at(X) == pytest.approx(law.at(X), abs=0.01)
    assert found.exponent == pytest.approx(law.exponent, rel=0.02)
    assert found.floor == pytest.approx(law.floor, abs=0.3)


def test_it_is_the_fit_of_scipy():
    y = PowerLaw(12, 90, 0.25).at(X) + np.random.default_rng(0).normal(0, 0.3, size=len(X))
    theirs, _ = curve_fit(
        lambda x, floor, scale, exponent: floor + scale * x**-exponent, X, y, p0=(10, 80, 0.3)
    )
    ours = fit_power_law(X, y)
    assert ours.at(X) == pytest.approx(PowerLaw(*theirs).at(X), abs=0.02)


def test_places_far_from_one_do_no_harm():
    law = PowerLaw(5, 4e4, 0.6)
    assert fit_power_law(X * 1e6, law.at(X * 1e6)).at(1e9) == pytest.approx(law.at(1e9), abs=0.05)


def test_a_rise_is_no_law_and_stays_flat():
    found = fit_power_law([1, 10, 100], [10.0, 11.0, 12.0], floor=False)
    assert found.at(1) == pytest.approx(found.at(100), rel=0.02)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    law, draw = PowerLaw(0, 90, 0.12), np.random.default_rng(8)
    held = {"exponent": 0, "far": 0, "new": 0}
    for repeat in range(80):
        fitted = fit_with_draws(
            X, law.at(X) + draw.normal(0, 0.8, size=len(X)), floor=False, draws=100, seed=repeat
        )
        exponent, far, new = fitted.exponent(), fitted.at(1e6), fitted.measured_at(50_000, seeds=3)
        held["exponent"] += exponent.low <= law.exponent <= exponent.high
        held["far"] += far.low <= law.at(1e6) <= far.high
        held["new"] += new.low <= law.at(50_000) + draw.normal(0, 0.8, size=3).mean() <= new.high
    assert all(68 <= count <= 80 for count in held.values()), held


def test_the_farther_away_the_less_sure():
    y = PowerLaw(20, 90, 0.2).at(X) + np.random.default_rng(1).normal(0, 0.5, size=len(X))
    fitted = fit_with_draws(X, y, draws=60)
    near, far = fitted.at(20_000), fitted.at(1e8)
    assert far.high - far.low > 3 * (near.high - near.low) > 0
    assert near.low <= near.mean <= near.high
    floor = fitted.floor()
    assert 0 <= floor.low <= floor.high


def test_what_cannot_be_fitted_is_said():
    with pytest.raises(ValueError, match="a law of 3 numbers needs 3 places or more; here are 2"):
        fit_power_law([1, 1, 2], [3.0, 3.0, 2.0])
    with pytest.raises(ValueError, match="x above 0"):
        fit_power_law([0, 1, 2], [3.0, 3.0, 2.0])
    with pytest.raises(ValueError, match="3 measurements fit a law of 3 numbers"):
        fit_with_draws([1, 2, 3], [3.0, 2.5, 2.0])
