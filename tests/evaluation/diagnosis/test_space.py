"""Collapsed spaces, onto a point, few dimensions, few texts, and sound ones; poolings, right and wrong."""

import numpy as np
import pytest
import torch

from cpack_lib.evaluation.diagnosis.measures import effective_rank, mean_cosine, occurrences, skewness
from cpack_lib.evaluation.diagnosis.space import (
    crowded_space,
    few_dimensions,
    halves,
    hubs,
    pooled,
    vectors_finite,
    wrong_pooling,
)

every_seed = pytest.mark.parametrize("seed", range(5))


def spread(seed, N=400, D=128, off=0.2):
    """Vectors of length one around a mean that is not 0, as trained encoders have them: (N, D)."""
    x = np.random.default_rng(seed).normal(size=(N, D)) / np.sqrt(D)
    x[:, 0] += off
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@every_seed
def test_a_spread_space_is_fine_in_every_respect(seed):
    found = [each(spread(seed)) for each in (vectors_finite, crowded_space, few_dimensions, hubs)]
    assert not [finding for finding in found if finding.fires]


@every_seed
@pytest.mark.parametrize(("off", "severity"), [(2.5, "warning"), (8.0, "failure")])
def test_a_cone_is_crowded(seed, off, severity):
    found = crowded_space(spread(seed, off=off))
    assert found.severity == severity and "subtract the mean" in found.remedy


def test_the_mean_cosine_is_that_of_all_pairs():
    x = spread(0, N=30)
    products = x @ x.T
    assert np.isclose(mean_cosine(x), products[~np.eye(30, dtype=bool)].mean())
    assert np.isclose(mean_cosine(3 * x), mean_cosine(x))


@every_seed
def test_a_flat_space_has_few_dimensions_whatever_its_cosines(seed):
    chance = np.random.default_rng(seed)
    plane = chance.normal(size=(400, 16)) @ chance.normal(size=(16, 128))
    plane /= np.linalg.norm(plane, axis=1, keepdims=True)
    assert few_dimensions(plane).severity == "failure"
    assert not crowded_space(plane).fires


def test_the_effective_rank_counts_directions_that_are_alike():
    corners = np.concatenate([np.eye(8), -np.eye(8)])
    assert np.isclose(effective_rank(corners), 8)
    assert effective_rank(np.ones((5, 3))) == 1


@every_seed
def test_long_vectors_are_hubs_until_they_are_scaled(seed):
    lengths = np.random.default_rng(seed).lognormal(sigma=1.0, size=400)
    x = spread(seed)
    found = hubs(x * lengths[:, None])
    assert found.severity == "failure" and "Normalize" in found.remedy
    assert not hubs(x).fires


def test_neighbours_are_counted_without_oneself():
    angles = np.array([0.0, 0.1, 0.3, 0.7])
    line = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert occurrences(line, k=1).tolist() == [1, 2, 1, 0]
    assert occurrences(line, k=1).sum() == 4
    assert skewness(np.ones(5)) == 0
    with pytest.raises(ValueError, match="4 vectors have no 4 neighbours"):
        occurrences(line, k=4)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_a_vector_that_is_none_is_a_failure_and_stops_the_others(wrong):
    x = spread(0)
    x[7] = wrong
    assert vectors_finite(x).severity == "failure"
    with pytest.raises(ValueError, match="row 7"):
        crowded_space(x)


def test_texts_are_halved_and_states_pooled():
    assert halves(["短", "一二三四五六七八九十一二三四五六", "短"]) == (
        ["一二三四五六七八"],
        ["九十一二三四五六"],
    )
    states = torch.tensor([[[1.0, 5.0], [3.0, 1.0], [9.0, 9.0]]])
    is_token = torch.tensor([[True, True, False]])
    found = {name: pooled(states, is_token, name)[0].tolist() for name in ("cls", "mean", "max")}
    assert found == {"cls": [1.0, 5.0], "mean": [2.0, 3.0], "max": [3.0, 5.0]}
    with pytest.raises(ValueError, match="choose one of cls, mean, max"):
        pooled(states, is_token, "last")


@pytest.mark.parametrize("seed", range(5))
def test_a_pooling_is_wrong_where_another_surely_finds_more(seed):
    chance = np.random.default_rng(seed)
    fact = chance.normal(size=(300, 32))
    by = {
        name: tuple(
            (each := fact + noise * chance.normal(size=(300, 32))) / np.linalg.norm(each, axis=1)[:, None]
            for _ in "ab"
        )
        for name, noise in (("cls", 0.8), ("mean", 1.6))
    }
    assert wrong_pooling(by, used="mean").severity == "failure"
    assert "by cls" in wrong_pooling(by, used="mean").evidence
    assert not wrong_pooling(by, used="cls").fires
    assert not wrong_pooling({"cls": by["cls"], "mean": by["cls"]}, used="mean").fires
    with pytest.raises(ValueError, match="'max' has nothing to be compared"):
        wrong_pooling(by, used="max")
