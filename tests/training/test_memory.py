"""What autograd keeps, counted against sizes known by hand; what will not fit is refused."""

import ast
import json
import re
from dataclasses import replace

import polars as pl
import pytest
import torch
from torch import nn

from cpack_lib.training.clock import Clock
from cpack_lib.training.loop import train
from cpack_lib.training.memory import GIB, PASSING, estimate, kept_bytes, will_fit
from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.objectives.contrastive import EncoderContrast
from cpack_lib.training.ranks import Ranks
from tests.training.conftest import random_texts, tiny_bert


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


@pytest.fixture
def objective(settled, tmp_path):
    """The contrast of a tiny encoder, in training."""
    made = EncoderContrast(settled(), tmp_path)
    made.model.train()
    return made


@pytest.mark.parametrize("recompute", [False, True])
def test_a_chunk_keeps_what_was_estimated(settled, objective, recompute):
    settings = settled(tokens_per_chunk=20 * objective.longest, recompute=recompute)
    measured = kept_bytes(objective.sample(settings, 20), objective.model) / GIB
    told = estimate(objective, settings, objective.longest)["one chunk"] / (1 + PASSING)
    assert told == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize("size", [1, 3])
def test_kept_chunks_are_planned_for_the_size_of_groups(settled, tmp_path, size):
    texts, path = random_texts(120, seed=2), tmp_path / "groups.parquet"
    columns = {"query": texts[:24], "passages": [texts[24 + 4 * i : 28 + 4 * i] for i in range(24)]}
    pl.DataFrame(columns | {"source": "诗"}).write_parquet(path)
    settings = settled(data=str(path), group_size=size, rows_per_step=24, tokens_per_chunk=64)
    made = EncoderContrast(settings, tmp_path / "made")
    made.model.train()
    assert made.places() == 24 * (1 + size) * made.longest
    told = estimate(made, settings, made.longest)
    everything = kept_bytes(made.sample(settings, 24 * (1 + size)), made.model) / GIB
    assert told["kept chunks"] + told["one chunk"] / (1 + PASSING) == pytest.approx(everything, rel=0.15)


def test_what_is_only_asked_is_planned_as_well(settled, start, tmp_path):
    needed = [
        EncoderContrast(settled(**changes), tmp_path / str(i)).besides()
        for i, changes in enumerate(({}, {"guide": str(start)}, {"guide": str(start), "widths": [32, 16]}))
    ]
    assert needed == sorted(set(needed))


def test_recomputing_keeps_less(settled, objective):
    kept = [
        kept_bytes(objective.sample(settled(recompute=recompute), 20), objective.model)
        for recompute in (False, True)
    ]
    assert kept[1] < kept[0] / 2


def test_more_than_there_is_is_refused_with_settings_that_fit(settled, objective, tmp_path):
    settings = settled(tokens_per_chunk=100_000, memory_gib=0.02)
    with pytest.raises(
        MemoryError, match=r"needs .* GiB beside the weights .*set tokens_per_chunk to"
    ) as caught:
        will_fit(objective, settings, objective.longest, Ranks())
    assert "\n" not in str(caught.value)
    named = dict(re.findall(r"(tokens_per_chunk|activations_gib|recompute) to ([\w.]+)", str(caught.value)))
    changes = {name: ast.literal_eval(value) for name, value in named.items()}
    parts = will_fit(objective, replace(settings, **changes), objective.longest, Ranks())
    assert sum(parts.values()) - parts["free"] <= 0.02


def test_what_fits_nowhere_is_said(settled, objective):
    with pytest.raises(MemoryError, match="no smaller chunks fit either"):
        will_fit(objective, settled(memory_gib=1e-5), objective.longest, Ranks())


def test_a_run_that_will_not_fit_stops_before_its_first_step(settled, tmp_path):
    with pytest.raises(MemoryError):
        train(settled(memory_gib=1e-5), tmp_path)
    assert not (tmp_path / "log.jsonl").exists()


def test_a_run_notes_what_it_needed_and_held(settled, tmp_path):
    train(settled(steps=2), tmp_path)
    told = json.loads((tmp_path / "memory.json").read_text())
    assert told["needed_gib"].keys() >= {"gradients and moments", "one chunk", "kept chunks", "free"}
    assert told["held_gib"] > 0.1


@pytest.mark.parametrize("name", ["bag", "retromae"])
def test_every_objective_can_be_weighed(settled, tokenizer, tmp_path, name):
    changes = {}
    if name == "retromae":
        tiny_bert(tokenizer).save_pretrained(tmp_path / "lm"), tokenizer.save_pretrained(tmp_path / "lm")
        pl.DataFrame({"text": random_texts(9), "source": "诗"}).write_parquet(tmp_path / "texts.parquet")
        changes = {"start": str(tmp_path / "lm"), "data": str(tmp_path / "texts.parquet")}
    made = OBJECTIVES[name](settled(objective=name, width=16, **changes), tmp_path)
    parts = estimate(made, made.settings, made.longest)
    assert all(0 <= value < 1 for value in parts.values()) and parts["embeddings and scores"] > 0
