"""Several processes make the step of one: equal loss, equal gradients, three collectives."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from cpack_lib.model.encoder import Encoder, save_encoder
from cpack_lib.training.ranks import Everything, Ranks
from cpack_lib.work.files import ROOT
from tests.processes import alive, gone_soon
from tests.training.conftest import random_texts, tiny_bert

SIZES = (1, 2, 3, 4)
ALL = {
    "widths": [32, "8=0.5"],
    "distillation": 0.4,
    "in_batch_off": ["sts"],
    "both_ways": True,
    "margin": 0.1,
}
CASES = {  # of the contrast but for their names; dropout off, float32
    "plain": {},
    "small-chunks": {"tokens_per_chunk": 30},
    "cached": {"activations_gib": 1e-6, "tokens_per_chunk": 64},
    "both-ways": {"both_ways": True},
    "guarded": {"both_ways": True, "margin": 0.1, "temperature": 0.02},
    "guided": {"both_ways": True, "guide": True},
    "few-texts": {"rows_per_step": 1},
    "cached-dropout": {"activations_gib": 1e-6, "dropout": 0.3, "tokens_per_chunk": 64},
    "plain-dropout": {"dropout": 0.3, "tokens_per_chunk": 64},
    "alone": {"in_batch_off": ["sts"], "both_ways": True},
    "taught": {"distillation": 0.5, "teacher_temperature": 1.0},
    "teacher": {"distillation": 0.5, "teacher": True, "distilled": "batch", "in_batch_off": ["sts"]},
    "two-asked": {"distillation": 0.5, "teacher": True, "guide": True, "group_size": 2},
    "widths": {"widths": [32, "8=0.5"], "distillation": 0.3, "both_ways": True},
    "all-plain-dropout": {"dropout": 0.3, "tokens_per_chunk": 64} | ALL,
    "all-cached-dropout": {"dropout": 0.3, "tokens_per_chunk": 64, "activations_gib": 1e-6} | ALL,
    "double": {"tokens_per_chunk": 64, "activations_gib": 1e-6} | ALL,
    "bag": {"objective": "bag", "width": 16},
    "bag-taught": {"objective": "bag", "width": 16, "widths": [16, 4], "distillation": 0.5},
}


@pytest.fixture(scope="module")
def groups(tmp_path_factory) -> Path:
    """13 queries with one to three passages of very different lengths, one of them twice."""
    texts, path = random_texts(60), tmp_path_factory.mktemp("groups") / "groups.parquet"
    passages = [[texts[13 + i], *texts[26 + 2 * i : 26 + 2 * i + i % 3]] for i in range(13)]
    passages[5][0] = passages[2][0]
    columns = {"query": texts[:13], "passages": passages, "source": ["诗"] * 13}
    columns["task"] = ["retrieval", "retrieval", "sts", "sts"] * 3 + ["nli"]
    columns["scores"] = [[0.9 - 0.3 * i - 0.01 * q for i in range(1 + q % 3)] for q in range(13)]
    pl.DataFrame(columns).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def steps(groups, start, tokenizer, tmp_path_factory) -> Path:
    """One step of every case on 1, 2, 3 and 4 processes."""
    folder = tmp_path_factory.mktemp("steps")
    guide = tmp_path_factory.mktemp("guide") / "encoder"
    save_encoder(Encoder(tiny_bert(tokenizer, seed=5).bert, tokenizer), guide)
    for name, changes in CASES.items():
        given = {"objective": "contrast", "start": str(start), "data": str(groups), "steps": 1}
        given |= {"rows_per_step": 13, "learning_rate": 1e-3, "dropout": 0.0} | changes
        given |= {role: str(guide) for role in ("guide", "teacher") if changes.get(role)}
        (folder / f"{name}.json").write_text(json.dumps(given), "utf-8")
    for size in SIZES:
        started(size, [str(ROOT / "tests/training/together.py"), str(folder)])
    return folder


def started(size: int, arguments: list[str], check: bool = True) -> int:
    """Run a program on `size` processes to its end: its exit code."""
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *several, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert not check or done.returncode == 0, done.stderr[-4000:]
    return done.returncode


def found(folder: Path, case: str, size: int, rank: int = 0) -> tuple[dict, dict[str, torch.Tensor]]:
    """What one process wrote of one case."""
    place = folder / f"{case}-{size}"
    return json.loads((place / f"{rank}.json").read_text()), load_file(place / f"{rank}.safetensors")


def test_a_double_step_is_that_of_one_process_to_double_precision(steps):
    gradients, mine = found(steps, "double", 1)[1], found(steps, "double", 3, 2)[1]
    assert {weight.dtype for weight in mine.values()} == {torch.float64}
    assert_equal(mine, gradients, share=1e-13)


def assert_equal(ours, theirs, share=1e-6):
    """Equal gradients, but for a share of the length of all of them."""
    whole = torch.cat([theirs[name].flatten() for name in theirs]).double().norm()
    for name in theirs:
        assert (ours[name] - theirs[name]).double().norm() <= share * whole + 1e-9, name


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("case", [case for case in CASES if "dropout" not in case])
def test_the_loss_and_every_gradient_are_those_of_one_process(steps, case, size):
    told, gradients = found(steps, case, 1)
    for rank in range(size):
        here, mine = found(steps, case, size, rank)
        assert here["sums"]["loss"] == pytest.approx(told["sums"]["loss"], rel=1e-6)
        assert_equal(mine, gradients)
    if "bag" not in case:
        assert here["sums"]["tokens"] == told["sums"]["tokens"]
        assert here["sums"]["positive_cosine"] == pytest.approx(told["sums"]["positive_cosine"], rel=1e-5)


@pytest.mark.parametrize("case", ["small-chunks", "cached"])
def test_chunks_and_the_cache_change_nothing(steps, case):
    (told, gradients), (here, mine) = found(steps, "plain", 1), found(steps, case, 1)
    assert here["sums"]["loss"] == pytest.approx(told["sums"]["loss"], rel=1e-6)
    assert_equal(mine, gradients)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", ["", "all-"])
def test_with_dropout_on_the_cached_step_is_the_plain_one(steps, size, case):
    (told, gradients), (here, mine) = (
        found(steps, f"{case}plain-dropout", size),
        found(steps, f"{case}cached-dropout", size),
    )
    assert here["sums"]["loss"] == pytest.approx(told["sums"]["loss"], rel=1e-6)
    assert_equal(mine, gradients)
    assert here["sums"]["loss"] != pytest.approx(found(steps, "plain", 1)[0]["sums"]["loss"], rel=1e-3)


@pytest.mark.parametrize("case", ["guarded", "guided"])
def test_guards_change_the_loss(steps, case):
    assert found(steps, case, 1)[0]["sums"]["loss"] != found(steps, "both-ways", 1)[0]["sums"]["loss"]


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("case", ["plain", "small-chunks", "cached", "both-ways", "few-texts"])
def test_a_step_is_one_gather_one_reduction_and_one_sum(steps, case, size):
    expected = {"all_gather_into_tensor": 1, "reduce_scatter_tensor": 1, "all_reduce": 1}
    assert found(steps, case, size)[0]["calls"] == expected
    assert found(steps, case, 1)[0]["calls"] == {}


@pytest.mark.parametrize("case", ["alone", "taught", "teacher", "widths"])
def test_switches_change_the_loss(steps, case):
    plain = "both-ways" if CASES[case].get("both_ways") else "plain"
    here, there = (found(steps, name, 1)[0]["sums"]["loss"] for name in (case, plain))
    assert here != pytest.approx(there, rel=1e-2)


@pytest.mark.parametrize("case", ["guided", "teacher", "two-asked"])
def test_an_encoder_that_is_asked_costs_one_gather_more(steps, case):
    assert found(steps, case, 3)[0]["calls"] == {
        "all_gather_into_tensor": 2,
        "reduce_scatter_tensor": 1,
        "all_reduce": 1,
    }  # one that is both guide and teacher is asked once


@pytest.mark.parametrize("N", [0, 1, 3, 8, 17])
@pytest.mark.parametrize("size", SIZES)
def test_every_text_has_one_owner_and_the_work_is_even(N, size):
    costs = np.random.default_rng(N).integers(1, 50, N)
    shares = Ranks(0, size).shares(costs)
    assert sorted(np.concatenate(shares).tolist()) == list(range(N)) and len(shares) == size
    loads = [costs[share].sum() for share in shares]
    assert max(loads) - min(loads) <= (costs.max() if N else 0)


def test_alone_everything_is_mine_in_order():
    rows, share = torch.randn(5, 3, requires_grad=True), np.asarray([4, 0, 2, 1, 3])
    out = Everything.apply(rows, Ranks(), [share])
    assert torch.equal(out[share], rows)
    gradient = torch.randn(5, 3)
    out.backward(gradient)
    assert torch.equal(rows.grad, gradient[share])


def test_a_run_on_two_processes_goes_on_on_one_with_the_same_batches(settled, tmp_path):
    settings = settled(steps=8, dropout=0.0, checkpoint_every=1, rows_per_step=7)
    whole, moved = tmp_path / "whole", tmp_path / "moved"
    for folder, steps in ((whole, 8), (moved, 8)):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(asdict(settings) | {"steps": steps}))
    command = ["-m", "cpack_lib.training.loop"]
    started(1, [*command, str(whole / "config.json")])
    (moved / "config.json").write_text(json.dumps(asdict(settings) | {"minutes": 1e-9}))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [sys.executable, *several, *command, str(moved / "config.json")], env=environment, cwd=ROOT
    )
    assert not (moved / "encoder").exists() and len((moved / "log.jsonl").read_text().splitlines()) == 1
    (moved / "config.json").write_text(json.dumps(asdict(settings)))
    started(1, [*command, str(moved / "config.json")])
    losses = [
        [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (whole, moved)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert (moved / "encoder").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends a process with the one that started it")
def test_no_process_outlives_a_torchrun_that_was_killed(settled, tmp_path):
    settled(steps=100_000)
    several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    module = ["-m", "cpack_lib.training.loop", str(tmp_path / "config.json")]
    run = subprocess.Popen(
        [sys.executable, *several, *module],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    log = tmp_path / "log.jsonl"
    while not log.exists() or not log.stat().st_size:
        assert run.poll() is None
        time.sleep(0.05)
    workers = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    assert len(workers) == 2 and all(map(alive, workers))
    run.kill()
    run.wait()
    assert all(map(gone_soon, workers))
    size = log.stat().st_size
    time.sleep(0.5)
    assert log.stat().st_size == size
