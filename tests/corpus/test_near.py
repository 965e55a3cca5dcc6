"""Near copies: sketches estimate the true likeness, bands find what is alike, one row of each group stays."""

import random
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.clean.rule import SET, TEXTS
from cpack_lib.corpus.copies import near, runs
from cpack_lib.corpus.copies.minhash import NGRAM, band_keys, bands, bare, jaccard, likeness, minima, sketches
from cpack_lib.corpus.copies.near import Near, later_ones, meetings, near_copies
from cpack_lib.corpus.copies.runs import Place

LETTERS = "泡菜坛子盐水开油四川人家发酵辣椒白酒萝卜花生豆腐"


def written(draw: random.Random, length: int) -> str:
    return "".join(draw.choices(LETTERS, k=length))


def edited(draw: random.Random, text: str, edits: int) -> str:
    for _ in range(edits):
        place = draw.randrange(len(text))
        text = text[:place] + draw.choice(["", "，", draw.choice(LETTERS)]) + text[place + 1 :]
    return text


def ngrams(text: str) -> set[str]:
    text = pl.select(bare(pl.lit(text))).item()
    return {text[i : i + NGRAM] for i in range(max(1, len(text) - NGRAM + 1))} - {""}


def jaccard_of(one: str, other: str) -> float:
    one, other = ngrams(one), ngrams(other)
    return len(one & other) / len(one | other) if one | other else 0.0


def gone(folder, rule, frames, left=None, workers=1):
    """The rows that a rule sets aside of some parts."""
    places, start = [], 0
    for number, frame in enumerate(frames):
        place = Place(folder / str(number), start)
        place.folder.mkdir(parents=True)
        frame.write_ipc(place.folder / f"{rule.table}.arrow", compression="uncompressed")
        rule.prepare(place.folder, frame)
        places.append(place)
        start += len(frame)
    left = np.ones(start, bool) if left is None else left
    return rule.gone(places, left, folder, workers).tolist()


@pytest.fixture(scope="module")
def family() -> list[str]:
    """240 texts of 12 to 200 characters, each of 80 in three versions that differ in up to a quarter."""
    draw = random.Random(3)
    first = [written(draw, draw.randint(12, 200)) for _ in range(80)]
    return [text for one in first for text in (one, *(edited(draw, one, draw.randint(0, 12)) for _ in "12"))]


def test_the_estimate_is_the_jaccard_similarity_of_the_n_grams(family):
    found, filled = minima(pl.Series("text", family))
    assert filled.all()
    few = list(combinations(range(60), 2))
    one, other = (sketches([found])[[pair[end] for pair in few]] for end in (0, 1))
    true = np.array([jaccard_of(family[i], family[j]) for i, j in few])
    error = likeness(one, other) - true
    assert abs(error[true > 0.2].mean()) < 0.03 and np.abs(error).max() < 0.2
    assert (likeness(one, one) == 1).all()


def test_a_pairs_likeness_is_the_product_of_its_sides(family):
    a, b = minima(pl.Series("text", family[:60]))[0], minima(pl.Series("text", family[60:120]))[0]
    both = sketches([a, b])
    sides = [likeness(sketches([side])[:-1], sketches([side])[1:]) for side in (a, b)]
    assert np.allclose(likeness(both[:-1], both[1:]), sides[0] * sides[1])


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95])
def test_bands_meet_as_often_as_they_promise(threshold):
    count, rows = bands(threshold)
    assert count * rows <= 128 and 1 - (1 - threshold**rows) ** count >= 0.99
    longer = rows + 1
    assert 1 - (1 - threshold**longer) ** (128 // longer) < 0.99
    draw = np.random.default_rng(int(100 * threshold))
    one = draw.integers(0, 2**32, (4000, 128), dtype=np.uint32)
    other = np.where(draw.random(one.shape) < threshold, one, one + 1)
    met = (band_keys([one], threshold) == band_keys([other], threshold)).any(axis=0).mean()
    assert met > 0.98


def test_equal_minima_of_both_sides_make_a_band_equal_and_nothing_else_does():
    draw = np.random.default_rng(0)
    one = [draw.integers(0, 2**32, (50, 128), dtype=np.uint32) for _ in "ab"]
    other = [side.copy() for side in one]
    other[1][:25, 0] += 1  # the second side's first band of half of the rows
    equal = band_keys(one, 0.8) == band_keys(other, 0.8)
    assert not equal[0, :25].any() and equal[0, 25:].all() and equal[1:].all()
    assert not (band_keys(one, 0.8)[0] == band_keys(one[::-1], 0.8)[0]).any()  # sides are not exchanged


@pytest.mark.parametrize("limit", [0.6, 0.8, 0.9])
def test_what_goes_is_what_brute_force_joins(tmp_path, monkeypatch, family, limit):
    monkeypatch.setattr(runs, "KEYS_PER_BUCKET", 50)
    monkeypatch.setattr(near, "AT_A_TIME", 7)
    monkeypatch.setattr(near, "READ_AT_A_TIME", 5)
    frame = pl.DataFrame({"text": family})
    found = gone(tmp_path, Near("near", TEXTS, ("text",), limit), [frame[:100], frame[:0], frame[100:]])
    pairs = combinations(range(len(family)), 2)
    assert found == later([(i, j) for i, j in pairs if jaccard_of(family[i], family[j]) >= limit]) != []


def later(edges: list[tuple[int, int]]) -> list[int]:
    """The rows of each joined group but its first, by hand."""
    first = {row: row for edge in edges for row in edge}
    for _ in edges:
        for i, j in edges:
            first[i] = first[j] = min(first[i], first[j])
    return sorted(row for row, least in first.items() if row != least)


def test_jaccard_is_that_of_the_sets(family):
    one = pl.Series(["", "。", "泡菜", "泡菜泡菜泡菜", *family[:40]])
    other = pl.Series(["", "泡菜", "泡菜！", "泡菜泡", *family[1:41]])
    assert np.allclose(jaccard(one, other), [jaccard_of(*both) for both in zip(one, other, strict=True)])
    assert jaccard(one[:0], other[:0]).shape == (0,)


def test_two_questions_about_one_passage_stay_and_an_edited_pair_goes(tmp_path):
    passage = written(random.Random(1), 400)
    rows = [
        ("坛子要不要先用开水烫过？", passage),
        ("泡菜放多少盐才不会坏？", passage),
        ("坛子要不要先用开水烫过", passage[:200] + "，" + passage[200:]),
    ]
    frame = pl.DataFrame(rows, schema=["text_a", "text_b"], orient="row")
    assert gone(tmp_path, near_copies(0.8)[0], [frame]) == [2]


def test_texts_without_letters_are_never_alike(tmp_path):
    frame = pl.DataFrame({"text": ["", "……", "！！", "泡菜", "泡菜"]})
    assert gone(tmp_path, near_copies(0.8)[1], [frame]) == [4]


def test_a_row_that_has_gone_before_neither_goes_nor_stands_for_others(tmp_path):
    text = written(random.Random(2), 60)
    frame = pl.DataFrame({"text": [text, text + "。", text + "！"]})
    left = np.array([False, True, True])
    assert gone(tmp_path, near_copies(0.8)[1], [frame], left) == [2]


@pytest.mark.parametrize("frames", [[], [pl.DataFrame({"text": []}, schema={"text": pl.String})]])
def test_no_rows_and_no_parts(tmp_path, frames):
    assert gone(tmp_path, near_copies(0.8)[1], frames) == []


def test_processes_find_the_same(tmp_path, family):
    frame, rule = pl.DataFrame({"text": family}), near_copies(0.7)[1]
    assert gone(tmp_path / "1", rule, [frame]) == gone(tmp_path / "2", rule, [frame], workers=2)


def test_a_killed_search_goes_on_with_the_bands_that_are_missing(tmp_path, monkeypatch, family):
    frame, rule = pl.DataFrame({"text": family}), near_copies(0.7)[1]
    whole = gone(tmp_path / "whole", rule, [frame])
    made = near.likely
    turns = iter(range(1000))

    def killed(*given):
        if next(turns) == 4:
            raise KeyboardInterrupt
        return made(*given)

    monkeypatch.setattr(near, "likely", killed)
    with pytest.raises(KeyboardInterrupt):
        gone(tmp_path / "again", rule, [frame])
    done = len(list((tmp_path / "again").glob("*edges*")))
    monkeypatch.setattr(near, "likely", made)
    asked = []
    monkeypatch.setattr(near, "likely", lambda *given: asked.append(1) or made(*given))
    places = [Place(tmp_path / "again" / "0", 0)]
    again = rule.gone(places, np.ones(len(frame), bool), tmp_path / "again")
    assert again.tolist() == whole and done == 4 and len(asked) == bands(0.7)[0] - 4


def test_meetings_are_first_and_previous_once_each():
    keys, rows = np.array([1, 1, 1, 1, 2, 3, 3], np.uint64), np.array([4, 6, 7, 9, 1, 2, 8])
    left = np.ones(10, bool)
    left[7] = False
    assert sorted(map(tuple, meetings(keys, rows, left))) == [(2, 8), (4, 6), (4, 9), (6, 9)]


def test_packed_pairs_of_rows_come_out_again():
    draw = np.random.default_rng(0)
    edges = draw.integers(0, 2**31, (500, 2))
    edges[:4] = [[0, 0], [2**31 - 1, 2**31 - 1], [0, 2**31 - 1], [2**31 - 1, 0]]
    doubtful = draw.random(500) < 0.5
    numbers = near.packed(edges, doubtful)
    assert np.array_equal(near.unpacked(numbers), edges) and np.array_equal(
        numbers >= near.DOUBTFUL, doubtful
    )
    assert near.unpacked(near.packed(edges[:0], doubtful[:0])).shape == (0, 2)


def test_later_ones_are_all_but_the_first_of_each_group():
    edges = np.array([[3, 9], [9, 5], [20, 40], [1, 2]])
    assert later_ones(edges).tolist() == [2, 5, 9, 40]
    assert later_ones(edges[:0]).tolist() == []


def test_no_limit_no_rules():
    assert near_copies(0.0) == [] and [rule.stage for rule in near_copies(0.8)] == [SET, TEXTS]
