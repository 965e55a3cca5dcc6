"""The plan: a pure function of seed, epoch and step."""

import numpy as np
import pytest

from cpack_lib.training.batches import Plan

SOURCES = ["a"] * 17 + ["b"] * 9 + ["c"] * 2


def steps(plan, epoch):
    """All batches of an epoch, step by step."""
    first = epoch * plan.steps_per_epoch
    return [plan.step(number) for number in range(first, first + plan.steps_per_epoch)]


@pytest.mark.parametrize("rows, rows_per_step", [(1, 1), (10, 3), (12, 4), (5, 100)])
def test_every_row_stands_in_an_epoch_once_but_for_an_incomplete_batch(rows, rows_per_step):
    plan = Plan(rows, rows_per_step, seed=0)
    for epoch in range(3):
        seen = np.concatenate(steps(plan, epoch))
        assert len(set(seen.tolist())) == len(seen) == rows - rows % min(rows, rows_per_step)
        assert set(seen.tolist()) <= set(range(rows))


def test_what_an_epoch_leaves_out_changes_from_epoch_to_epoch():
    plan = Plan(10, 3, seed=0)
    assert len({int(*set(range(10)) - set(np.concatenate(steps(plan, epoch)))) for epoch in range(20)}) > 3


@pytest.mark.parametrize("mixing", ["mixed", "one source"])
def test_any_step_can_be_asked_first(mixing):
    plan = Plan(len(SOURCES), 4, seed=3, mixing=mixing, sources=SOURCES)
    walked = [plan.step(number).tolist() for number in range(40)]
    for number in (39, 0, 17, 18, 5):
        assert Plan(len(SOURCES), 4, 3, mixing, SOURCES).step(number).tolist() == walked[number]
        assert plan.step(number).tolist() == walked[number]


def test_seed_and_epoch_change_the_order():
    first, second = (np.concatenate(steps(Plan(100, 10, seed=seed), 0)).tolist() for seed in (0, 1))
    assert first != second and sorted(first) == sorted(second)
    assert first != np.concatenate(steps(Plan(100, 10, seed=0), 1)).tolist()


def test_one_source_fills_a_batch_and_batches_of_sources_are_shuffled():
    plan = Plan(len(SOURCES), 2, seed=0, mixing="one source", sources=SOURCES)
    batches = steps(plan, 0)
    assert all(len({SOURCES[row] for row in batch}) == 1 for batch in batches)
    assert sorted(SOURCES[batch[0]] for batch in batches) == ["a"] * 8 + ["b"] * 4 + ["c"]
    assert [SOURCES[batch[0]] for batch in batches] != ["a"] * 8 + ["b"] * 4 + ["c"]


def test_mixed_batches_mix_sources():
    plan = Plan(len(SOURCES), 14, seed=0, mixing="mixed", sources=SOURCES)
    assert all(len({SOURCES[row] for row in batch}) > 1 for batch in steps(plan, 0))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"mixing": "blended"}, "mixing is 'blended'; choose one of mixed, one source"),
        ({"rows_per_step": 0}, "no batch of 0 rows"),
        ({"rows": 0}, "can be made of 0 rows"),
        ({"mixing": "one source", "sources": ["a"] * 9}, "9 sources for 10 rows"),
        ({"mixing": "one source", "sources": list("aabbccddee"), "rows_per_step": 3}, "no source fills"),
    ],
)
def test_what_cannot_be_planned_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Plan(**{"rows": 10, "rows_per_step": 2, "seed": 0} | changes)
