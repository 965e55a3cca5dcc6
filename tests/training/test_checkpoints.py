"""Checkpoints: whole or absent, and a killed run that goes on as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import torch
from safetensors.torch import load_file
from torch import nn

from cpack_lib.training.checkpoints import last_checkpoint, load_checkpoint, save_checkpoint
from cpack_lib.training.log import opened
from cpack_lib.training.loop import train

STEPS = 40


class Tied(nn.Module):
    """Two names for one weight, as a BERT's embeddings and its output have."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight


def stepped(model, optimizer, times):
    """The model after some optimiser steps."""
    for _ in range(times):
        optimizer.zero_grad()
        model.second(model.first(torch.ones(2, 3)).tanh()).square().sum().backward()
        optimizer.step()
    return model


def test_model_and_optimiser_come_back_exactly(tmp_path):
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    save_checkpoint(tmp_path, 3, stepped(model, optimizer, 3), optimizer)
    other = Tied()
    resumed = torch.optim.AdamW(other.parameters(), lr=0.1)
    assert load_checkpoint(last_checkpoint(tmp_path), other, resumed) == 3
    stepped(model, optimizer, 2), stepped(other, resumed, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert other.first.weight is other.second.weight


def test_one_checkpoint_is_kept_and_an_unfinished_one_is_never_read(tmp_path):
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters())
    assert last_checkpoint(tmp_path) is None
    (tmp_path / ".checkpoint.new").mkdir()
    (tmp_path / ".checkpoint.new/weights.safetensors").write_bytes(b"torn")
    assert last_checkpoint(tmp_path) is None
    for step in (9, 10, 1_000):
        save_checkpoint(tmp_path, step, stepped(model, optimizer, 1), optimizer)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-0001000"]
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-0001000"


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    with opened(log, done=2) as file:
        file.write('{"step": 3, "again": 1}\n')
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3, "again": 1}\n'
    with opened(tmp_path / "new.jsonl", done=0) as file:
        assert file.tell() == 0


def program(folder, settings):
    """The loop as a process of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(settings)))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cpack_lib.training.loop", str(folder / "config.json")]
    return subprocess.Popen(command, env=environment, start_new_session=True)


def lines(folder):
    """The whole lines of the log."""
    log = folder / "log.jsonl"
    text = log.read_text("utf-8") if log.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def without_seconds(found):
    """Lines of a log but for the time they took."""
    return [
        {name: line[name] for name in line if name != "seconds" and not name.endswith("_s")} for line in found
    ]


def test_killed_at_any_moment_the_run_ends_with_the_same_weights(settled, tmp_path):
    settings, chance = settled(steps=STEPS), random.Random()
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    unbroken.mkdir()
    train(settings, unbroken)
    for _ in range(2):
        run, before = program(killed, settings), len(lines(killed))
        while run.poll() is None and len(lines(killed)) <= before + chance.randrange(2, 12):
            time.sleep(0.002)
        time.sleep(chance.random() * 0.05)
        os.kill(run.pid, signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        assert not (killed / "encoder").exists()
    assert program(killed, settings).wait() == 0
    assert without_seconds(lines(killed)) == without_seconds(lines(unbroken))
    assert [line["step"] for line in lines(killed)] == list(range(1, STEPS + 1))
    ours, theirs = (load_file(folder / "encoder/model.safetensors") for folder in (unbroken, killed))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
