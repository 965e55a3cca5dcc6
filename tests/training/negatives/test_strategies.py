"""Strategies against slow loops over everything; never a text of the query or of its positives."""

from dataclasses import replace

import numpy as np
import pytest

from cpack_lib.training.negatives import (
    STRATEGIES,
    Search,
    Window,
    at_random,
    below_margin,
    below_share,
    easy_window,
    given,
    guided,
    positive_aware,
    positive_margin,
    rank_window,
    search,
)
from cpack_lib.training.negatives.cells import new_cells
from tests.training.negatives.slow import order, slow, unit, unit_search, whole_search

WINDOWS = [
    {"first": 0, "last": 7, "count": 3},
    {"first": 5, "last": 31, "count": 4, "seed": 7},
    {"first": 3, "last": 9, "count": 8},
    {"first": 2, "last": 200, "count": 5},
    {"first": 4, "last": 12, "count": 4, "counted": "accepted"},
    {"first": 0, "last": 0, "count": 2},
]


def lines(found):
    """Rows and origins of each query, without empty places."""
    return [
        [(row, str(origin)) for row, origin in zip(*line, strict=True) if row >= 0]
        for line in zip(found.rows.tolist(), found.origins, strict=True)
    ]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("given_window", WINDOWS, ids=str)
@pytest.mark.parametrize("P", [1, 37, 300])
def test_each_is_what_a_slow_loop_chooses(name, given_window, P):
    wanted, window = whole_search(P=P, seed=P), Window(**given_window)
    found = STRATEGIES[name](wanted, window)
    rows, rejected = slow(name, wanted, window)
    assert lines(found) == rows
    if name != "given":
        assert found.rejected.tolist() == rejected
    assert ((found.rows < 0) == (found.origins == "")).all()


@pytest.mark.parametrize("name", ["rank window", "positive aware", "guided", "given"])
def test_queries_that_own_much_of_a_large_pool_still_find_the_rest(name):
    wanted = whole_search(Q=3, P=400, seed=5)
    own = [frozenset(range(390)), frozenset(range(400)), frozenset({int(wanted.positives[2])})]
    wanted, window = replace(wanted, own=own), Window(first=0, last=3, count=6)
    assert lines(STRATEGIES[name](wanted, window)) == slow(name, wanted, window)[0]
    assert not lines(STRATEGIES[name](wanted, window))[1]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_vectors_of_another_type_choose_the_same(name, kind):
    wanted, window = whole_search(P=300), Window(first=0, last=9, count=12)
    wanted = replace(wanted, cells=new_cells(wanted.pool, looked_at=3, texts_per_cell=60))
    guide = tuple(matrix.astype(kind) for matrix in wanted.guide)
    other = replace(
        wanted,
        queries=wanted.queries.astype(kind),
        pool=wanted.pool.astype(kind)[:, ::-1][:, ::-1],
        guide=guide,
    )
    assert lines(STRATEGIES[name](other, window)) == lines(STRATEGIES[name](wanted, window))


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_seed_and_the_query_decide_and_blocks_do_not(name, monkeypatch):
    wanted = whole_search(P=400)
    found, window = STRATEGIES[name](wanted, Window(2, 30, 3)), Window(2, 30, 3)
    some = np.array([17, 3, 8])
    alone = STRATEGIES[name](wanted.some(some), window)
    assert (alone.rows == found.rows[some]).all() and (alone.origins == found.origins[some]).all()
    for limit, size in {"QUERIES_PER_SEARCH": 7, "BYTES_OF_POOL": 900, "SCORES_AT_A_TIME": 100}.items():
        monkeypatch.setattr(search, limit, size)
    again, other = (STRATEGIES[name](wanted, Window(2, 30, 3, seed=seed)) for seed in (0, 1))
    assert (found.rows == again.rows).all() and (found.rows != other.rows).any()
    assert (found.rejected == again.rejected).all()


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("P", [1, 3, 60, 300])
def test_never_own_and_never_twice(name, P):
    wanted = unit_search(P=P)
    found = STRATEGIES[name](wanted, Window(first=2, last=9, count=4))
    assert found.rows.shape == found.origins.shape == (20, 4)
    for q, line in enumerate(lines(found)):
        rows = [row for row, _ in line]
        assert len(set(rows)) == len(rows) and not set(rows) & set(wanted.own[q].tolist())
        if name in ("rank window", "easy window", "at random", "given"):
            assert len(rows) == min(4, P - len(set(wanted.own[q].tolist())))


def test_every_candidate_of_a_window_has_the_same_chance():
    wanted = unit_search(Q=1, P=30)
    counts = np.zeros(30)
    for seed in range(2_000):
        counts[rank_window(wanted, Window(first=2, last=12, count=3, seed=seed)).rows[0]] += 1
    ranked, _ = order(wanted, 0)
    offered = [row for row in ranked[2:12] if row not in wanted.own[0]]
    assert counts.sum() == counts[offered].sum() == 6_000
    share = 3 / len(offered)
    spread = np.sqrt(2_000 * share * (1 - share))
    assert (np.abs(counts[offered] - 2_000 * share) < 4.5 * spread).all()


@pytest.mark.parametrize("P", [30, 300])
def test_random_ones_come_from_the_whole_pool_with_the_same_chance(P):
    wanted = unit_search(Q=1, P=P)
    counts = np.zeros(P)
    for seed in range(3_000):
        found = at_random(wanted, Window(count=5, seed=seed))
        assert (found.origins == "random").all()
        counts[found.rows[0]] += 1
    free = np.setdiff1d(np.arange(P), wanted.own[0])
    assert counts.sum() == counts[free].sum() == 15_000
    share = 5 / len(free)
    assert (np.abs(counts[free] - 3_000 * share) < 4.5 * np.sqrt(3_000 * share * (1 - share))).all()


def test_what_is_drawn_is_drawn_again_where_the_window_grows():
    wanted = unit_search(P=200)
    narrow, wide = (rank_window(wanted, Window(0, last, count=50)) for last in (20, 60))
    for near, far in zip(lines(narrow), lines(wide), strict=True):
        mined = [[row for row, origin in line if origin == "mined"] for line in (near, far)]
        assert [row for row in mined[1] if row in mined[0]] == mined[0][: len(set(mined[0]) & set(mined[1]))]


def test_guards_keep_their_promise_for_random_texts_too():
    wanted = unit_search(P=400)
    scores = wanted.queries @ wanted.pool.T
    positive = scores[np.arange(20), wanted.positives]
    for strategy, limit in ((positive_aware, 0.95 * positive), (positive_margin, positive - 0.05)):
        found = strategy(wanted, Window(first=0, last=2, count=5))
        assert (found.origins == "random").any()
        for q, line in enumerate(lines(found)):
            assert all(scores[q, row] <= limit[q] + 1e-6 for row, _ in line)


def test_huge_margins_leave_nothing_and_none_leave_everything():
    wanted, window = unit_search(P=400), Window(first=0, last=50, count=3)
    nothing = positive_margin(wanted, window, guard=below_margin(2.1))
    assert (nothing.rows == -1).all() and (nothing.origins == "").all()
    assert (
        nothing.rejected
        == [50 - sum(row in wanted.own[q] for row in order(wanted, q)[0][:50]) for q in range(20)]
    ).all()
    plain = rank_window(wanted, window)
    assert (positive_margin(wanted, window, guard=below_margin(-2.1)).rows == plain.rows).all()
    assert (positive_aware(wanted, window, guard=below_share(1e9)).rows == plain.rows).all()


@pytest.mark.parametrize("make", [below_share, below_margin])
def test_a_limit_that_is_no_number_is_refused(make):
    with pytest.raises(ValueError, match="nan; give a number"):
        make(float("nan"))


def test_a_negative_score_of_the_positive_lowers_the_limit():
    limits = below_share(0.9).limit(np.array([0.5, -0.5, 0.0]))
    np.testing.assert_allclose(limits, [0.45, -0.55, 0.0])


def test_easy_ones_are_the_farthest():
    wanted = unit_search(P=100)
    found = easy_window(wanted, Window(first=0, last=10, count=4))
    for q, line in enumerate(lines(found)):
        far = order(wanted, q)[0][::-1][:10]
        assert {row for row, _ in line} <= set(far) - set(wanted.own[q].tolist())
    hard = rank_window(wanted, Window(first=0, last=10, count=4))
    cosines = [
        np.einsum("qd,qnd->qn", wanted.queries, wanted.pool[each.rows]).mean() for each in (found, hard)
    ]
    assert cosines[0] < -0.2 < 0.2 < cosines[1]


def test_a_guide_knows_what_the_encoder_does_not():
    pool = np.eye(4, dtype=np.float32)
    queries = np.array([[0.9, 1.0, 0.2, 0.1]], dtype=np.float32)
    says = np.array([[1.0, 0.2, 2.0, 0.3]], dtype=np.float32)  # row 2 answers, too
    wanted = Search(queries, pool, np.array([0]), [{0}], [[]], guide=(says, pool))
    found = guided(wanted, Window(first=0, last=4, count=3))
    assert set(found.rows[0].tolist()) == {1, 3, -1} and found.rejected.tolist() == [1]
    with pytest.raises(ValueError, match="give the search a guide"):
        guided(replace(wanted, guide=None), Window(first=0, last=4, count=3))


def test_given_takes_partners_first_and_the_rest_by_another_strategy():
    wanted = unit_search(Q=4)
    free = [sorted(set(range(60)) - set(wanted.own[q].tolist())) for q in range(4)]
    partners = [[], free[1][:1], free[2][:3], [*wanted.own[3].tolist(), free[3][0], free[3][0]]]
    wanted = replace(wanted, partners=partners)
    found = given(wanted, Window(first=0, last=60, count=2))
    assert [line.tolist() for line in found.origins] == [
        ["mined", "mined"],
        ["given", "mined"],
        ["given", "given"],
        ["given", "mined"],
    ]
    assert found.rows[1, 0] == partners[1][0] and found.rows[3, 0] == free[3][0]
    assert set(found.rows[2]) <= set(partners[2]) and len(set(found.rows[2])) == 2
    assert not set(found.rows[1][1:]) & set(partners[1])
    assert (given(wanted, Window(count=2), rest=at_random).origins[0] == "random").all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_negatives_wanted_and_no_queries_asked(name):
    assert STRATEGIES[name](unit_search(), Window(count=0)).rows.shape == (20, 0)
    assert STRATEGIES[name](unit_search(Q=0), Window(count=2)).rows.shape == (0, 2)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_pool_in_which_everything_is_right(name):
    wanted = replace(unit_search(P=300), own=[range(300)] * 20)
    found = STRATEGIES[name](wanted, Window(count=2))
    assert (found.rows == -1).all() and not found.rejected.any()


@pytest.mark.parametrize(
    "window, told",
    [
        ({"first": 5, "last": 4}, "ranks 5 to 4"),
        ({"first": -1}, "ranks -1 to 210"),
        ({"count": -1}, "-1 negatives"),
        ({"counted": "some"}, "'some'; choose one of all, accepted"),
        ({"exact_up_to": -1}, "pools above -1 texts"),
        ({"looked_at": 0}, "in 0 cells"),
    ],
)
def test_a_window_that_is_none_is_refused(window, told):
    with pytest.raises(ValueError, match=told):
        Window(**window)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"positives": np.array([0, 7])}, "row 7 is none of the pool's 3"),
        ({"own": [{0}, {-1}]}, "row -1 is none of the pool's 3"),
        ({"partners": [[]]}, "1 partners for 2 queries"),
        ({"queries": np.array([[0, 1], [np.nan, 0]], dtype=np.float32)}, "query 1 has NaN"),
        ({"pool": np.array([[0, 1], [1, 0], [np.inf, 0]], dtype=np.float32)}, "text of the pool 2 has NaN"),
        ({"pool": unit(3, 4)}, r"queries \(2, 2\) and a pool \(3, 4\) do not fit"),
        (
            {"guide": (unit(2, 4), unit(2, 4))},
            r"queries \(2, 4\) and a pool \(2, 4\) do not fit; .* \(3, D\)",
        ),
        ({"guide": (unit(2, 4), np.full((3, 4), np.nan))}, "text of the pool 0 has NaN"),
    ],
)
def test_a_search_that_does_not_fit_is_refused(changes, told):
    sound = {"queries": unit(2, 2), "pool": unit(3, 2), "positives": np.array([0, 1])}
    sound |= {"own": [{0}, {1}], "partners": [[], []]}
    Search(**sound)
    with pytest.raises(ValueError, match=told):
        Search(**sound | changes)


def test_queries_without_a_pool_are_refused():
    with pytest.raises(ValueError, match="row 0 is none of the pool's 0"):
        Search(unit(1), unit(1)[:0], np.array([0]), [{0}], [[]])
