"""Scores of pairs from any encoder, and the threshold that keeps them."""

import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.relevance import Relevant, scores

PAIRS = pl.DataFrame({"text_a": ["ab", "ab", "cd", ""], "text_b": ["ab", "cd", "cc", "ab"]})


def letters(texts: list[str]) -> np.ndarray:
    """How often each of a-d occurs, twice as long as it need be."""
    return np.array([[2.0 * text.count(letter) for letter in "abcd"] for text in texts])


def test_a_score_is_the_cosine_whatever_the_length_of_the_vectors():
    slow = []
    for a, b in PAIRS.rows():
        one, two = letters([a])[0], letters([b])[0]
        slow.append(one @ two / max(1e-9, np.linalg.norm(one) * np.linalg.norm(two)))
    np.testing.assert_allclose(scores(PAIRS, letters), slow, atol=1e-6)


def test_each_different_text_is_encoded_once():
    asked = []
    scores(PAIRS, lambda texts: asked.extend(texts) or letters(texts))
    assert sorted(asked) == sorted({*PAIRS["text_a"], *PAIRS["text_b"]})


def test_pairs_from_the_threshold_on_stay():
    assert Relevant("kept", letters, limit=0.6).judge(PAIRS).to_list() == [True, False, True, False]


@pytest.mark.parametrize(
    "encode",
    [
        lambda texts: np.zeros((1, 4)),
        lambda texts: np.zeros(len(texts)),
        lambda texts: np.full((len(texts), 4), np.nan),
    ],
)
def test_an_encoder_that_gives_something_else_is_an_error(encode):
    with pytest.raises(ValueError, match="give a finite vector for each"):
        scores(PAIRS, encode)


def test_no_pairs_need_no_scores():
    assert scores(PAIRS.clear(), lambda texts: np.zeros((len(texts), 4))).is_empty()
