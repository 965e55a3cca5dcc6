"""Held-out rows against loops: who stands first in the pool, who beats its partner, what is left out."""

import numpy as np
import polars as pl
import pytest

from cpack_lib.evaluation.held_out import HeldOut, first_in_pool, margins, shared_neighbours
from cpack_lib.model.instructions import Sides

ROWS = [  # query, pos, neg, task
    ("首都是哪里", ["北京是首都", "首都在北京"], [], "retrieval"),
    ("最长的河是哪条", ["长江最长"], ["黄河"], "search"),
    ("雨停了", ["雨不下了"], ["雨还在下"], "nli"),
    ("天晴了", ["太阳出来了"], [], "sts"),
    ("没有答案", [], ["什么"], "retrieval"),
]


def table(rows):
    types = {"query": pl.String, "pos": pl.List(pl.String), "neg": pl.List(pl.String), "task": pl.String}
    return pl.DataFrame(rows, schema=types, orient="row")


def by_characters(texts):
    """A vector for each text, by its characters: (N, 512)."""
    found = np.full((len(texts), 512), 1e-3, dtype=np.float32)
    for i, text in enumerate(texts):
        for character in text:
            found[i, ord(character) % 512] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_rows_that_cannot_be_judged_are_left_out_and_their_texts_stay():
    held_out = HeldOut.of(table(ROWS))
    assert held_out.tasks == ["retrieval", "search", "nli"] and held_out.rows.height == 3
    assert {"太阳出来了", "什么", "黄河"} <= set(held_out.pool) and len(held_out.pool) == 8
    assert held_out.chance() == {"retrieval": 1 / 8, "search": 1 / 8, "nli": 0.5}


def test_hits_are_those_of_a_loop():
    held_out = HeldOut.of(table(ROWS))
    hits = held_out.hits(by_characters, {})
    for query, pos, neg, task in ROWS[:3]:
        score = {text: float(by_characters([query])[0] @ by_characters([text])[0]) for text in held_out.pool}
        others = [text for text in held_out.pool if text not in pos] if task != "nli" else neg
        assert hits[task].tolist() == [max(score[each] for each in pos) > max(score[each] for each in others)]


def test_what_stands_before_texts_is_read():
    asked = []

    def encode(texts):
        asked.extend(texts)
        return by_characters(texts)

    before = {"retrieval": Sides("检索："), "nli": Sides("推理：", "推理：")}
    HeldOut.of(table(ROWS)).hits(encode, before)
    assert {text for text in asked if "：" in text} == {
        "检索：首都是哪里",
        "推理：雨停了",
        "推理：雨不下了",
        "推理：雨还在下",
    }


def test_an_encoder_that_gives_one_vector_is_never_right():
    hits = HeldOut.of(table(ROWS)).hits(lambda texts: np.ones((len(texts), 1), dtype=np.float32), {})
    assert not any(each.any() for each in hits.values())


def test_a_pool_in_which_everything_is_right():
    assert first_in_pool(np.eye(2), np.eye(2), [[0, 1], [1, 0]]).tolist() == [True, True]


def test_neighbours_that_stay_are_counted():
    passages = np.eye(6, dtype=np.float32)
    one = np.array([[6, 5, 4, 3, 2, 1]], dtype=np.float32)
    assert shared_neighbours(one, one, passages, 3) == 3
    assert shared_neighbours(one, one[:, ::-1], passages, 3) == 0
    assert shared_neighbours(one, one[:, [0, 1, 5, 3, 4, 2]], passages, 3) == 2


def test_margins_are_those_of_a_loop():
    chance = np.random.default_rng(0)
    queries, passages = chance.normal(size=(7, 4)), chance.normal(size=(9, 4))
    right = np.arange(7)[:, None] % 3 == np.arange(9) % 3
    for q, found in enumerate(margins(queries, passages, right)):
        scores = passages @ queries[q]
        assert np.isclose(found, max(scores[right[q]]) - max(scores[~right[q]]))
    for bad in (np.zeros((7, 9), bool), np.ones((7, 9), bool)):
        with pytest.raises(ValueError, match="query 0 has [09] answers among 9 passages"):
            margins(queries, passages, bad)


@pytest.mark.parametrize("rows", [[], ROWS[3:]])
def test_rows_of_which_none_can_be_judged_are_refused(rows):
    with pytest.raises(ValueError, match=f"none of the {len(rows)} rows can be judged"):
        HeldOut.of(table(rows))
