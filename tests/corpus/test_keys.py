"""Copies are found by keys that anyone can compute, and the first of them stays."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.corpus.clean.rule import SET
from cpack_lib.corpus.copies.keys import BETWEEN, First, pair_keys, text_keys
from cpack_lib.corpus.copies.runs import Place


def pairs(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["text_a", "text_b"], orient="row")


def test_a_key_is_xxh3_of_the_folded_text():
    keys = pair_keys(pairs(("泡菜 Ａ", "四川\n泡菜")))
    assert keys.row(0) == tuple(
        xxhash.xxh3_64_intdigest(text.encode()) for text in ("泡菜a", "四川泡菜", f"泡菜a{BETWEEN}四川泡菜")
    )
    assert text_keys(pl.Series(["a"])).to_list() == [0xE6C632B61E964E1F]  # XXH3's own value for "a"


def test_what_folds_to_the_same_shares_a_key_and_nothing_else_does():
    keys = pair_keys(
        pairs(("Ａb", "你好"), ("a B", "你 好\u200b"), ("a", "b你好"), ("ab你", "好"), ("ab", "您好"))
    )["pair_key"]
    assert keys[0] == keys[1] and keys.n_unique() == 4


def slowly_first(keys: list[int], limit: int) -> list[bool]:
    seen, stays = Counter(), []
    for key in keys:
        seen[key] += 1
        stays.append(seen[key] <= limit)
    return stays


@settings(max_examples=200, deadline=None)
@given(keys=st.lists(st.integers(0, 6), max_size=40), limit=st.integers(1, 4))
def test_the_first_of_equal_keys_stay(keys, limit):
    frame, rule = (
        pl.DataFrame({"a_key": keys}, schema={"a_key": pl.UInt64}),
        First("again", SET, "a_key", limit),
    )
    left = np.array([row % 5 != 3 for row in range(len(keys))], bool)  # some have gone before
    stays = slowly_first([key for key, asked in zip(keys, left, strict=True) if asked], limit)
    with TemporaryDirectory() as folder:
        places, cut = [], len(keys) // 2
        for start, part in ((0, frame[:cut]), (cut, frame[cut:])):
            places.append(Place(Path(folder, str(start), "x"), start))
            places[-1].folder.mkdir(parents=True, exist_ok=True)
            rule.prepare(places[-1].folder, part)
        gone = rule.gone(places if cut else places[1:], left)
    assert sorted(gone) == [row for row, stay in zip(np.flatnonzero(left), stays, strict=True) if not stay]


def test_the_rule_says_what_it_does():
    assert First("again", "set", "a_key", 3).reason == "more than 3 rows with the same a"


@pytest.mark.parametrize("text", ["", "\u200b", "  "])
def test_texts_that_fold_to_nothing_are_copies_of_each_other(text):
    assert text_keys(pl.Series([text]))[0] == xxhash.xxh3_64_intdigest(b"")
