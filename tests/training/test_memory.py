"""What autograd keeps, counted against sizes known by hand."""

import torch
from torch import nn

from cpack_lib.training.clock import Clock
from cpack_lib.training.memory import kept_bytes


def test_a_product_keeps_its_input_and_no_weight():
    model = nn.Linear(8, 16)
    rows = torch.randn(10, 8)
    assert kept_bytes(lambda: model(rows), model) == 10 * 8 * 4


def test_the_same_memory_counts_once():
    model, rows = nn.Linear(8, 8), torch.randn(4, 8)
    once = kept_bytes(lambda: model(rows), model)
    assert kept_bytes(lambda: model(rows) + model(rows), model) == once


def test_nothing_is_kept_without_gradients():
    model = nn.Linear(8, 8)
    with torch.no_grad():
        assert kept_bytes(lambda: model(torch.randn(4, 8)), model) == 0


def test_twice_the_texts_keep_twice_the_bytes():
    model = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))
    few, many = (kept_bytes(lambda n=n: model(torch.randn(n, 8)), model) for n in (5, 10))
    assert many == 2 * few


def test_a_clock_adds_the_times_of_a_part_and_begins_anew():
    clock = Clock()
    for _ in range(2):
        with clock("embed again"):
            sum(range(1000))
    with clock("loss"):
        pass
    assert list(clock.read()) == ["embed_again_s", "loss_s"] and clock.read() == {}


def test_an_idle_clock_notes_nothing():
    clock = Clock(ticks=False)
    with clock("loss"):
        pass
    assert clock.read() == {}
