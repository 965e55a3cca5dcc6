"""Seconds on paper: parts that add up and move as they must; what is sent is what the engine sends."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist

from cpack_lib.training.planning.cluster import CARDS, CLUSTER, Network, card_of
from cpack_lib.training.planning.fits import EVERYTHING, NOTHING
from cpack_lib.training.planning.jobs import Job
from cpack_lib.training.planning.observed import lengths_of
from cpack_lib.training.planning.seconds import (
    cost_of,
    intensity,
    needed_flop,
    ring_s,
    seconds,
    seconds_sent,
    sent,
    step_s,
    utilisation,
)
from cpack_lib.training.ranks import Ranks
from tests.training.planning.planned import WORDS, empty_model

A100 = CARDS["a100-40g"]
KEPT = Job(size="base", batch=960, gpus=4, activations_gib=EVERYTHING)
TWICE = replace(KEPT, activations_gib=NOTHING)
SENT = Job(size="nano", batch=12, passages=2, gpus=4, words=WORDS)


def test_embedding_twice_costs_one_more_forward_pass():
    once, twice = seconds(KEPT, A100), seconds(TWICE, A100)
    assert twice["embed again"] == pytest.approx(once["embed"] + once["back"])
    assert once["embed again"] == twice["back"] == 0
    assert step_s(TWICE, A100) - step_s(KEPT, A100) == pytest.approx(once["embed"])


def test_parts_have_the_names_of_the_engines_clock():
    assert {"embed", "loss", "back", "embed again", "optimizer", "gather", "reduce"} <= seconds(
        KEPT, A100
    ).keys()
    retromae = seconds(Job(stage="retromae", batch=64), A100)
    assert retromae.keys() == {"forward", "back", "optimizer"}


def test_all_texts_shared_out_take_a_share_of_the_time():
    one = seconds(replace(KEPT, gpus=1), A100)
    assert one.keys().isdisjoint({"gather", "reduce"})
    assert seconds(KEPT, A100)["embed"] == pytest.approx(one["embed"] / 4, rel=0.02)


def test_a_card_twice_as_fast_halves_what_it_computes():
    fast = replace(A100, flop_per_s={kind: 2 * rate for kind, rate in A100.flop_per_s.items()})
    fast = replace(fast, bytes_per_s=2 * A100.bytes_per_s, stream=2 * A100.stream)
    slow, quick = seconds(KEPT, A100), seconds(KEPT, fast)
    assert quick["embed"] == pytest.approx(slow["embed"] / 2) and quick["reduce"] == slow["reduce"]


def test_what_is_put_to_use_is_less_than_what_is_reached():
    used = utilisation(KEPT, A100)
    assert 0 < utilisation(TWICE, A100) < used < A100.share_of_products
    assert needed_flop(KEPT) == needed_flop(TWICE) == needed_flop(replace(TWICE, recompute=True))
    lean = replace(Job(stage="retromae", batch=64), recompute=True)
    assert needed_flop(lean) == needed_flop(replace(lean, recompute=False))


def test_a_slow_network_shows_in_what_is_sent_alone():
    job = replace(KEPT, gpus=24)
    near, far = (seconds(job, A100, Network(gb_per_s=speed)) for speed in (25.0, 2.5))
    assert far["reduce"] == pytest.approx(10 * near["reduce"], rel=0.05)
    assert far["embed"] == near["embed"]


def test_large_products_are_above_the_ridge_and_passes_below():
    ridge = A100.flop_per_s["bfloat16"] / A100.bytes_per_s
    assert intensity(8_192, 1_024, 4_096, 2) > ridge > 100
    assert intensity(2, 2, 2, 4) == 16 / 48


def test_the_cost_is_hours_times_gpus_times_price():
    cost = cost_of(replace(KEPT, steps=3_600), A100, price=1.5)
    assert cost.hours == pytest.approx(step_s(KEPT, A100))
    assert (cost.gpu_hours, cost.money) == (pytest.approx(4 * cost.hours), pytest.approx(6 * cost.hours))
    assert cost.tokens_per_s == pytest.approx(KEPT.tokens / step_s(KEPT, A100))
    with pytest.raises(ValueError, match="price is -1; a GPU's hour costs 0 or more"):
        cost_of(KEPT, A100, price=-1)


def test_a_precision_the_card_lacks_is_refused():
    with pytest.raises(ValueError, match="t4 has no bfloat16"):
        step_s(KEPT, card_of("t4"))


@pytest.fixture
def calls(monkeypatch) -> dict[str, int]:
    """Bytes each collective is about, on one process that stands for four."""
    found: dict[str, int] = {}

    def gather(into, mine):
        found["gather"] = into.nbytes
        into.zero_()

    def scatter(into, everything):
        found["reduce embeddings"] = everything.nbytes
        into.zero_()

    monkeypatch.setattr(dist, "all_gather_into_tensor", gather)
    monkeypatch.setattr(dist, "reduce_scatter_tensor", scatter)
    monkeypatch.setattr(dist, "all_reduce", lambda row: found.update(reduce=row.nbytes))
    return found


def test_bytes_are_those_of_the_engine(calls):
    ranks, model = Ranks(0, SENT.gpus), empty_model(SENT)
    shares = ranks.shares(lengths_of(SENT))
    mine = torch.zeros(len(shares[0]), SENT.shape.width, requires_grad=True)
    ranks.everything(mine, shares).sum().backward()
    ranks.sum_gradients(model, [])
    assert calls == sent(SENT)


def test_uneven_shares_are_padded_to_the_longest(calls):
    ranks = Ranks(0, 5)
    shares = ranks.shares(np.ones(36))
    ranks.everything(torch.zeros(len(shares[0]), 8, requires_grad=True), shares)
    assert calls["gather"] == 5 * 8 * 8 * 4  # 8 rows each where the plan has 36 in all


@pytest.mark.parametrize("gpus", [1, 2, 7, 24])
def test_a_ring_is_its_rounds_one_after_the_other(gpus):
    size, pace, latency, waited = 1e9, 2e10, 1e-5, 0.0
    held, newest = [{rank} for rank in range(gpus)], list(range(gpus))
    while any(len(blocks) < gpus for blocks in held):  # each hands the block it got last to its neighbour
        newest = [newest[rank - 1] for rank in range(gpus)]
        for rank, block in enumerate(newest):
            held[rank].add(block)
        waited += size / gpus / pace + latency
    assert ring_s(size, gpus, pace, latency) == pytest.approx(waited)


def test_a_sum_is_a_reduction_and_a_gather():
    found = seconds_sent(replace(SENT, gpus=4), A100)
    whole = ring_s(sent(SENT)["reduce"], 4, A100.link, CLUSTER.latency_s)
    assert found["reduce"] == pytest.approx(2 * whole)


def test_retromae_sends_gradients_alone():
    found = seconds_sent(Job(stage="retromae", batch=720, gpus=24), A100)
    assert found["gather"] == found["reduce embeddings"] == 0 < found["reduce"]
