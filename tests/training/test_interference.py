"""The watch tells what autograd over the whole encoder tells, and leaves a run as it would be."""

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cosine_similarity

from cpack_lib.model.encoder import load_encoder
from cpack_lib.model.tokens import pad
from cpack_lib.training.interference import Watch
from cpack_lib.training.loop import train
from cpack_lib.training.memory import estimate
from cpack_lib.training.objectives.contrastive import EncoderContrast
from tests.training.conftest import random_texts
from tests.training.obvious import obvious_loss
from tests.training.test_loop import logged


@pytest.fixture
def held_out(tmp_path):
    """12 groups of three tasks with one to three passages."""
    texts = random_texts(60, seed=8)
    passages = [[texts[12 + i], *texts[24 + 2 * i : 24 + 2 * i + i // 3 % 3]] for i in range(12)]
    columns = {
        "query": texts[:12],
        "passages": passages,
        "source": "诗",
        "task": ["sts", "nli", "search"] * 4,
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "held_out.parquet")
    return tmp_path / "held_out.parquet"


@pytest.fixture
def watching(settled, held_out):
    """A maker of settings with a watch."""
    return lambda **changes: settled(watch=str(held_out), **changes)


def by_autograd(encoder, watch, settings):
    """Loss and last layer's gradient of each task, one graph for all of it."""
    found, last = {}, list(encoder.backbone.encoder.layer[-1].parameters())
    for task, step in watch.steps.items():
        embeddings = encoder(*pad(step.queries + step.passages, encoder.tokenizer))
        loss = obvious_loss(embeddings, step, settings)
        gradient = torch.autograd.grad(loss, last)
        found[task] = loss.item(), torch.cat([part.flatten() for part in gradient])
    return found


@pytest.mark.parametrize("tokens_per_chunk", [30, 8_192])
@pytest.mark.parametrize("off", [[], ["sts"]])
def test_losses_and_cosines_are_those_of_plain_autograd(watching, start, tmp_path, tokens_per_chunk, off):
    settings = watching_off(watching(tokens_per_chunk=tokens_per_chunk), off)
    encoder = load_encoder(start).train()
    watch = Watch(settings, tmp_path, encoder)
    state = torch.get_rng_state()
    found = watch.look(encoder)
    assert torch.equal(torch.get_rng_state(), state) and encoder.training
    assert all(weight.requires_grad and weight.grad is None for weight in encoder.parameters())
    expected = by_autograd(encoder.eval(), watch, settings)
    assert found.pop("watch_s") > 0
    for task, (loss, _) in expected.items():
        assert found.pop(f"watch_loss_{task}") == pytest.approx(loss, rel=1e-5)
    for (one, (_, a)), (other, (_, b)) in itertools.combinations(expected.items(), 2):
        cosine = found.pop(f"gradient_cosine_{one}_{other}")
        assert cosine == pytest.approx(float(cosine_similarity(a, b, dim=0)), abs=1e-4)
    assert not found


def watching_off(settings, off):
    """The same settings with in-batch negatives off for some tasks."""
    return replace(settings, in_batch_off=[*off, "a task of the training data alone"])


def test_tasks_that_want_the_opposite_are_told_and_so_are_those_that_agree(settled, start, tmp_path):
    texts = random_texts(24, seed=9)
    rows = [(texts[i], texts[8 + 2 * i : 10 + 2 * i]) for i in range(8)]
    table = [(query, pair, "诗", task) for task in ("one", "same") for query, pair in rows]
    table += [(query, pair[::-1], "诗", "opposite") for query, pair in rows]
    table += [(query, [pair[0], pair[0]], "诗", "nothing") for query, pair in rows]
    path = tmp_path / "held_out.parquet"
    pl.DataFrame(table, schema=["query", "passages", "source", "task"], orient="row").write_parquet(path)
    settings = watching_off(settled(watch=str(path), temperature=1.0), ["one", "same", "opposite", "nothing"])
    encoder = load_encoder(start)
    found = Watch(settings, tmp_path, encoder).look(encoder)
    assert found["gradient_cosine_one_same"] == pytest.approx(1, abs=1e-5)
    assert found["gradient_cosine_one_opposite"] < -0.9
    assert found["watch_loss_nothing"] == found["gradient_cosine_one_nothing"] == 0


def test_a_run_that_is_watched_learns_the_same(settled, watching, tmp_path):
    changes = {"dropout": 0.3, "activations_gib": 1e-6, "tokens_per_chunk": 64}
    (tmp_path / "seen").mkdir(), (tmp_path / "unseen").mkdir()
    train(settled(**changes), tmp_path / "unseen")
    train(watching(watch_every=3, **changes), tmp_path / "seen")
    ours, theirs = (load_file(tmp_path / name / "encoder/model.safetensors") for name in ("seen", "unseen"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    lines = [line for line in logged(tmp_path / "seen") if "watch_s" in line]
    assert [line["step"] for line in lines] == [3, 6, 8]
    names = [name for name in lines[0] if name.startswith(("watch", "gradient_cosine"))]
    assert len(names) == 3 + 3 + 1 and all(
        np.isfinite([line[name] for name in names]).all() for line in lines
    )
    assert not any("watch_s" in line for line in logged(tmp_path / "unseen"))


def test_without_a_number_of_steps_it_is_watched_with_each_checkpoint(watching, tmp_path):
    train(watching(checkpoint_every=3), tmp_path)
    assert [line["step"] for line in logged(tmp_path) if "watch_loss_sts" in line] == [3, 6, 8]


@pytest.mark.parametrize("rows", [2, 3])
def test_a_batch_has_the_first_rows_of_its_task(watching, start, tmp_path, rows, held_out):
    encoder = load_encoder(start)
    watch = Watch(watching(watch_rows=rows), tmp_path, encoder)
    assert [len(step.queries) for step in watch.steps.values()] == [rows] * 3
    first = pl.read_parquet(held_out)["passages"].list.len().gather(range(0, 3 * rows, 3)).sum()
    assert len(watch.steps["sts"].passages) == first


def test_a_task_with_one_row_cannot_be_watched(settled, start, tmp_path, held_out):
    table = pl.read_parquet(held_out)
    table.head(5).write_parquet(tmp_path / "few.parquet")
    with pytest.raises(
        ValueError, match="few.parquet has 1 row of search; a watch needs 2 or more of each task"
    ):
        Watch(settled(watch=str(tmp_path / "few.parquet")), tmp_path, load_encoder(start))


def test_its_memory_is_planned(settled, watching, tmp_path):
    needed = []
    for i, settings in enumerate((settled(), watching())):
        objective = EncoderContrast(settings, tmp_path / str(i))
        objective.model.train()
        needed.append(estimate(objective, settings, objective.longest)["embeddings and scores"] * 2**30)
    last = sum(weight.numel() for weight in objective.model.backbone.encoder.layer[-1].parameters())
    assert needed[1] - needed[0] == pytest.approx(4 * 4 * last)  # of three tasks, and of the one at hand
