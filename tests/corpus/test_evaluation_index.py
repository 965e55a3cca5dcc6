"""What is kept of a text suffices to know it again: the whole, and every stretch of REACH characters."""

import pickle
import random

import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.clean import evaluation_index
from cpack_lib.corpus.clean.evaluation_index import (
    COMMON,
    RUN,
    WINDOW,
    folds_of,
    indexed,
    meetings,
    sliding,
    winnowed,
)
from cpack_lib.corpus.copies.grams import grams
from cpack_lib.corpus.copies.keys import text_keys

REACH = RUN + WINDOW - 1
LETTERS = folds_of(pl.Series(map(chr, range(0x4E00, 0x5A00)))).unique(maintain_order=True).to_list()


def text(draw: random.Random, length: int, letters: int = len(LETTERS)) -> str:
    return "".join(draw.choices(LETTERS[:letters], k=length))


@pytest.mark.parametrize("letters", [1, 2, 3000])
@pytest.mark.parametrize("at_a_time", [1, 150, 1 << 20])
def test_the_least_of_every_window_is_chosen(monkeypatch, letters, at_a_time):
    monkeypatch.setattr(evaluation_index, "AT_A_TIME", at_a_time)
    draw = random.Random(letters)
    lengths = [0, 1, RUN - 1, RUN, RUN + 1, REACH, 100, 0, 300]
    texts = pl.Series([text(draw, length, letters) for length in lengths * 5])
    hashes, rows, places = winnowed(texts)
    every, offsets = grams(texts, RUN)
    for row, given in enumerate(texts):
        own = every[offsets[row] : offsets[row + 1]].tolist() if len(given) >= RUN else []
        windows = [range(max(0, end - WINDOW), min(end, len(own))) for end in range(1, len(own) + WINDOW)]
        least = [min((own[place] for place in window), default=0) for window in windows]
        wanted = {p for window, low in zip(windows, least, strict=True) for p in window if own[p] == low}
        assert places[rows == row].tolist() == sorted(wanted)
        assert hashes[rows == row].tolist() == [own[place] for place in sorted(wanted)]
    assert len(winnowed(texts[:0])[0]) == len(winnowed(texts[:3])[0]) == 0


def test_every_shared_stretch_of_reach_is_met_and_none_below_run():
    draw = random.Random(0)
    for length, found in ((REACH, True), (RUN - 1, False)):
        for _ in range(200):
            shared = text(draw, length)
            sides = [text(draw, draw.randint(0, 60)) + shared + text(draw, draw.randint(0, 60)) for _ in "ab"]
            left, right = (winnowed(pl.Series([side]))[0] for side in sides)
            assert bool(np.isin(left, right).any()) == found


def test_a_fifth_of_the_runs_is_kept():
    given = pl.Series([text(random.Random(1), 50_000)])
    assert len(winnowed(given)[0]) / 50_000 == pytest.approx(2 / (WINDOW + 1), rel=0.03)


def test_sliding_and_meetings_are_those_of_plain_loops():
    draw = np.random.default_rng(0)
    values = draw.integers(0, 50, 200).astype(np.uint64)
    for width in range(1, 20):
        assert sliding(np.minimum, values, width).tolist() == [
            values[start : start + width].min() for start in range(200 - width + 1)
        ]
    kept, asked = np.sort(values), draw.integers(0, 60, 40).astype(np.uint64)
    met = sorted(zip(*(places.tolist() for places in meetings(kept, asked)), strict=True))
    assert met == [(a, k) for a in range(40) for k in range(200) if kept[k] == asked[a]]
    assert [len(places) for places in meetings(kept[:0], asked)] == [0, 0]


def test_every_text_is_kept_once_for_a_task(tmp_path):
    texts = [
        ("a", pl.Series(["甲 ", "甲", "", " "])),
        ("a", pl.Series(["甲", "乙", None])),
        ("b", pl.Series(["甲"])),
    ]
    evaluation = indexed(texts, tmp_path)
    keys = text_keys(pl.Series(["甲", "乙"]))
    assert sorted(
        zip(evaluation.array("keys").tolist(), evaluation.array("key_tasks").tolist(), strict=True)
    ) == (sorted([(keys[0], 0), (keys[1], 0), (keys[0], 1)]))
    assert evaluation.tasks == ("a", "b") and len(evaluation.array("runs")) == 0
    assert evaluation.array("text_lengths").tolist() == [1, 1, 1]
    assert evaluation.array("text_tasks").tolist() == [0, 0, 1]


def test_a_run_in_many_texts_of_one_task_is_not_kept(tmp_path):
    draw = random.Random(2)
    phrase = text(draw, RUN)  # at the front, where its one run is always chosen
    given = pl.Series([phrase + text(draw, 50) for _ in range(COMMON + 1)])
    (run,), _ = grams(pl.Series([phrase]), RUN)
    many, few = indexed([("a", given)], tmp_path), indexed([("a", given[1:]), ("b", given[:1])], tmp_path)
    assert run not in many.array("runs")
    assert (few.array("runs") == run).sum() == COMMON + 1
    again = indexed([("a", given[:COMMON]), ("a", given[:COMMON] + " ")], tmp_path)
    assert (again.array("runs") == run).sum() == COMMON  # a text again is one text


def test_a_run_that_a_text_repeats_is_kept_once(tmp_path):
    verse = text(random.Random(5), 10)
    evaluation = indexed([("a", pl.Series([verse * 30]))], tmp_path)
    runs = evaluation.array("runs")
    assert 0 < len(runs) == len(np.unique(runs)) <= 10


def test_runs_lead_to_their_texts(tmp_path):
    draw = random.Random(3)
    given = pl.Series([text(draw, length) for length in (10, 30, 200, 24, 90)])
    evaluation = indexed([("a", given[:2]), ("b", given[2:])], tmp_path)
    runs = evaluation.array("runs")
    assert np.all(runs[1:] >= runs[:-1])
    for row, own in enumerate(given):
        mine = runs[evaluation.array("run_texts") == row]
        assert sorted(mine) == sorted(winnowed(pl.Series([own]))[0])
        assert evaluation.array("text_lengths")[row] == len(own)


def test_it_lies_on_the_disk_under_a_name_of_its_content(tmp_path):
    given = [("a", pl.Series([text(random.Random(4), 5000)]))]
    evaluation = indexed(given, tmp_path)
    made = (evaluation.folder / "keys.npy").stat().st_mtime_ns
    assert indexed(given, tmp_path) == evaluation
    assert (evaluation.folder / "keys.npy").stat().st_mtime_ns == made
    assert indexed([("b", given[0][1])], tmp_path).folder != evaluation.folder
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {evaluation.folder.name, indexed([("b", given[0][1])], tmp_path).folder.name}
    )
    sent = pickle.dumps(evaluation)
    assert len(sent) < 500 and pickle.loads(sent).array("runs").tolist() == evaluation.array("runs").tolist()


@pytest.mark.parametrize("texts", [[], [("a", pl.Series(["", " "])), ("b", pl.Series([], dtype=pl.String))]])
def test_an_evaluation_without_texts_is_an_error(texts, tmp_path):
    with pytest.raises(ValueError, match=rf"tasks \({'a, b' if texts else 'none'}\) hold no text"):
        indexed(texts, tmp_path)


def test_texts_are_compared_without_width_case_and_space():
    assert folds_of(pl.Series(["Ａ b\u200b\n", None])).to_list() == ["ab", ""]
