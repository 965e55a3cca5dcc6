"""Negatives that are few, easy or right, and temperatures, in a space whose truth is known."""

import numpy as np
import pytest
import torch

from cpack_lib.evaluation.diagnosis.contrast import (
    easy_negatives,
    few_negatives,
    hidden_answers,
    high_temperature,
    low_temperature,
)
from cpack_lib.training.contrast import contrastive_loss

D, TOPICS, FACTS = 64, 20, 300


def unit(x):
    """Rows of length one."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture(params=range(4))
def facts(request):
    """Facts of some topics: a question, its answer and the same answer in other words, (FACTS, D) each."""
    chance = np.random.default_rng(request.param)
    topic = chance.normal(size=(TOPICS, D))[chance.integers(TOPICS, size=FACTS)]
    fact = topic + 1.2 * chance.normal(size=(FACTS, D))
    question, answer, again = (unit(fact + s * chance.normal(size=(FACTS, D))) for s in (1.0, 0.5, 0.5))
    return question, answer, again


def near(question, answer, first, last):
    """For each question, another answer from a window of ranks: (FACTS, D)."""
    scores = question @ answer.T
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1)
    return answer[order[:, (first + last) // 2]]


def test_answers_in_other_words_are_found_among_the_negatives(facts):
    question, answer, again = facts
    found = hidden_answers(question, answer, again)
    assert found.severity == "failure" and found.value > 0.5
    mixed = near(question, answer, 10, 60).copy()
    mixed[:30] = again[:30]
    assert 0.05 < hidden_answers(question, answer, mixed).value < 0.12


def test_hard_negatives_that_are_wrong_stay_unsuspected(facts):
    question, answer, _ = facts
    for window in ((5, 15), (10, 60), (100, 200)):
        assert not hidden_answers(question, answer, near(question, answer, *window)).fires


def test_negatives_at_random_are_easy_and_near_ones_are_not(facts):
    question, answer, _ = facts
    strangers = answer[np.random.default_rng(0).permutation(FACTS)[:150]]
    found = easy_negatives(question, np.roll(answer, 7, axis=0), strangers)
    assert found.severity == "failure" and abs(found.value - 0.5) < 0.1
    assert not easy_negatives(question, near(question, answer, 5, 15), strangers).fires


def test_negatives_farther_than_chance_are_easy_too(facts):
    question, answer, _ = facts
    assert easy_negatives(question, near(question, answer, 280, 296), answer).value < 0.3


def test_two_passages_push_at_random_and_many_as_all_do(facts):
    question, answer, _ = facts
    assert few_negatives(question[:40], answer, count=2, temperature=0.05).severity == "failure"
    assert not few_negatives(question[:40], answer, count=128, temperature=0.05).fires
    whole = few_negatives(question[:10], answer, count=FACTS, temperature=0.05)
    assert np.isclose(whole.value, 1.0)


def test_a_push_is_the_negative_part_of_the_gradient(facts):
    question, answer, _ = facts
    leaf = torch.from_numpy(question[:1].astype(np.float32)).requires_grad_()
    contrastive_loss(leaf, torch.from_numpy(answer.astype(np.float32)), 0.05, torch.tensor([0])).backward()
    scores = question[0] @ answer.T / 0.05
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    by_hand = (weights[1:] @ answer[1:] - (1 - weights[0]) * answer[0]) / 0.05
    np.testing.assert_allclose(leaf.grad.numpy()[0], by_hand, rtol=1e-3, atol=1e-4)


def test_counts_that_cannot_be_are_refused(facts):
    question, answer, _ = facts
    with pytest.raises(ValueError, match="1 passages of 300"):
        few_negatives(question, answer, count=1, temperature=0.05)


@pytest.mark.parametrize(("temperature", "fires"), [(0.001, True), (0.05, False), (0.02, False)])
def test_a_low_temperature_listens_to_one_negative(facts, temperature, fires):
    question, answer, _ = facts
    found = low_temperature(question @ answer.T, np.arange(FACTS), temperature)
    assert found.fires == fires


def test_the_answer_itself_does_not_count_as_the_hardest():
    cosines = np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.5]])
    assert np.isclose(low_temperature(cosines, np.array([0, 1]), 0.01).value, 0.5)


@pytest.mark.parametrize("passages", [64, 256, 2_048])
def test_a_high_temperature_leaves_a_perfect_encoder_with_a_loss(passages):
    assert high_temperature(passages, 1.0).severity == "failure"
    assert not high_temperature(passages, 0.05).fires
    assert not high_temperature(19_200, 0.02).fires
    perfect = torch.eye(64)
    share = contrastive_loss(perfect, perfect, 0.5).item() / np.log(64)
    assert np.isclose(high_temperature(64, 0.5).value, share, rtol=1e-4)
