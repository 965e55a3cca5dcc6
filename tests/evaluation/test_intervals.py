"""Promises of the intervals: a plain bootstrap, right in size; tests that find what is there, and no more."""

import numpy as np
import pytest
from scipy.stats import bootstrap, false_discovery_control, permutation_test, spearmanr

from cpack_lib.evaluation.scores import weighed
from cpack_lib.evaluation.scores.intervals import (
    Mean,
    Ranked,
    bootstrap_mean,
    counts_of,
    generator,
    holm,
    interval,
    middle_ranks,
    paired_difference,
    tail,
)


def test_the_interval_is_that_of_a_plain_bootstrap():
    values = np.random.default_rng(0).random(80) * 100
    draw = np.random.default_rng(5)
    means = sorted(np.mean([values[draw.integers(80)] for _ in range(80)]) for _ in range(3000))
    found = bootstrap_mean(values)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((means[75], means[2925]), abs=0.6)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    draw = np.random.default_rng(1)
    samples = [bootstrap_mean(draw.normal(3.0, 2.0, size=60)) for _ in range(60)]
    assert 51 <= sum(found.low <= 3.0 <= found.high for found in samples) <= 60


def test_a_paired_difference_sees_what_two_intervals_hide():
    draw = np.random.default_rng(2)
    hardness = draw.normal(50, 30, size=200)
    ours, theirs = hardness + draw.normal(2, 3, size=200), hardness
    paired = paired_difference(ours, theirs)
    assert paired.low > 0 and bootstrap_mean(ours).low < bootstrap_mean(theirs).high


@pytest.mark.parametrize("values", [[1.0], [1.0, float("nan")]])
def test_too_few_or_broken_values_are_refused(values):
    with pytest.raises(ValueError, match="two or more finite values"):
        bootstrap_mean(np.array(values))
    with pytest.raises(ValueError, match="equal numbers"):
        paired_difference(np.ones(3), np.ones(4))


def test_counts_are_draws_with_replacement_in_as_many_chunks_as_needed(monkeypatch):
    monkeypatch.setattr("cpack_lib.evaluation.scores.intervals.AT_ONCE", 70)
    chunks = list(counts_of(10, 50, np.random.default_rng(0)))
    counts = np.concatenate(chunks)
    assert len(chunks) == 8 and counts.shape == (50, 10) and (counts.sum(axis=1) == 10).all()
    assert counts.mean() == 1 and counts.var() == pytest.approx(0.9, abs=0.15)


@pytest.fixture
def pairs():
    """A correlation of 150 items: scores of two models, the second worse, on another scale, and labels."""
    draw = np.random.default_rng(4)
    labels = draw.integers(0, 4, size=150).astype(float)
    return labels + draw.normal(0, 1.5, 150), 0.9 + (labels + draw.normal(0, 6.0, 150)) / 100, labels


def ranked(scores, labels):
    return Ranked([weighed.places_of(scores)], labels, weighed.spearman)


def test_the_interval_of_a_correlation_is_scipys_bootstrap_of_pairs(pairs):
    scores, _, labels = pairs
    sample = ranked(scores, labels)
    assert sample.score() == pytest.approx(spearmanr(scores, labels).statistic, abs=1e-12)
    found = interval(sample.score(), sample.drawn(2000, generator("any")))
    theirs = bootstrap(
        (scores, labels),
        lambda a, b: spearmanr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_two_models_meet_the_same_draws(pairs):
    scores, _, labels = pairs
    sample, nearly = ranked(scores, labels), ranked(scores + 0.1 * np.sin(scores), labels)
    paired = sample.drawn(500, generator(0, "a")) - nearly.drawn(500, generator(0, "a"))
    not_paired = sample.drawn(500, generator(0, "a")) - nearly.drawn(500, generator(0, "b"))
    assert paired.std() < not_paired.std() / 4


def test_the_p_of_a_mean_is_scipys_sign_flips():
    draw = np.random.default_rng(6)
    ours, theirs = draw.normal(0.05, 1, size=(60, 1)), draw.normal(0, 1, size=(60, 1))
    difference = float((ours - theirs).mean())
    found = tail(difference, Mean(ours).exchanged(Mean(theirs), 4000, generator("flips")))
    flips = permutation_test(
        ((ours - theirs).ravel(),),
        np.mean,
        permutation_type="samples",
        n_resamples=4000,
        rng=np.random.default_rng(2),
    )
    assert found == pytest.approx(flips.pvalue, abs=0.03) and 0.01 < found < 0.9


def test_the_exchange_of_ranked_items_is_the_slow_one(pairs):
    ours, theirs, labels = pairs
    found = ranked(ours, labels).exchanged(ranked(theirs, labels), 40, generator("coins"))
    coins = generator("coins").integers(2, size=(40, 150), dtype=np.uint8).astype(bool)
    a, b = (middle_ranks(weighed.places_of(scores)) for scores in (ours, theirs))
    slow = [
        spearmanr(np.where(coin, b, a), labels).statistic - spearmanr(np.where(coin, a, b), labels).statistic
        for coin in coins
    ]
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_a_worse_model_is_found_worse_and_an_equal_one_is_not(pairs):
    ours, theirs, labels = pairs
    good, bad = ranked(ours, labels), ranked(theirs, labels)
    assert tail(good.score() - bad.score(), good.exchanged(bad, 1000, generator(1))) < 0.01
    draw, chances = np.random.default_rng(8), []
    for trial in range(40):
        one, two = (ranked(labels + draw.normal(0, 1.5, 150), labels) for _ in range(2))
        chances.append(tail(one.score() - two.score(), one.exchanged(two, 200, generator(trial))))
    assert sum(p < 0.1 for p in chances) <= 9 and 0.3 < np.mean(chances) < 0.7


def test_an_interval_holds_items_and_repeats():
    by_item, by_repeat = np.linspace(0, 1, 50), np.linspace(0, 1, 10)
    items, repeats = np.ones((50, 10)) * by_item[:, None], np.ones((50, 10)) * by_repeat
    assert Mean(items).drawn(4000, generator(1)).std() == pytest.approx(by_item.std() / 50**0.5, rel=0.1)
    assert Mean(repeats).drawn(4000, generator(1)).std() == pytest.approx(by_repeat.std() / 10**0.5, rel=0.1)


def test_holm_is_the_stepwise_rule():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    chances = np.random.default_rng(0).random(12)
    assert (holm(chances) >= chances).all() and holm([0.9, 0.8]).max() == 1
    assert (holm(chances) >= false_discovery_control(chances) - 1e-12).all()  # it promises more


def test_an_interval_of_nothing_is_unknown():
    assert np.isnan(interval(0.5, np.array([np.nan, np.nan])).low)
    assert interval(0.5, np.array([np.nan, 0.2, 0.4])).high < 0.4 + 1e-9
