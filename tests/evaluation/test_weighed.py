"""Promises of the weighed scores: of any draw, what scipy, scikit-learn and mteb give for its items."""

import numpy as np
import pytest
from mteb.abstasks import AbsTaskPairClassification
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from cpack_lib.evaluation.scores import weighed

N, R = 60, 25


@pytest.fixture(params=["continuous", "ties"])
def drawn(request):
    """Scores, graded and binary labels, and the counts of R draws of N items, the first of them one each."""
    draw = np.random.default_rng(3)
    scores = draw.normal(size=N)
    if request.param == "ties":
        scores = scores.round(0)
    graded = np.clip((scores + draw.normal(size=N)).round(), -1, 2)
    taken = np.concatenate([np.arange(N)[None], draw.integers(N, size=(R - 1, N))])
    counts = np.stack([np.bincount(row, minlength=N) for row in taken]).astype(float)
    return scores, graded, (graded > 0).astype(int), taken, counts


def test_spearman_of_a_draw_is_scipys_of_its_items(drawn):
    scores, graded, _, taken, counts = drawn
    found = weighed.spearman(weighed.places_of(scores), graded, counts)
    slow = [spearmanr(scores[row], graded[row]).statistic for row in taken]
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_average_precision_of_a_draw_is_scikit_learns_of_its_items(drawn):
    scores, _, labels, taken, counts = drawn
    found = weighed.average_precision(weighed.places_of(scores), labels, counts)
    slow = [average_precision_score(labels[row], scores[row]) for row in taken]
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_best_accuracy_of_a_draw_is_mtebs_of_its_items(drawn):
    scores, _, labels, taken, counts = drawn
    found = weighed.best_accuracy(weighed.places_of(scores), labels, counts)
    find = AbsTaskPairClassification._find_best_acc_and_threshold
    slow = [find(None, scores[row].tolist(), labels[row], True)[0] for row in taken]
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_every_draw_may_have_places_of_its_own(drawn):
    scores, graded, _, _, _ = drawn
    other = np.stack([np.random.default_rng(r).permutation(scores) for r in range(R)])
    places = np.stack([weighed.places_of(row) for row in other])
    found = weighed.spearman(places, graded, np.ones((R, N)))
    np.testing.assert_allclose(found, [spearmanr(row, graded).statistic for row in other], atol=1e-12)


def test_a_draw_without_a_second_label_has_no_score():
    places, labels, counts = np.arange(3), np.array([1, 0, 0]), np.array([[0.0, 2.0, 1.0]])
    assert np.isnan(weighed.spearman(places, labels, counts)).all()
    assert np.isnan(weighed.average_precision(places, labels, counts)).all()
