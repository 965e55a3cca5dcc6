"""The loop: it learns, it stops where nothing can be learnt, it resumes in the middle."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from cpack_lib.corpus.labelled.instructions import TASKS
from cpack_lib.model.encoder import load_encoder, saved_instruction
from cpack_lib.model.instructions import saved_prompts
from cpack_lib.training.checkpoints import last_checkpoint
from cpack_lib.training.instructed import mismatches
from cpack_lib.training.loop import AGAIN, new_plan, train
from cpack_lib.training.objectives.contrastive import EncoderContrast
from cpack_lib.training.optimiser import new_optimizer, schedule
from tests.training.conftest import random_texts


def logged(folder):
    """The lines of a log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("activations_gib", [1e-6, 4.0])
def test_it_overfits_32_pairs(settled, tmp_path, activations_gib):
    changes = {"steps": 60, "rows_per_step": 32, "learning_rate": 3e-3, "tokens_per_chunk": 256}
    train(settled(dropout=0.0, activations_gib=activations_gib, **changes), tmp_path)
    log = logged(tmp_path)
    assert log[0]["loss"] > 3 and log[-1]["loss"] < 0.01
    assert log[-1]["positive_cosine"] > 0.7


def test_it_writes_an_encoder_with_its_instruction(settled, tmp_path):
    train(settled(steps=2, instruction="为这个句子："), tmp_path)
    assert saved_instruction(tmp_path / "encoder") == "为这个句子："
    assert load_encoder(tmp_path / "encoder").encode(random_texts(3)).shape == (3, 32)


def test_without_a_step_it_writes_what_it_began_with_and_no_log(settled, tmp_path, start):
    train(settled(steps=0), tmp_path)
    ours, theirs = (load_file(place / "model.safetensors") for place in (tmp_path / "encoder", start))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not (tmp_path / "log.jsonl").exists()


def test_stopped_and_started_again_it_ends_the_same(settled, tmp_path, monkeypatch):
    settings = settled(steps=8, checkpoint_every=3)
    (tmp_path / "once").mkdir(), (tmp_path / "twice").mkdir()
    train(settings, tmp_path / "once")
    with monkeypatch.context() as patched:
        patched.setattr("cpack_lib.training.optimiser.schedule", stop_at(5))
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "twice")
    train(settings, tmp_path / "twice")
    ours, theirs = (load_file(tmp_path / name / "encoder/model.safetensors") for name in ("once", "twice"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert [line["step"] for line in logged(tmp_path / "twice")] == list(range(1, 9))


def test_on_a_cpu_threads_add_gradients_up_in_one_order(settled, tmp_path, monkeypatch):
    places, gradient = torch.randint(0, 64, (20_000,)), torch.randn(20_000, 32)
    found = set()

    def add_up(*_) -> bool:  # as for embeddings of positions, which thousands of tokens share
        for _ in range(20):
            table = torch.zeros(64, 32, requires_grad=True)
            table[places].backward(gradient)
            found.add(table.grad.numpy().tobytes())
        return True

    monkeypatch.setattr("cpack_lib.training.loop.trained", add_up)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert train(settled(), tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert not torch.are_deterministic_algorithms_enabled()
    assert len(found) == 1


def test_until_it_ends_for_now_with_a_checkpoint_and_goes_on_later(settled, tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    once.mkdir(), twice.mkdir()
    settings = settled(steps=8, checkpoint_every=100)
    assert train(settings, once)
    assert train(replace(settings, until=5), twice)
    assert not (twice / "encoder").exists() and last_checkpoint(twice).name.endswith("-0000005")
    assert train(replace(settings, until=99), twice)
    ours, theirs = (load_file(place / "encoder/model.safetensors") for place in (once, twice))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def stop_at(last):
    """A schedule during which somebody presses Ctrl-C."""

    def interrupted(step, steps, warmup_share, form):
        if step == last:
            raise KeyboardInterrupt
        return schedule(step, steps, warmup_share, form)

    return interrupted


def test_a_loss_that_is_no_number_stops_and_names_the_rows(settled, tmp_path, start, monkeypatch):
    broken = load_encoder(start)
    with torch.no_grad():
        broken.backbone.embeddings.LayerNorm.weight.fill_(float("nan"))
    monkeypatch.setattr("cpack_lib.training.objectives.contrastive.load_encoder", lambda place: broken)
    with pytest.raises(
        FloatingPointError,
        match=r"step 0: loss nan, .*; rows \[\d+(, \d+){7}\] and 0 more, all in .*failed_step.json",
    ):
        train(settled(), tmp_path)
    assert not (tmp_path / "encoder").exists() and not logged(tmp_path)
    failed = json.loads((tmp_path / "failed_step.json").read_text())
    assert failed["step"] == 0 and failed["loss"] == "nan" and len(failed["rows"]) == 8


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [schedule(step, steps=100, warmup_share=0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == max(rates) == 1
    assert rates[:10] == sorted(rates[:10]) and rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[-1] < 0.02
    assert schedule(0, steps=1, warmup_share=0.0) == 1


def test_a_cosine_rises_as_a_line_does_and_falls_softly():
    line, cosine = ([schedule(step, 100, 0.1, form) for step in range(100)] for form in ("linear", "cosine"))
    assert cosine[:10] == pytest.approx(line[:10], abs=0.01) and cosine[10:] == sorted(
        cosine[10:], reverse=True
    )
    assert cosine[20] > line[20] and cosine[90] < line[90] and 0 < cosine[-1] < 0.001


def test_some_checkpoints_are_kept(settled, tmp_path):
    train(settled(steps=8, checkpoint_every=2, keep_checkpoints=3), tmp_path)
    assert [path.name[-1] for path in sorted(tmp_path.glob("checkpoint-*"))] == ["4", "6", "8"]


@pytest.mark.parametrize("request_", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_stop_it_saves_says_so_and_goes_on(settled, tmp_path, request_):
    once, twice = tmp_path / "once", tmp_path / "twice"
    settings = settled(steps=40, checkpoint_every=1000)
    for folder in (once, twice):
        folder.mkdir()
        (folder / "config.json").write_text((tmp_path / "config.json").read_text())
    train(settings, once)
    command = [sys.executable, "-m", "cpack_lib.training.loop", str(twice / "config.json")]
    run = subprocess.Popen(command)
    while not (twice / "log.jsonl").exists() or not logged(twice):
        time.sleep(0.005)
    run.send_signal(request_)
    assert run.wait() == AGAIN == 75
    assert last_checkpoint(twice).name == f"checkpoint-{len(logged(twice)):07d}" and len(logged(twice)) < 40
    assert subprocess.run(command).returncode == 0
    ours, theirs = (load_file(folder / "encoder/model.safetensors") for folder in (once, twice))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_when_its_time_is_over_it_stops_after_a_checkpoint(settled, tmp_path):
    assert train(settled(minutes=1e-9), tmp_path) is False
    assert len(logged(tmp_path)) == 1 and last_checkpoint(tmp_path).name == "checkpoint-0000001"
    assert train(settled(minutes=0.0), tmp_path) is True


def test_only_matrices_decay(settled, encoder):
    decays, stays = new_optimizer(encoder, settled()).param_groups
    assert {weight.dim() for weight in decays["params"]} == {2} and decays["weight_decay"] == 0.01
    assert {weight.dim() for weight in stays["params"]} == {1} and stays["weight_decay"] == 0


def test_the_seed_decides(settled, tmp_path):
    settings, losses = settled(steps=2), {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        train(replace(settings, seed=seed), tmp_path / name)
        losses[name] = [line["loss"] for line in logged(tmp_path / name)]
    assert losses["a"] == losses["b"] != losses["c"]


@pytest.fixture
def tasks(tmp_path):
    """24 groups of two tasks, of one source each and of one that both share."""
    texts, path = random_texts(96, seed=6), tmp_path / "groups.parquet"
    columns = {"query": texts[:24], "passages": [texts[24 + 3 * i : 27 + 3 * i] for i in range(24)]}
    columns |= {"task": ["sts"] * 18 + ["search"] * 6, "source": ["诗"] * 9 + ["文"] * 12 + ["史"] * 3}
    columns["scores"] = [[0.9, 0.1, -0.2]] * 24
    pl.DataFrame(columns).write_parquet(path)
    return str(path)


@pytest.mark.parametrize(
    "changes, share",
    [
        ({"mixing": "one task"}, 6 / 24),
        ({"mixing": "one task", "sampled": "task", "sampling_power": 0.0}, 0.5),
        ({"sampled": "task", "source_weights": ["sts=1", "search=3"]}, 0.75),
        ({"sampling_power": 0.0}, (3 / 12 + 1) / 3),  # of 文 a quarter, of 史 all
    ],
)
def test_tasks_are_drawn_as_they_are_told(settled, tmp_path, tasks, changes, share):
    settings = settled(data=tasks, rows_per_step=3, **changes)
    plan = new_plan(EncoderContrast(settings, tmp_path), settings)
    names = ["sts"] * 18 + ["search"] * 6
    steps = [[names[row] for row in plan.step(step)] for step in range(160)]
    assert ("mixing" in changes) == all(len(set(step)) == 1 for step in steps)
    found = sum(step.count("search") for step in steps) / 480
    assert found == pytest.approx(share, abs=0.02)


def test_with_every_switch_on_it_overfits_and_saves_its_prompts(settled, start, tmp_path, tasks):
    settings = settled(
        data=tasks,
        steps=60,
        rows_per_step=6,
        learning_rate=3e-3,
        dropout=0.0,
        longest=64,
        activations_gib=1e-6,
        tokens_per_chunk=256,
        mixing="one task",
        sampled="task",
        sampling_power=0.5,
        in_batch_off=["sts"],
        group_size=2,
        distillation=0.3,
        widths=[32, "8=0.5"],
        instructed="every task",
        watch=tasks,
        watch_every=20,
        watch_rows=3,
    )
    train(settings, tmp_path)
    log = logged(tmp_path)
    first, last = (sum(line["loss"] for line in part) / 10 for part in (log[:10], log[-10:]))
    assert last < first / 3
    assert log[-1]["watch_loss_sts"] < log[19]["watch_loss_sts"]
    prompts = saved_prompts(tmp_path / "encoder")
    assert prompts == {
        "query": TASKS["search"].instruction["zh"],
        "document": "",
        "STS": TASKS["sts"].instruction["zh"],
    }
    groups = pl.read_parquet(tasks)
    assert mismatches(groups, prompts, instructed="every task") == []
    assert len(mismatches(groups, prompts)) == 3  # if the switch were forgotten


def test_widths_that_the_encoder_does_not_have_are_refused(settled, tmp_path):
    with pytest.raises(ValueError, match="widths has 64, but .* makes embeddings of 32 numbers; take fewer"):
        train(settled(widths=[64]), tmp_path)
    assert not (tmp_path / "log.jsonl").exists()


@pytest.mark.parametrize("mixing", ["mixed", "one source"])
def test_sources_are_drawn_as_they_weigh(settled, tmp_path, mixing):
    settings = settled(mixing=mixing, source_weights=["诗=0", "文=1"])
    plan = new_plan(EncoderContrast(settings, tmp_path), settings)
    drawn = [row for step in range(20) for row in plan.step(step)]
    assert set(drawn) == set(range(1, 32, 2))  # 文 has every other row
