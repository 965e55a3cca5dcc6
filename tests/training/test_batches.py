"""The plan: a pure function of seed and step, which leaves nothing out."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.training.batches import MIXINGS, Plan, shared_out
from cpack_lib.work.files import ROOT

TASKS = ["x"] * 10 + ["y"] * 9 + ["x"] * 9 + ["z"]  # of the rows of SOURCES: a has two tasks, so has b
SOURCES = ["a"] * 17 + ["b"] * 9 + ["c"] * 2 + ["d"]
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 0.5, "d": 0.2}
SIZES = [(1, 1), (1, 5), (5, 100), (5, 5), (5, 4), (7, 5), (10, 3), (12, 4), (13, 1), (50, 7)]


def walk(plan, steps):
    """The first batches of a plan."""
    return [plan.step(number).tolist() for number in range(steps)]


def flat(batches):
    """All entries of some batches."""
    return [row for batch in batches for row in batch]


def cut(entries, length):
    """Entries in pieces of a length, without an incomplete last one."""
    return [entries[i : i + length] for i in range(0, len(entries) - length + 1, length)]


def name(row):
    """The source of a row."""
    return SOURCES[row]


@pytest.mark.parametrize("rows, rows_per_step", SIZES)
def test_every_pass_holds_each_row_once_and_every_batch_is_whole(rows, rows_per_step):
    size = min(rows, rows_per_step)
    batches = walk(Plan(rows, rows_per_step, seed=0), 6 * rows // size)
    assert {len(batch) for batch in batches} == {size}
    passes = cut(flat(batches), rows)
    assert len(passes) >= 5 and all(sorted(each) == list(range(rows)) for each in passes)


@pytest.mark.parametrize("rows, rows_per_step", SIZES)
def test_no_row_stands_twice_in_a_batch_that_two_epochs_share(rows, rows_per_step):
    batches = walk(Plan(rows, rows_per_step, seed=1), 60)
    assert all(len(set(batch)) == len(batch) for batch in batches)


def test_a_step_tells_its_epoch():
    plan = Plan(10, 3, seed=0)
    assert plan.steps_per_epoch == 3
    assert [plan.epoch(number) for number in range(11)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3]


@pytest.mark.parametrize("rows_per_step", [1, 2, 4, 100])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_one_source_fills_a_batch_and_passes_over_it_hold_each_row_once(rows_per_step, weights):
    plan = Plan(len(SOURCES), rows_per_step, 0, "one source", SOURCES, weights)
    batches = walk(plan, 300)
    assert all(len(set(map(name, batch))) == 1 for batch in batches)
    for source, rows in Counter(SOURCES).items():
        own = [batch for batch in batches if name(batch[0]) == source]
        assert {len(batch) for batch in own} == {min(rows, rows_per_step)}
        passes = cut(flat(own), rows)
        assert passes and all(sorted(map(name, each)) == [source] * rows for each in passes)
        assert all(len(set(each)) == rows for each in passes)


@pytest.mark.parametrize("rows_per_step", [1, 2, 4, 100])
@pytest.mark.parametrize("sampled, weights", [("source", None), ("source", WEIGHTS), ("task", None)])
def test_one_task_fills_a_batch_from_all_its_sources(rows_per_step, sampled, weights):
    options = {"mixing": "one task", "sources": SOURCES, "tasks": TASKS, "weights": weights}
    plan = Plan(len(SOURCES), rows_per_step, 0, **options, sampled=sampled)
    batches = walk(plan, 300)
    assert all(len({TASKS[row] for row in batch}) == 1 for batch in batches)
    assert weights or all(len(set(batch)) == len(batch) for batch in batches)
    for task, rows in Counter(TASKS).items():
        own = [batch for batch in batches if TASKS[batch[0]] == task]
        assert {len(batch) for batch in own} == {min(rows, rows_per_step)}
        passes = cut(flat(own), rows)
        if weights is None:  # each source has the share of its rows: a pass holds each row once
            assert passes and all(sorted(each) == rows_of(task) for each in passes)
        else:
            seen = Counter(map(name, flat(passes)))
            shares = {s: WEIGHTS[s] * n / SOURCES.count(s) for s, n in strata_of(task).items()}
            assert all(
                seen[s] / seen.total() == pytest.approx(shares[s] / sum(shares.values()), abs=0.06)
                for s in shares
            )


def rows_of(task):
    """The rows of a task."""
    return [row for row, each in enumerate(TASKS) if each == task]


def strata_of(task):
    """How many rows each source has of a task."""
    return Counter(SOURCES[row] for row in rows_of(task))


@pytest.mark.parametrize("mixing", MIXINGS)
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sampled, labels", [("source", SOURCES), ("task", TASKS)])
def test_shares_grow_as_rows_to_a_power(mixing, power, sampled, labels):
    options = {"mixing": mixing, "sources": SOURCES * 20, "tasks": TASKS * 20, "sampled": sampled}
    plan = Plan(len(SOURCES) * 20, 10, 0, **options, power=power)
    seen = Counter(labels[row % len(labels)] for row in flat(walk(plan, 6 * len(SOURCES) * 2)))
    weights = {label: rows**power for label, rows in Counter(labels).items()}
    for label, weight in weights.items():
        expected = weight / sum(weights.values())
        assert seen[label] / seen.total() == pytest.approx(expected, abs=0.015)


def test_weights_may_be_told_of_tasks():
    options = {"sources": SOURCES * 10, "tasks": TASKS * 10, "sampled": "task"}
    plan = Plan(len(SOURCES) * 10, 10, 0, **options, weights={"x": 1, "y": 3, "z": 0})
    seen = Counter((TASKS[row % 29], SOURCES[row % 29]) for row in flat(walk(plan, 29 * 8)))
    by_task = Counter({task: sum(n for (t, _), n in seen.items() if t == task) for task in "xyz"})
    assert by_task["z"] == 0 and by_task["y"] / by_task.total() == pytest.approx(0.75, abs=0.01)
    of_y = strata_of("y")  # within a task, sources keep the shares of their rows
    assert seen["y", "a"] / by_task["y"] == pytest.approx(of_y["a"] / of_y.total(), abs=0.02)


@pytest.mark.parametrize("mixing", MIXINGS)
def test_a_task_without_a_share_is_left_out(mixing):
    options = {"mixing": mixing, "sources": SOURCES, "tasks": TASKS, "sampled": "task"}
    plan = Plan(len(SOURCES), 4, 0, **options, weights={"x": 0, "y": 1, "z": 1})
    assert {TASKS[row] for row in flat(walk(plan, 60))} == {"y", "z"}


@pytest.mark.parametrize("rows_per_step", [2, 4, 12])
def test_each_epoch_completes_the_batches_its_quotas_fill(rows_per_step):
    plan = Plan(len(SOURCES), rows_per_step, 0, "one source", SOURCES, WEIGHTS)
    batches, number = walk(plan, 200), 0
    quotas = dict(zip("abcd", shared_out(len(SOURCES), Counter(SOURCES), WEIGHTS), strict=True))
    waiting = Counter()  # entries that wait for a whole batch, counted one by one
    for epoch in range(6):
        due = Counter()
        for source, quota in quotas.items():
            for _ in range(quota):
                waiting[source] += 1
                if waiting[source] == min(rows_per_step, SOURCES.count(source)):
                    due[source] += 1
                    waiting[source] = 0
        steps = range(number, number + due.total())
        assert [plan.epoch(step) for step in steps] == [epoch] * len(steps)
        assert Counter(name(batches[step][0]) for step in steps) == due
        number += len(steps)


def test_batches_of_sources_are_shuffled_anew_in_each_epoch():
    plan = Plan(100, 5, 0, "one source", ["a"] * 50 + ["b"] * 50)
    orders = cut([row < 50 for row, *_ in walk(plan, 100)], plan.steps_per_epoch)
    assert {sum(order) for order in orders} == {10}
    assert len({tuple(order) for order in orders}) == 5 and sorted(orders[0]) != orders[0]


def test_mixed_batches_mix_sources():
    plan = Plan(len(SOURCES), 14, seed=0, mixing="mixed", sources=SOURCES)
    assert all(len(set(map(name, batch))) > 1 for batch in walk(plan, 20))


@settings(deadline=None, max_examples=25)
@given(
    rows_per_step=st.integers(1, 35),
    mixing=st.sampled_from(MIXINGS),
    weights=st.sampled_from([None, WEIGHTS]),
    keys=st.sampled_from([None, np.arange(29) % 13]),
    numbers=st.lists(st.integers(0, 39), min_size=1, max_size=8),
)
def test_any_step_can_be_asked_first(rows_per_step, mixing, weights, keys, numbers):
    arguments = (len(SOURCES), rows_per_step, 3, mixing, SOURCES, weights, keys, TASKS)
    walked, jumping = walk(Plan(*arguments), 40), Plan(*arguments)
    assert Plan(*arguments).step(numbers[0]).tolist() == walked[numbers[0]]
    assert [jumping.step(number).tolist() for number in numbers] == [walked[number] for number in numbers]


def test_another_process_makes_the_same_plan():
    program = (
        "from cpack_lib.training.batches import Plan\n"
        "names, weights = list('abcd') * 7 + ['e'], dict.fromkeys('abcde', 1)\n"
        "tasks = list('xy') * 14 + ['z']\n"
        "for mixing in ('one source', 'one task'):\n"
        "    plan = Plan(29, 4, 7, mixing, names, weights, [5, *range(28)], tasks)\n"
        "    print([plan.step(number).tolist() for number in range(30)])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": salt},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for salt in "12"
    }
    assert len(told) == 1 and "], [" in told.pop()


@pytest.mark.parametrize("mixing", MIXINGS)
@pytest.mark.parametrize("rows_per_step", [10, 60, 100])
def test_seed_and_epoch_change_the_order(rows_per_step, mixing):
    plans = [Plan(100, rows_per_step, seed, mixing, tasks=["x"] * 100) for seed in (0, 1)]
    orders = [cut(flat(walk(plan, 30)), 100)[:3] for plan in plans]
    assert len({tuple(each) for order in orders for each in order}) == 6


def test_sources_change_places_from_epoch_to_epoch():
    epochs = cut(flat(walk(Plan(len(SOURCES), 3, 0, "mixed", SOURCES), 50)), len(SOURCES))
    assert len({tuple(map(name, epoch)) for epoch in epochs}) == len(epochs)


def test_weights_tell_what_an_epoch_holds():
    plan = Plan(len(SOURCES), 4, 0, "mixed", SOURCES, WEIGHTS)
    quotas = dict(zip("abcd", shared_out(len(SOURCES), Counter(SOURCES), WEIGHTS), strict=True))
    epochs = cut(flat(walk(plan, 200)), len(SOURCES))
    assert all(Counter(map(name, epoch)) == {s: q for s, q in quotas.items() if q} for epoch in epochs)
    for passed in range(1, len(epochs)):
        seen = Counter(flat(epochs[:passed]))
        for row, source in enumerate(SOURCES):
            times = passed * quotas[source] / SOURCES.count(source)
            assert seen[row] in (int(times), -int(-times // 1)), (row, passed)


@pytest.mark.parametrize("mixing", MIXINGS)
def test_in_the_long_run_sources_have_the_shares_of_their_weights(mixing):
    sources = ["a"] * 300 + ["b"] * 80 + ["c"] * 20
    tasks = ["x", "y"] * 200
    plan = Plan(400, 25, 0, mixing, sources, {"a": 1, "b": 0, "c": 3}, tasks=tasks)
    seen = Counter(sources[row] for row in flat(walk(plan, 400)))
    assert "b" not in seen
    assert seen["c"] / seen.total() == pytest.approx(0.75, abs=0.01)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9)), min_size=1, max_size=6))
def test_quotas_go_one_by_one_to_the_source_that_lacks_most(sources):
    sizes = {str(i): size for i, (size, _) in enumerate(sources)}
    weights = {str(i): weight for i, (_, weight) in enumerate(sources)}
    if not any(weights.values()):
        weights["0"] = 1
    rows, total = sum(sizes.values()), sum(weights.values())
    expected = dict.fromkeys(sizes, 0)
    for _ in range(rows):  # lacking, in units of 1 / total: whole numbers
        expected[max(sizes, key=lambda each: rows * weights[each] - total * expected[each])] += 1
    assert shared_out(rows, sizes, weights) == list(expected.values())
    assert shared_out(rows, sizes, None) == list(sizes.values())


def test_sources_without_rows_enough_for_a_share_get_none():
    assert shared_out(10, {"a": 5, "b": 5}, {"a": 1.0, "b": 0.01}) == [10, 0]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"mixing": "blended"}, "mixing is 'blended'; choose one of mixed, one source, one task"),
        ({"sampled": "row"}, "sampled is 'row'; choose one of source, task"),
        ({"mixing": "one task"}, "mixing is 'one task' and sampled 'source', but no row names its task"),
        ({"sampled": "task"}, "mixing is 'mixed' and sampled 'task', but no row names its task"),
        ({"sampled": "task", "tasks": ["x"] * 9}, "9 tasks for 10 rows; name one for each row"),
        (
            {"sampled": "task", "tasks": ["x"] * 10, "weights": {"a": 1}},
            "a weight is given to 'a', which is no task; choose from x",
        ),
        ({"rows_per_step": 0}, "no batch of 0 rows can be made of 10 rows; give 1 or more"),
        ({"rows": 0}, "no batch of 2 rows can be made of 0 rows; give 1 or more"),
        ({"sources": ["a"] * 9}, "9 sources for 10 rows; name one for each row"),
        ({"keys": np.arange(9)}, r"keys have the shape \(9,\); it has to be \(10,\) or \(10, K\)"),
        (
            {"weights": {"a": 1, "b": 1, "x": 1}},
            "a weight is given to 'x', which is no source; choose from a, b",
        ),
        ({"weights": {"a": 1}}, "the source 'b' has no weight; give it one, 0 to leave it out"),
        ({"weights": {"a": 1, "b": -2}}, "the weight of 'b' is -2; it has to be 0 or a number above"),
        (
            {"weights": {"a": 1, "b": float("nan")}},
            "the weight of 'b' is nan; it has to be 0 or a number above",
        ),
        ({"weights": {"a": 0, "b": 0}}, "the weight of every source is 0; give one of a, b more"),
    ],
)
def test_what_cannot_be_planned_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Plan(**{"rows": 10, "rows_per_step": 2, "seed": 0, "sources": list("aabbabbbab")} | changes)
