"""RetroMAE as an objective: parts of a step add up, what is saved goes on exactly, the options reach it."""

import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch

from cpack_lib.model.masks import choose_share
from cpack_lib.training.loop import train
from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.objectives.reconstruction import Reconstruction, continuations, labels
from cpack_lib.training.ranks import ALONE, Ranks
from cpack_lib.training.settings import Settings
from tests.training.conftest import random_texts, tiny_bert

OPTIONS = {
    "enhanced": {},
    "basic": {"decoding": "basic"},
    "few labels": {"decoder_labels": 0.4},
    "few labels, basic": {"decoding": "basic", "decoder_labels": 0.4},
    "bag of words": {"bag_of_words": 0.5},
}


@pytest.fixture
def told(settled, tokenizer, tmp_path) -> Callable[..., Settings]:
    """Settings of RetroMAE on 13 texts, one of them without a word."""
    texts = [*random_texts(12), ""]
    pl.DataFrame({"text": texts, "source": "诗"}).write_parquet(tmp_path / "texts.parquet")
    tiny_bert(tokenizer).save_pretrained(tmp_path / "lm"), tokenizer.save_pretrained(tmp_path / "lm")

    def settle(**changes) -> Settings:
        given = {"start": str(tmp_path / "lm"), "data": str(tmp_path / "texts.parquet"), "rows_per_step": 13}
        return settled(objective="retromae", **given | changes)

    return settle


def by_place(monkeypatch) -> None:
    """Chance that depends on a token's place in its text alone, so that it is the same in any chunk."""

    def rand(*shape, device=None):
        shape = shape[0] if len(shape) == 1 else shape
        return ((torch.arange(shape[-1]) + 1) * 0.61803).frac().expand(shape).clone()

    monkeypatch.setattr(torch, "rand", rand)
    monkeypatch.setattr(torch, "randint", lambda most, shape, device=None: torch.full(shape, most // 2))


def step_of(settings: Settings, folder, ranks: Ranks = ALONE) -> tuple[dict, dict[str, torch.Tensor]]:
    """The numbers and gradients of one process's part of a step."""
    torch.manual_seed(3)  # of the decoder's weights
    objective = Reconstruction(settings, folder, ranks)
    objective.model.train()
    facts = objective.backward(objective.prepare(np.arange(13)))
    return facts, {name: weight.grad for name, weight in objective.model.named_parameters()}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("size", [1, 2, 3, 15])
def test_chunks_and_processes_add_up_to_one_step(told, tmp_path, monkeypatch, name, size):
    by_place(monkeypatch)
    whole, expected = step_of(told(dropout=0.0, **OPTIONS[name]), tmp_path)
    settings = told(dropout=0.0, tokens_per_chunk=30, **OPTIONS[name])
    parts = [step_of(settings, tmp_path, Ranks(rank, size)) for rank in range(size)]
    assert all(list(facts) == list(whole) for facts, _ in parts)  # also where no text fell to a process
    for key in whole.keys() - {"places"}:
        assert sum(facts[key] for facts, _ in parts) == pytest.approx(whole[key], rel=1e-5)
    length = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
    for key, gradient in expected.items():
        summed = sum(found[key] for _, found in parts if found[key] is not None)
        assert (summed - gradient).norm() <= 1e-5 * length, key


@pytest.mark.parametrize("name", OPTIONS)
def test_the_loss_is_the_sum_of_the_logged_means(told, tmp_path, name):
    settings = told(**OPTIONS[name])
    facts, _ = step_of(settings, tmp_path)
    expected = facts["encoder_loss"] + facts["decoder_loss"]
    expected += settings.bag_of_words * facts.get("bag_of_words_loss", 0.0)
    assert facts["loss"] == pytest.approx(expected, rel=1e-6)
    assert ("bag_of_words_loss" in facts) == (name == "bag of words")
    assert 0 <= facts["encoder_right"] <= 1 and 0 <= facts["decoder_right"] <= 1


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_counted_beforehand_is_what_the_model_counts(told, tmp_path, name):
    objective = Reconstruction(told(tokens_per_chunk=30, **OPTIONS[name]), tmp_path)
    found, forward = [], objective.model.forward
    objective.model.forward = lambda *given: found.append(forward(*given)) or found[-1]
    prepared = objective.prepare(np.arange(13))
    objective.backward(prepared)
    for key in objective.weights:
        assert prepared.counts[key] == sum(int(one[f"{key}_count"]) for one in found)


@pytest.mark.parametrize("share", [0.15, 0.3, 0.5, 0.25, 1.0])
def test_labels_counts_what_is_chosen(share):
    words = np.arange(0, 200)
    is_word = torch.from_numpy(np.arange(200) < words[:, None])
    chosen = choose_share(is_word, share)
    assert labels(words, share).tolist() == chosen.sum(dim=1).tolist()
    again = choose_share(chosen, 0.3).sum(dim=1)  # some of the chosen
    assert labels(labels(words, share), 0.3).tolist() == again.tolist()


@pytest.mark.parametrize("name", OPTIONS)
def test_pre_training_goes_on_exactly_from_what_was_saved(told, tmp_path, monkeypatch, name):
    made = []
    monkeypatch.setitem(OBJECTIVES, "retromae", lambda *x: made.append(Reconstruction(*x)) or made[-1])
    train(told(steps=4, learning_rate=1e-2, **OPTIONS[name]), tmp_path)
    again = Reconstruction(told(start=str(tmp_path / "language_model"), **OPTIONS[name]), tmp_path)
    assert (tmp_path / "encoder").exists()
    losses = []
    for objective in (made[0], again):
        objective.model.train()
        torch.manual_seed(5)
        losses.append(objective.backward(objective.prepare(np.arange(13))))
    assert losses[0] == losses[1]  # bit for bit, dropout on
    for (key, ours), (_, theirs) in zip(
        made[0].model.named_parameters(), again.model.named_parameters(), strict=True
    ):
        assert torch.equal(ours, theirs), key


@pytest.mark.parametrize("name", ["enhanced", "basic", "bag of words"])
def test_the_losses_fall(told, tmp_path, name):
    train(told(steps=40, learning_rate=1e-2, dropout=0.0, **OPTIONS[name]), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for key in {"encoder_loss", "decoder_loss", "bag_of_words_loss"} & lines[0].keys():
        assert np.mean([line[key] for line in lines[-5:]]) < np.mean([line[key] for line in lines[:5]])


def test_recomputing_changes_nothing_with_dropout_on(told, tmp_path):
    (here, ours), (there, theirs) = (step_of(told(recompute=on), tmp_path) for on in (False, True))
    assert here == there
    for key, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[key])


def test_pieces_of_wordpiece_are_hidden_as_whole_words(told, tokenizer, tmp_path, monkeypatch):
    assert continuations(tokenizer, torch.device("cpu")) is None  # Chinese characters alone
    names = {"你": 0, "play": 1, "##ing": 2, "##s": 3}
    monkeypatch.setattr(type(tokenizer), "__len__", lambda _: 4)
    monkeypatch.setattr(type(tokenizer), "convert_ids_to_tokens", lambda *_: list(names))
    assert continuations(tokenizer, torch.device("cpu")).tolist() == [False, False, True, True]
    objective = Reconstruction(told(), tmp_path)
    given, forward = [], objective.model.forward
    objective.model.forward = lambda *x: given.append(x[-1]) or forward(*x)
    objective.continues = torch.arange(200) % 2 == 0
    objective.backward(objective.prepare(np.arange(13)))
    assert given[0].shape == (13, 22) and (given[0].diff(dim=1) >= 0).all()
