"""Spam, floods and repeated lines are measured as slow and obvious loops would."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.corpus.clean import noise
from cpack_lib.corpus.languages import LANGUAGES

SPOKEN = "今天的菜很好吃，大家都说盐水泡得正好，坛子也洗得干净。"


def measured(measure, *texts: str) -> list[float]:
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return frame.select(measure(pl.col("text"))).to_series().to_list()


def slow_flood(text: str) -> float:
    """The share of characters in a stretch of ten that goes on repeating itself, unit by unit."""
    inside = set()
    for unit in range(1, noise.LONGEST_UNIT + 1):
        start = 0
        for place in range(unit, len(text) + 1):
            goes_on = place < len(text) and text[place] == text[place - unit] and text[place].isalpha()
            if not goes_on:
                if place - start >= max(noise.SHORTEST_FLOOD, 3 * unit):
                    inside |= set(range(start, place))
                start = place - unit + 1
    return len(inside) / max(1, len(text))


STRETCH = st.builds(
    lambda unit, times: unit * times, st.text("哈顶a1 。\n😀", max_size=5), st.integers(1, 12)
)
FLOODS = st.lists(STRETCH, max_size=4).map("".join)


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(FLOODS, max_size=4))
def test_a_flood_is_measured_as_by_a_loop(rows):
    assert measured(noise.flooded_share, *rows) == [slow_flood(text) for text in rows]


@pytest.mark.parametrize(
    "text, share",
    [
        ("哈" * 10, 1.0),
        ("哈" * 9, 0.0),
        ("好的" * 5, 1.0),
        ("顶楼主" * 4 + "。" * 12, 0.5),
        ("一二三四五" * 10, 0.0),
        ("1" * 50 + "=" * 50, 0.0),
        ("a" * 50, 1.0),
        ("", 0.0),
    ],
)
def test_a_flood_repeats_up_to_four_letters(text, share):
    assert measured(noise.flooded_share, text, SPOKEN) == [share, 0.0]


def test_a_flood_ends_with_its_text():
    assert measured(noise.flooded_share, "哈" * 6, "哈" * 6, "", "哈" * 20)[:3] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("code", LANGUAGES)
def test_words_of_spam_are_listed_once(code):
    words = LANGUAGES[code].noise.spam
    assert 50 <= len(words) == len(set(words)) <= 100 and all(len(word) > 1 for word in words)


WORDS = st.lists(st.sampled_from(["百家乐", "时时彩", "办证", SPOKEN]), max_size=12).map("，".join)


@settings(max_examples=200, deadline=None)
@given(text=WORDS)
def test_spam_is_scored_as_by_counting_words(text):
    counts = Counter({word: text.count(word) for word in ("百家乐", "时时彩", "办证")})
    found = sum(counts.values()) if sum(count > 0 for count in counts.values()) > 1 else 0
    assert measured(noise.spam_score, text) == [pytest.approx(100 * found / max(100, len(text)))]


@settings(max_examples=200, deadline=None)
@given(lines=st.lists(st.text("甲乙", max_size=3), max_size=8))
def test_repeated_lines_are_measured_as_by_a_loop(lines):
    size = sum(map(len, lines))
    again = size - sum(map(len, set(lines)))
    assert measured(noise.repeated_share, "\n".join(lines)) == [pytest.approx(again / max(1, size))]
