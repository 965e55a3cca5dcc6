"""Every run of n characters has the hash that a plain loop gives it, and no run crosses from text to text."""

import random

import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.copies import grams as module
from cpack_lib.corpus.copies.grams import grams

LETTERS = ["甲", "乙", "丙", "a", "b", "\n", "\x00", "é", "𠀀", "😀", "\U0010ffff"]
KNOWN = [3117035799923547454, 1832579630751242943, 16836008115987803035]


def slow(text: str) -> int:
    """The hash of one run, character by character in Python's integers."""
    value = 0
    for character in text:
        value = (value * module.BASE + ord(character) + 1) % 2**64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value ^= value >> shift
        value = value * factor % 2**64
    return value ^ value >> 31


def slow_grams(text: str | None, n: int) -> list[int]:
    text = text or ""
    runs = [text[i : i + n] for i in range(max(1, len(text) - n + 1))]
    return [slow(run) for run in runs if run]


def texts(draw: random.Random, count: int, longest: int) -> pl.Series:
    made = ["".join(draw.choices(LETTERS, k=draw.randint(0, longest))) for _ in range(count)]
    return pl.Series([None if draw.random() < 0.05 else text for text in made], dtype=pl.String)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 24, 31])
@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_hashes_are_those_of_a_plain_loop(monkeypatch, n, block):
    monkeypatch.setattr(module, "BLOCK", block)
    draw = random.Random(n * block)
    for count, longest in ((0, 5), (1, 0), (1, 1), (1, 40), (17, 3), (40, 60)):
        given = texts(draw, count, longest)
        hashes, offsets = grams(given, n)
        assert hashes.dtype == np.uint64 and offsets.dtype == np.int64 and len(offsets) == count + 1
        own = [hashes[start:end].tolist() for start, end in zip(offsets, offsets[1:], strict=False)]
        assert own == [slow_grams(text, n) for text in given]
        assert offsets[0] == 0 and offsets[-1] == len(hashes)


def test_hashes_are_the_same_everywhere():
    hashes, offsets = grams(pl.Series(["泡菜的做法", "泡菜", ""]), 4)
    assert hashes.tolist() == [slow("泡菜的做"), slow("菜的做法"), slow("泡菜")]
    assert hashes.tolist() == KNOWN
    assert offsets.tolist() == [0, 2, 3, 3]


def test_different_runs_have_different_hashes():
    draw = random.Random(0)
    long = "".join(chr(draw.randint(0x4E00, 0x9FFF)) for _ in range(200_000))
    for n in (2, 5, 24):
        runs = {long[i : i + n] for i in range(len(long) - n + 1)}
        hashes, _ = grams(pl.Series([long]), n)
        assert len(np.unique(hashes)) == len(runs)
        assert abs(np.bitwise_count(hashes).mean() - 32) < 0.1  # every bit is set in half of them


def test_many_texts_are_as_many_alone():
    draw = random.Random(1)
    given = texts(draw, 3000, 80)
    hashes, offsets = grams(given, 5)
    for place in draw.sample(range(3000), 50):
        alone, _ = grams(given[place : place + 1], 5)
        assert hashes[offsets[place] : offsets[place + 1]].tolist() == alone.tolist()
