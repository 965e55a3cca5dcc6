"""The search against sorting everything: blocks, ties, cells; lists of unequal length; chance."""

import numpy as np
import pytest

from cpack_lib.training.negatives import mine, search
from cpack_lib.training.negatives.cells import new_cells, recall
from cpack_lib.training.negatives.chance import lots, random_rows, without_repeats
from cpack_lib.training.negatives.ragged import Ragged
from cpack_lib.training.negatives.search import WORST, packed, products, unpacked
from tests.training.negatives.slow import lot, order, unit, unit_search, whole_search


@pytest.mark.parametrize("Q, P, D", [(1, 1, 1), (23, 60, 5), (7, 513, 3), (130, 211, 2)])
@pytest.mark.parametrize("first, last", [(0, 1), (3, 11), (10, 210), (0, 1000)])
@pytest.mark.parametrize("small", [False, True])
def test_mining_is_sorting_everything_also_where_scores_are_equal(Q, P, D, first, last, small, monkeypatch):
    if small:
        for limit, size in {"QUERIES_PER_SEARCH": 5, "BYTES_OF_POOL": 28 * D, "SCORES_AT_A_TIME": 99}.items():
            monkeypatch.setattr(search, limit, size)
    wanted = whole_search(Q, P, D)
    rows, scores = mine(wanted.queries, wanted.pool, first, last)
    assert rows.shape == scores.shape == (Q, max(0, min(last, P) - first))
    for q in range(Q):
        ranked, exact = order(wanted, q)
        assert rows[q].tolist() == ranked[first:last]
        assert scores[q].tolist() == exact[ranked[first:last]].tolist()


def test_mining_unit_vectors_is_sorting_everything():
    wanted = unit_search(Q=50, P=700)
    rows, scores = mine(wanted.queries, wanted.pool, 3, 40)
    for q in range(50):
        assert rows[q].tolist() == order(wanted, q)[0][3:40]
        np.testing.assert_allclose(scores[q], wanted.pool[rows[q]] @ wanted.queries[q], rtol=1e-5)


@pytest.mark.parametrize(
    "P, first, last, K", [(5, 0, 99, 5), (5, 3, 99, 2), (5, 5, 9, 0), (5, 2, 2, 0), (0, 0, 9, 0)]
)
def test_the_window_ends_where_the_pool_ends(P, first, last, K):
    rows, scores = mine(unit(4), unit(9)[:P], first, last)
    assert rows.shape == scores.shape == (4, K)
    assert mine(unit(4)[:0], unit(9), 0, 3)[0].shape == (0, 3)


def test_a_vector_that_is_no_number_is_named():
    broken = unit(5)
    broken[3, 2] = np.nan
    with pytest.raises(ValueError, match="query 3 has NaN"):
        mine(broken, unit(9), 0, 3)
    with pytest.raises(ValueError, match="text of the pool 3 has NaN"):
        mine(unit(9), broken, 0, 3)


def test_keys_are_ordered_as_scores_and_rows_are():
    scores = np.float32([-np.inf, -2.5, -1e-30, -0.0, 0.0, 1e-30, 0.7, 0.7, np.inf])
    rows = np.array([4, 2**32 - 1, 0, 7, 3, 5, 1, 0, 9])
    keys = packed(scores, rows)
    wanted = sorted(range(9), key=lambda i: (-scores[i], rows[i]))
    assert np.argsort(keys).tolist() == wanted
    back, again = unpacked(np.append(keys, WORST))
    assert back.tolist() == [*rows.tolist(), -1] and again[:-1].tolist() == scores.tolist()
    assert again[-1] == -np.inf


def test_products_are_those_of_each_query_with_its_own_rows(monkeypatch):
    monkeypatch.setattr(search, "SCORES_AT_A_TIME", 50)
    queries, pool, asked = unit(9), unit(30, seed=1), np.array([7, 0, 7, 3])
    rows = np.random.default_rng(0).integers(30, size=(4, 6))
    wanted = [[queries[q] @ pool[row] for row in line] for q, line in zip(asked, rows, strict=True)]
    np.testing.assert_allclose(products(queries, pool, asked, rows), wanted, atol=1e-6)
    assert products(queries, pool, asked, rows[:, :0]).shape == (4, 0)


def test_cells_that_are_all_looked_at_find_everything():
    wanted = whole_search(Q=40, P=500, D=6)
    cells = new_cells(wanted.pool, looked_at=99, texts_per_cell=50)
    assert len(cells.centres) == 10 and sorted(cells.rows.tolist()) == list(range(500))
    for found, exact in zip(
        mine(wanted.queries, wanted.pool, 2, 33, cells), mine(wanted.queries, wanted.pool, 2, 33), strict=True
    ):
        assert (found == exact).all()
    assert recall(wanted.queries, wanted.pool, 2, 33, cells) == 1.0


def test_the_nearest_cells_are_looked_at_and_no_others():
    wanted = unit_search(Q=30, P=800)
    cells = new_cells(wanted.pool, looked_at=2, texts_per_cell=100)
    rows, scores = mine(wanted.queries, wanted.pool, 0, 300, cells)
    cell = np.empty(800, dtype=int)
    cell[cells.rows] = np.repeat(np.arange(8), np.diff(cells.starts))
    assert (cell == (wanted.pool @ cells.centres.T).argmax(axis=1)).all()
    for q in range(30):
        nearest = np.argsort(-(cells.centres @ wanted.queries[q]))[:2]
        held = [row for row in order(wanted, q)[0] if cell[row] in nearest][:300]
        assert rows[q].tolist() == held + [-1] * (300 - len(held))
        assert (scores[q][len(held) :] == -np.inf).all()


def test_recall_is_the_share_that_is_found():
    wanted = unit_search(Q=30, P=800)
    cells = new_cells(wanted.pool, looked_at=2, texts_per_cell=100)
    exact, found = (
        mine(wanted.queries, wanted.pool, 3, 20)[0],
        mine(wanted.queries, wanted.pool, 0, 20, cells)[0],
    )
    hits = [len(set(a) & set(b)) / 17 for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
    assert recall(wanted.queries, wanted.pool, 3, 20, cells) == pytest.approx(np.mean(hits))
    assert 0.2 < np.mean(hits) < 1
    more = new_cells(wanted.pool, looked_at=5, texts_per_cell=100)
    assert recall(wanted.queries, wanted.pool, 3, 20, more) > np.mean(hits)
    for cells, last in ((None, 20), (more, 3)):
        assert recall(wanted.queries, wanted.pool, 3, last, cells) == 1.0


def test_the_seed_decides_the_cells():
    pool = unit(900)
    one, two, other = (new_cells(pool, seed, texts_per_cell=90) for seed in (3, 3, 4))
    assert (one.rows == two.rows).all() and (one.centres == two.centres).all()
    assert not np.array_equal(one.rows, other.rows)


def test_fewer_texts_than_a_cell_are_one_cell():
    cells = new_cells(unit(3))
    assert len(cells.centres) == 1 and mine(unit(2), unit(3), 0, 5, cells)[0].shape == (2, 3)


LISTS = [[4, 2], [], [7], [2, 2, 9], []]


def test_ragged_lists_are_the_lists():
    ragged = Ragged.of(LISTS)
    assert len(ragged) == 5 and ragged.lengths.tolist() == [2, 0, 1, 3, 0]
    assert [ragged[q].tolist() for q in range(5)] == LISTS and Ragged.of(ragged) is ragged
    some = np.array([3, 1, 0, 3])
    assert [ragged.some(some)[i].tolist() for i in range(4)] == [LISTS[q] for q in some]
    joined = ragged.joined(Ragged.of([[1], [2], [], [3], [4, 5]]))
    assert [joined[q].tolist() for q in range(5)] == [[4, 2, 1], [2], [7], [2, 2, 9, 3], [4, 5]]
    assert len(Ragged.of([])) == 0 and Ragged.of([[], []]).pairs(np.array([1, 0]))[1].size == 0


def test_ragged_lists_fill_lines():
    assert Ragged.of(LISTS).padded(-1).tolist() == [[4, 2, -1], [-1] * 3, [7, -1, -1], [2, 2, 9], [-1] * 3]
    assert Ragged.of([]).padded(-1).shape == (0, 0)


def test_ragged_lists_know_what_they_hold():
    ragged, chance = Ragged.of(LISTS), np.random.default_rng(0)
    some, asked = np.array([3, 1, 0, 2, 3]), chance.integers(-1, 12, size=(5, 40))
    held = ragged.hold(some, asked)
    assert held.tolist() == [[row in LISTS[q] for row in line] for q, line in zip(some, asked, strict=True)]
    assert held.any() and not Ragged.of([[], []]).hold(np.array([0, 1]), asked[:2]).any()
    assert ragged.hold(some, asked[:, :0]).shape == (5, 0)


def test_lots_are_those_of_whole_numbers_and_differ():
    queries, rows = np.array([0, 5, 2**40]), np.array([[0, 1], [7, 2**31], [3, 3]])
    for seed in (0, 3, 2**63):
        found = lots(seed, 2, queries, rows)
        wanted = [
            [lot(seed, 2, q, row) for row in line]
            for q, line in zip(queries.tolist(), rows.tolist(), strict=True)
        ]
        assert found.tolist() == wanted
    many = lots(0, 0, np.arange(300), np.arange(300))
    assert len(np.unique(many)) == many.size
    assert abs((many >> np.uint64(63)).mean() - 0.5) < 0.01


def test_a_random_order_holds_each_row_once():
    orders = random_rows(3, np.arange(50), looks=10, size=200)
    assert (np.sort(orders, axis=1) == np.arange(200)).all() and len(np.unique(orders[:, 0])) > 30
    drawn = random_rows(3, np.arange(50), looks=100, size=300)
    assert drawn.shape == (50, 100) and (drawn == -1).any()
    for line in drawn:
        assert len(set(line[line >= 0].tolist())) == (line >= 0).sum()
    assert (random_rows(3, np.arange(50), looks=20, size=300) == drawn[:, :20]).all()


def test_a_repeat_is_struck_out_and_the_first_stays():
    assert without_repeats(np.array([[3, 1, 3, 1, 2, 3]])).tolist() == [[3, 1, -1, -1, 2, -1]]
