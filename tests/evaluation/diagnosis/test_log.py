"""Logs of trainings: broken ones and healthy ones of several seeds, float16, memory, last words."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cpack_lib.evaluation.diagnosis.log import (
    contrast_solved,
    falling_probe,
    last_words,
    loss_not_finite,
    nothing_learnt,
    out_of_memory,
    rising_task,
    unsteady_gradients,
    worse_than_blind,
)
from cpack_lib.evaluation.diagnosis.models import float16_overflow, largest_numbers

P = 256
GUESS = math.log(P)


def losses(seed, start=GUESS, end=1.0, noise=0.15, steps=100):
    """A loss that falls from one value to another, with noise."""
    chance = np.random.default_rng(seed)
    return (np.linspace(start, end, steps) + chance.normal(scale=noise, size=steps)).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_a_training_that_learns_has_a_healthy_log(seed):
    found = losses(seed)
    norms = np.abs(np.random.default_rng(seed).normal(1.0, 0.2, size=100)) * np.linspace(3, 1, 100)
    judges = (nothing_learnt, worse_than_blind, contrast_solved)
    assert not any(judge(found, P).fires for judge in judges)
    assert not loss_not_finite(found, norms).fires and not unsteady_gradients(norms).fires
    assert not falling_probe([0.4, 0.6, 0.71, 0.705]).fires


@pytest.mark.parametrize("seed", range(5))
def test_a_loss_at_a_blind_guess_has_learnt_nothing(seed):
    assert nothing_learnt(losses(seed, end=GUESS, noise=0.02), P).severity == "failure"
    assert not nothing_learnt(losses(seed, end=GUESS, noise=0.02), passages=P**2).fires


@pytest.mark.parametrize("seed", range(5))
def test_a_loss_far_above_and_one_near_nothing_fire(seed):
    assert worse_than_blind(losses(seed, end=4 * GUESS), P).severity == "failure"
    assert contrast_solved([*losses(seed)[:60], *[0.002] * 40], P).severity == "failure"


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_number_that_is_none_is_found_in_losses_and_norms(wrong):
    sound = losses(0)
    assert loss_not_finite([*sound, wrong]).severity == "failure"
    assert "step 3" in loss_not_finite(sound, [1.0, 1.0, wrong]).evidence
    assert nothing_learnt([wrong] * 30, P).severity == "failure"


def test_gradients_that_leap_after_warm_up_fire_and_early_ones_do_not():
    assert unsteady_gradients([1.0] * 50 + [80.0] + [1.0] * 49).severity == "failure"
    assert not unsteady_gradients([80.0] + [1.0] * 99).fires
    with pytest.raises(ValueError, match="no gradient norm"):
        unsteady_gradients([math.nan] * 10)


def test_a_probe_that_ends_below_its_best_fell():
    found = falling_probe([0.70, 0.83, 0.63, 0.68])
    assert found.severity == "failure" and "look 2 of 4" in found.evidence


def test_a_task_whose_loss_rises_is_named():
    found = rising_task({"retrieval": [2.0, 1.5, 2.6], "sts": [1.0, 0.8, 0.7]})
    assert found.severity == "failure" and "harms retrieval" in found.remedy
    assert not rising_task({"retrieval": [2.0, 1.5, 1.52], "sts": [1.0, 0.8, 0.7]}).fires


@pytest.mark.parametrize("seed", range(3))
def test_numbers_beyond_float16_are_seen_where_they_arise(seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    x = torch.randn(4, 8)
    with largest_numbers(net) as sound:
        kept = net(x)
    assert set(sound) == {"0", "1", "2"} and math.isclose(sound["2"], kept.abs().max().item())
    assert not float16_overflow(sound).fires
    with torch.no_grad():
        net[0].weight *= 1e6
        net[0].bias *= 1e6
        net[2].weight /= 1e6
    with largest_numbers(net) as loud:
        torch.testing.assert_close(net(x), kept, rtol=1e-3, atol=1e-4)
    found = float16_overflow(loud)
    assert found.severity == "failure" and found.evidence.startswith(("0 ", "1 "))
    assert net.half()(x.half()).isfinite().logical_not().any()
    assert not net[0]._forward_hooks


def test_memory_that_is_not_there():
    needed = {"one chunk": 2.0, "gradients and moments": 1.0}
    assert out_of_memory(needed, free=2.0).severity == "failure"
    assert not out_of_memory(needed, free=8.0).fires


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", ["out of memory"]),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory", ["out of memory"]),
        ("MemoryError: a step needs 3.10 GiB beside the weights", ["out of memory"]),
        ("FloatingPointError: step 7: loss nan, gradient norm nan; rows [1]", ["loss not finite"]),
        ("IndexError: index out of range in self", ["ids without a row"]),
        ("ModuleNotFoundError: No module named 'apex'\nloading weights", []),
    ],
)
def test_last_words_are_recognised(said, names):
    found = last_words(f"Traceback (most recent call last):\n{said}\n")
    assert [finding.name for finding in found] == names
    assert all(finding.fires and finding.remedy for finding in found)
