"""Scores of pairs from any encoder, and the threshold that keeps them."""

import cloudpickle
import numpy as np
import polars as pl
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from cpack_lib.corpus.clean import relevance
from cpack_lib.corpus.clean.relevance import Relevant, scores

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


@pytest.mark.parametrize("rows", [1, 9, 40])
def test_scores_are_those_of_a_loop_whatever_is_gathered_at_once(rows, monkeypatch):
    monkeypatch.setattr(relevance, "PAIRS_AT_ONCE", 4)
    drawn = np.random.default_rng(rows).choice(["", "a", "ab", "abc", "dd", "cab"], size=(rows, 2)).tolist()
    pairs = pl.DataFrame(drawn, schema=["text_a", "text_b"], orient="row")
    slow = []
    for a, b in drawn:
        one, two = letters([a])[0], letters([b])[0]
        slow.append(one @ two / ((np.linalg.norm(one) or 1) * (np.linalg.norm(two) or 1)))
    np.testing.assert_allclose(scores(pairs, letters), slow, atol=1e-6)


def test_a_text_without_a_direction_scores_zero_and_goes():
    empty = pl.DataFrame({"text_a": ["", "ab"], "text_b": ["", ""]})
    assert scores(empty, letters).to_list() == [0, 0]
    assert Relevant("kept", letters).judge(empty).to_list() == [False, False]


def test_a_model_of_sentence_transformers_is_an_encoder():
    words = {word: row for row, word in enumerate(["[UNK]", "ab", "cd", "cc"])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    table = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)])
    found = scores(PAIRS.head(3), model.encode)
    rows = [[words[text] for text in PAIRS[side].head(3)] for side in PAIRS.columns]
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    np.testing.assert_allclose(found, (unit[rows[0]] * unit[rows[1]]).sum(axis=1), atol=1e-6)
    rule = cloudpickle.loads(cloudpickle.dumps(Relevant("kept", model.encode, limit=0.9)))
    assert rule.judge(PAIRS.head(3)).to_list() == (found >= 0.9).to_list()
