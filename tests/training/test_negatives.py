"""Negatives against loops that look at every pair; never a text of the query or of its positives."""

import numpy as np
import polars as pl
import pytest

from cpack_lib.training import negatives
from cpack_lib.training.negatives import (
    STRATEGIES,
    Search,
    Window,
    at_random,
    given,
    mine,
    positive_aware,
    rank_window,
    write_groups,
)

MINED = {name: choose for name, choose in STRATEGIES.items() if name != "given"}


def unit(rows, seed=0):
    """Random vectors of length one: (rows, 16)."""
    found = np.random.default_rng(seed).normal(size=(rows, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def new_search(Q=20, P=60, seed=0):
    """Queries near their positives; each owns one to three rows of the pool."""
    chance = np.random.default_rng(seed)
    pool = unit(P, seed)
    positives = chance.integers(P, size=Q)
    queries = pool[positives] + 0.5 * unit(Q, seed + 1)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    own = [frozenset({int(row), *chance.integers(P, size=2).tolist()}) for row in positives]
    return Search(queries, pool, positives, own, partners=[[]] * Q)


def ranked(search, q):
    """The pool's rows from the best to the worst, the slow way."""
    return sorted(range(len(search.pool)), key=lambda row: -float(search.pool[row] @ search.queries[q]))


def test_mining_is_sorting_everything():
    search = new_search()
    rows, scores = mine(search.queries, search.pool, 3, 11)
    for q in range(len(rows)):
        assert rows[q].tolist() == ranked(search, q)[3:11]
        np.testing.assert_allclose(scores[q], search.pool[rows[q]] @ search.queries[q], rtol=1e-5)


@pytest.mark.parametrize(
    "P, first, last, K", [(5, 0, 99, 5), (5, 3, 99, 2), (5, 5, 9, 0), (5, 2, 2, 0), (0, 0, 9, 0)]
)
def test_the_window_ends_where_the_pool_ends(P, first, last, K):
    rows, scores = mine(unit(4), unit(9)[:P], first, last)
    assert rows.shape == scores.shape == (4, K)
    assert mine(unit(4)[:0], unit(9), 0, 3)[0].shape == (0, 3)


def test_a_rank_window_offers_its_ranks_without_the_querys_own():
    search, window = new_search(), {"first": 5, "last": 15}
    for q in range(20):
        offered = set(ranked(search, q)[5:15]) - search.own[q]
        found = rank_window(search, Window(**window, count=len(offered))).rows[q]
        assert set(found.tolist()) == offered


def test_positive_aware_leaves_out_what_scores_too_much():
    search = new_search()
    scores = search.queries @ search.pool.T
    found = positive_aware(search, Window(first=0, last=60, count=60))
    for q in range(20):
        limit = 0.95 * scores[q, search.positives[q]]
        offered = {row for row in range(60) if scores[q, row] <= limit} - search.own[q]
        assert set(found.rows[q].tolist()) - {-1} == offered


def test_positive_aware_keeps_its_promise_for_random_texts_too():
    search = new_search()
    scores = search.queries @ search.pool.T
    found = positive_aware(search, Window(first=0, last=2, count=5))
    assert (found.origins == "random").any()
    for q in range(20):
        rows = [row for row in found.rows[q].tolist() if row >= 0]
        assert all(scores[q, row] <= 0.95 * scores[q, search.positives[q]] for row in rows)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("P", [1, 3, 60])
def test_never_own_never_twice_and_all_there_is_where_a_pool_is_small(name, P):
    search = new_search(P=P)
    found = STRATEGIES[name](search, Window(first=2, last=9, count=4))
    assert found.rows.shape == found.origins.shape == (20, 4)
    assert ((found.rows < 0) == (found.origins == "")).all()
    for q in range(20):
        rows = [row for row in found.rows[q].tolist() if row >= 0]
        assert len(set(rows)) == len(rows) and not set(rows) & search.own[q]
        if name != "positive aware":
            assert len(rows) == min(4, P - len(search.own[q]))


def test_too_few_in_the_window_are_topped_up_with_random_ones_and_told():
    search = new_search()
    found = rank_window(search, Window(first=0, last=3, count=6))
    for q in range(20):
        offered = set(ranked(search, q)[:3]) - search.own[q]
        assert set(found.rows[q][found.origins[q] == "mined"].tolist()) == offered
        assert (found.origins[q] == "random").sum() == 6 - len(offered)


def test_random_ones_come_from_the_whole_pool():
    search = new_search(Q=1)
    drawn = [at_random(search, Window(count=5, seed=seed)) for seed in range(200)]
    assert set(np.concatenate([found.rows[0] for found in drawn])) == set(range(60)) - search.own[0]
    assert all((found.origins == "random").all() for found in drawn)


def test_given_takes_partners_first_and_mines_the_rest():
    search = new_search(Q=4)
    free = [sorted(set(range(60)) - own) for own in search.own]
    partners = [[], free[1][:1], free[2][:3], [*search.own[3], free[3][0], free[3][0]]]
    search = Search(search.queries, search.pool, search.positives, search.own, partners)
    found = given(search, Window(first=0, last=60, count=2))
    assert [line.tolist() for line in found.origins] == [
        ["mined", "mined"],
        ["given", "mined"],
        ["given", "given"],
        ["given", "mined"],
    ]
    assert found.rows[1, 0] == partners[1][0] and found.rows[3, 0] == free[3][0]
    assert set(found.rows[2]) <= set(partners[2]) and len(set(found.rows[2])) == 2
    assert not set(found.rows[1][1:]) & set(partners[1])
    assert (given(search, Window(count=2), rest=at_random).origins[0] == "random").all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_seed_decides_and_blocks_do_not(name, monkeypatch):
    search = new_search()
    choose = STRATEGIES[name]
    found = choose(search, Window(first=2, last=30, count=3))
    monkeypatch.setattr(negatives, "QUERIES_PER_SEARCH", 7)
    again, other = (choose(search, Window(first=2, last=30, count=3, seed=seed)) for seed in (0, 1))
    assert (found.rows == again.rows).all() and (found.rows != other.rows).any()


@pytest.mark.parametrize("window", [{"first": 5, "last": 4}, {"first": -1}, {"count": -1}])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(ValueError, match="cannot be chosen"):
        Window(**window)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_negatives_wanted_and_no_queries_asked(name):
    assert STRATEGIES[name](new_search(), Window(count=0)).rows.shape == (20, 0)
    assert STRATEGIES[name](new_search(Q=0), Window(count=2)).rows.shape == (0, 2)


ROWS = [  # query, pos, neg, source, task
    ("首都是哪里", ["北京", "北京市"], ["上海"], "地理", "retrieval"),
    ("首都 是哪里", ["北 京"], [], "地理", "retrieval"),  # the same query, and the same positive
    ("最长的河", ["长江"], ["黄河", "长江"], "地理", "search"),
    ("雨停了", ["雨不下了"], ["雨还在下"], "句子", "nli"),
    ("雨不下了", ["雨停了"], [], "句子", "sts"),
    ("没有答案", [], ["什么"], "句子", "sts"),
    ("一", ["壹"], [], "孤行", "retrieval"),
]


def table(rows):
    """Labelled rows as a table."""
    types = {"query": pl.String, "pos": pl.List(pl.String), "neg": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=types | {"source": pl.String, "task": pl.String}, orient="row")


def encode(texts):
    """A vector for each text, by its characters."""
    found = np.zeros((len(texts), 64), dtype=np.float32)
    for i, text in enumerate(texts):
        for character in text:
            found[i, ord(character) % 64] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def written(tmp_path):
    """The groups of ROWS, two negatives each, and the counts."""
    path = tmp_path / "groups.parquet"
    window = Window(first=0, last=9, count=2)
    counts = write_groups(table(ROWS), encode, path, window=window, instruction="检索：")
    return pl.read_parquet(path), counts


def test_one_group_for_each_query_and_positive(written):
    groups, _ = written
    assert [(row["query"], row["passages"][0]) for row in groups.iter_rows(named=True)] == [
        ("检索：首都是哪里", "北京"),
        ("检索：首都是哪里", "北京市"),
        ("检索：首都 是哪里", "北京"),
        ("检索：最长的河", "长江"),
        ("雨停了", "雨不下了"),
        ("雨不下了", "雨停了"),
        ("检索：一", "壹"),
    ]


def test_negatives_come_from_the_source_and_never_say_what_is_right(written):
    groups, _ = written
    negatives_of = {row[0]: set(row[1][1:]) for row in groups.select("query", "passages").iter_rows()}
    assert negatives_of["检索：首都是哪里"] == {"上海", "长江"} or "黄河" in negatives_of["检索：首都是哪里"]
    assert not negatives_of["检索：首都是哪里"] & {"北京", "北京市"}
    assert not negatives_of["检索：首都 是哪里"] & {"北京", "北京市"}  # known from the other row
    assert not negatives_of["检索：最长的河"] & {"长江"}  # a positive that is also labelled 0
    assert negatives_of["雨停了"] == {"雨还在下"} and negatives_of["雨不下了"] == {"雨还在下"}
    assert negatives_of["检索：一"] == set()


def test_how_negatives_were_made_is_counted(written):
    groups, counts = written
    by_task = {(row["source"], row["task"]): row for row in counts.iter_rows(named=True)}
    nli, sts = by_task["句子", "nli"], by_task["句子", "sts"]
    assert (nli["given"], nli["mined"], nli["missing"]) == (1, 0, 1)
    assert (sts["groups"], sts["mined"], sts["missing"], sts["without_positive"]) == (1, 1, 1, 1)
    assert by_task["地理", "retrieval"] == {
        "source": "地理",
        "task": "retrieval",
        "groups": 3,
        "pool": 5,
        "given": 0,
        "mined": 6,
        "random": 0,
        "missing": 0,
        "without_positive": 0,
    }
    assert by_task["孤行", "retrieval"]["missing"] == 2
    assert counts.select("given", "mined", "random").sum().sum_horizontal().item() == sum(
        len(passages) - 1 for passages in groups["passages"]
    )


def test_the_same_seed_writes_the_same_file(tmp_path):
    paths = [tmp_path / name for name in ("a.parquet", "b.parquet")]
    for path in paths:
        write_groups(table(ROWS), encode, path, window=Window(first=0, last=9))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_every_strategy_writes_groups(tmp_path):
    for name, strategy in MINED.items():
        path = tmp_path / f"{name}.parquet"
        counts = write_groups(table(ROWS), encode, path, strategy=strategy, window=Window(first=0, last=9))
        assert counts["groups"].sum() == pl.read_parquet(path).height == 7
        assert (counts["random"].sum() > 0) == (name == "at random")


@pytest.mark.parametrize("rows", [[], ROWS[5:6]])
def test_a_table_without_positives_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match=f"none of the {len(rows)} labelled rows has a positive"):
        write_groups(table(rows), encode, tmp_path / "groups.parquet")
