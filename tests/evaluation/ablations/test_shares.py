"""Promises of ablations.shares: the mean over all orders, contrasts of all subsets, nothing left over."""

from itertools import permutations

import numpy as np
import polars as pl
import pytest

from cpack_lib.evaluation.ablations.shares import (
    factorial_effects,
    name_of,
    shapley,
    shared_out,
    subset_of,
    subsets,
)

STAGES = ["pretrain", "contrast", "instruct"]


@pytest.fixture
def values():
    draw = np.random.default_rng(4)
    return {subset: float(draw.normal(50, 5)) for subset in subsets(STAGES)}


def test_shapley_is_the_mean_over_all_orders(values):
    slow = dict.fromkeys(STAGES, 0.0)
    for order in permutations(STAGES):
        for place, stage in enumerate(order):
            before = frozenset(order[:place])
            slow[stage] += (values[before | {stage}] - values[before]) / 6
    assert shapley(values, STAGES) == pytest.approx(slow)


def test_shapley_values_add_up_to_what_all_stages_add(values):
    whole = values[frozenset(STAGES)] - values[frozenset()]
    assert sum(shapley(values, STAGES).values()) == pytest.approx(whole)


def test_a_stage_that_adds_the_same_everywhere_gets_just_that():
    each = {"pretrain": 1.0, "contrast": -2.0, "instruct": 0.0}
    values = {subset: 40 + sum(each[stage] for stage in subset) for subset in subsets(STAGES)}
    assert shapley(values, STAGES) == pytest.approx(each)
    effects = factorial_effects(values, STAGES)
    for subset, effect in effects.items():
        (stage,) = subset if len(subset) == 1 else (None,)
        assert effect == pytest.approx(each.get(stage, 0.0), abs=1e-9)


def test_a_main_effect_is_the_mean_with_a_stage_minus_the_mean_without(values):
    effects = factorial_effects(values, STAGES)
    for stage in STAGES:
        there, away = (
            np.mean([value for subset, value in values.items() if (stage in subset) == on])
            for on in (True, False)
        )
        assert effects[frozenset({stage})] == pytest.approx(there - away)


def test_an_interaction_is_half_of_what_one_stage_adds_more_beside_the_other():
    values = {frozenset(): 1.0, frozenset("a"): 3.0, frozenset("b"): 4.0, frozenset("ab"): 10.0}
    effects = factorial_effects(values, ["a", "b"])
    assert effects[frozenset("ab")] == pytest.approx(((10 - 4) - (3 - 1)) / 2)
    assert effects[frozenset("a")] == pytest.approx(((10 - 4) + (3 - 1)) / 2)


def test_effects_are_the_coefficients_of_a_fit_to_signs(values):
    groups, signs = subsets(STAGES), {subset: [1 if s in subset else -1 for s in STAGES] for subset in values}
    columns = [
        [np.prod([signs[subset][STAGES.index(stage)] for stage in group]) for group in groups]
        for subset in values
    ]
    fitted = dict(zip(groups, np.linalg.solve(np.array(columns, float), list(values.values())), strict=True))
    for group, effect in factorial_effects(values, STAGES).items():
        assert effect == pytest.approx(2 * fitted[group])


def test_a_subset_that_was_not_run_is_named(values):
    del values[frozenset({"pretrain", "instruct"})]
    with pytest.raises(ValueError, match=r"3 stages have 8 subsets, and pretrain\+instruct has no value"):
        shapley(values, STAGES)
    with pytest.raises(ValueError, match="d is no subset of"):
        shapley({subset: 0.0 for subset in [*subsets(STAGES), frozenset("d")]}, STAGES)


def test_names_and_subsets_go_both_ways():
    for subset in subsets(STAGES):
        assert subset_of(name_of(subset, STAGES)) == subset
    assert name_of(["instruct", "pretrain"], STAGES) == "pretrain+instruct"
    assert name_of([], STAGES) == "start"


def test_seeds_are_shared_out_one_by_one():
    rows = [
        (name_of(subset, STAGES), seed, "STS", 2.0 * ("contrast" in subset) * (seed + 1))
        for subset in subsets(STAGES)
        for seed in (0, 1, 2)
    ]
    table = pl.DataFrame(rows, schema=["stages", "seed", "type", "score"], orient="row")
    found = {row["stage"]: row for row in shared_out(table, STAGES).to_dicts()}
    assert found["contrast"]["mean"] == pytest.approx(4) and found["contrast"]["seeds"] == 3
    assert found["contrast"]["low"] < 4 < found["contrast"]["high"]
    assert found["pretrain"]["mean"] == found["pretrain"]["high"] == 0
    assert set(shared_out(table, STAGES, factorial_effects)["stage"]) == {
        name_of(subset, STAGES) for subset in subsets(STAGES)[1:]
    }
