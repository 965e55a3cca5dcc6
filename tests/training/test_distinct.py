"""Texts kept out of each other's batches, against loops that compare every pair."""

from collections import Counter
from itertools import combinations
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.training import distinct
from cpack_lib.training.batches import Plan
from cpack_lib.training.distinct import NOTHING, compatible, new_marks, spread

KEYS = st.sampled_from([-(2**63), -1, 0, 1, 2, 2**63 - 1])


def alike(keys, one, other):
    """Whether two entries are the same row, or their rows have a text in common."""
    return one == other or bool(set(np.atleast_1d(keys[one])) & set(np.atleast_1d(keys[other])))


def collisions(batch, keys):
    """All pairs of a batch that are alike, the slow way."""
    return [pair for pair in combinations(batch.tolist(), 2) if alike(keys, *pair)]


def paired_keys(rows, pairs, seed):
    """Keys (rows, 2), different but for some pairs of places in whichever rows and columns."""
    places = np.random.default_rng(seed).permutation(2 * rows)
    keys = np.arange(2 * rows) * 7_919_777_111_333 - 2**62
    keys[places[:pairs]] = keys[places[pairs : 2 * pairs]]
    return keys.reshape(rows, 2)


@given(st.integers(1, 3).flatmap(lambda K: st.lists(st.lists(KEYS, min_size=K, max_size=K), min_size=1)))
def test_rows_share_a_mark_where_they_share_a_key_in_whichever_column(keys):
    keys = np.array(keys)
    marks = [[mark for mark in row if mark != NOTHING] for row in new_marks(keys).tolist()]
    assert all(len(set(row)) == len(row) for row in marks)  # no row collides with itself
    for one, other in combinations(range(len(keys)), 2):
        assert bool(set(marks[one]) & set(marks[other])) == alike(keys, one, other)
    assert len({row[0] for row in marks}) == len(keys)


@settings(deadline=None, max_examples=40)
@given(
    size=st.integers(2, 5),
    batches=st.floats(12, 20),
    share=st.floats(0, 0.25),
    sources=st.sampled_from([1, 2]),
    seed=st.integers(0, 2**32),
)
def test_no_text_stands_twice_in_a_batch_where_swaps_can_avoid_it(size, batches, share, sources, seed):
    rows = int(size * batches) * sources  # of each source more than half of all swaps are possible
    keys = paired_keys(rows, int(rows * share), seed)
    names = [str(row % sources) for row in range(rows)]
    plan = Plan(rows, size, seed, "one source" if sources > 1 else "mixed", names, keys=keys)
    for number in range(3 * plan.steps_per_epoch):
        assert not collisions(plan.step(number), keys)


@pytest.mark.parametrize("mixing", ["mixed", "one source"])
def test_swaps_leave_nothing_out_and_mix_no_sources(mixing):
    keys, names = paired_keys(101, 25, seed=0), ["a"] * 60 + ["b"] * 41
    plan = Plan(101, 7, 0, mixing, names, keys=keys)
    plain = Plan(101, 7, 0, mixing, names)
    found = {"a": [], "b": []} if mixing == "one source" else {"ab": []}
    for number in range(60):
        batch = plan.step(number)
        home = next(each for each in found if names[batch[0]] in each)
        assert {names[row] for row in batch} <= set(home)
        found[home] += batch.tolist()
    for home, entries in found.items():
        rows = sum(name in home for name in names)
        passes = [entries[i : i + rows] for i in range(0, len(entries) - rows, rows)]
        assert passes and all(len(set(each)) == rows for each in passes)
    assert any(collisions(plain.step(number), keys) for number in range(60))  # there was something to do
    assert not any(collisions(plan.step(number), keys) for number in range(60))


def test_a_batch_that_two_epochs_share_is_free_of_collisions():
    keys = paired_keys(65, 32, seed=1)
    plan, plain = (Plan(65, 10, 0, keys=each) for each in (keys, None))
    shared = [number for number in range(195) if number * 10 // 65 < (number * 10 + 9) // 65]
    assert len(shared) > 10 and any(collisions(plain.step(number), keys) for number in shared)
    assert not any(collisions(plan.step(number), keys) for number in shared)


def test_a_row_that_is_drawn_often_stands_in_a_batch_once():
    names = ["small"] * 10 + ["large"] * 90
    plan = Plan(100, 5, 0, "mixed", names, {"small": 1, "large": 3})  # each small row 2 to 3 times an epoch
    assert all(len(set(plan.step(number).tolist())) == 5 for number in range(100))


@pytest.mark.parametrize("mixing", ["mixed", "one source"])
@pytest.mark.parametrize("rows, size", [(1, 1), (4, 4), (7, 5), (20, 3)])
def test_collisions_that_nothing_avoids_stay(rows, size, mixing):
    plan = Plan(rows, size, 0, mixing, keys=np.zeros((rows, 2), dtype=np.int64))
    entries = np.concatenate([plan.step(number) for number in range(3 * rows)])
    assert all(sorted(entries[i : i + rows]) == list(range(rows)) for i in range(0, rows * 2, rows))


def test_what_nothing_avoids_holds_back_nothing_else():
    keys = paired_keys(80, 20, seed=2)
    told = np.hstack([keys, np.full((80, 1), 5)])  # a label that all rows share
    plan = Plan(80, 5, 0, keys=told)
    assert not any(collisions(plan.step(number), keys) for number in range(48))


def colliding(order, marks, batches):
    """The entries that share a mark with another of their batch, if a place for each with it exists."""
    entries = Counter(marks.ravel().tolist())
    hopeless = {NOTHING} | {mark for mark in entries if entries[mark] > batches[-1] + 1}
    return {
        entry
        for pair in combinations(range(len(order)), 2)
        if batches[pair[0]] == batches[pair[1]]
        and set(marks[order[pair[0]]].tolist()) & set(marks[order[pair[1]]].tolist()) - hopeless
        for entry in order[list(pair)].tolist()
    }


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), tries=st.sampled_from([1, 2, 64]))
def test_spreading_moves_what_may_move_and_lets_no_other_entry_collide(seed, tries):
    chance = np.random.default_rng(seed)
    entries, size = chance.integers(20, 60), chance.integers(2, 7)
    first, last = sorted(chance.integers(0, [10, entries + 1]))
    marks = np.stack([chance.integers(-1, 20, entries), chance.integers(20, 40, entries)], axis=1)
    batches = np.arange(entries) // size
    with patch.object(distinct, "TRIES", tries):
        order = spread(marks, batches, (first, last), chance)
    assert sorted(order) == list(range(entries))
    fixed = [*range(first), *range(last, entries)]
    assert order[fixed].tolist() == fixed
    assert colliding(order, marks, batches) <= colliding(np.arange(entries), marks, batches)


@given(seed=st.integers(0, 2**32))
def test_swaps_made_at_once_share_no_entry_and_bring_no_mark_twice(seed):
    chance = np.random.default_rng(seed)
    swaps = chance.permuted(np.tile(np.arange(40), (8, 1)), axis=1)[:, :2]
    after = chance.permuted(np.tile(np.arange(60), (8, 1)), axis=1)[:, :4].reshape(8, 2, 2)
    after[after < 20] = NOTHING
    made = compatible(swaps, after)
    brought = after[made][after[made] != NOTHING].tolist()
    assert made[0] and len(set(brought)) == len(brought)
    assert len(set(swaps[made].ravel().tolist())) == 2 * made.sum()
