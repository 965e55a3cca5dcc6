"""The way through BERT without padding gives transformers' states and gradients; dropout drops its share."""

import copy
import shutil

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from cpack_lib.model.dropout import dropped
from cpack_lib.model.states import PLAIN, Way, sentence_states, token_states

LENGTHS = {"uneven": [7, 3, 9, 3, 1], "even": [6, 6, 6], "one text": [5], "one token": [1], "none": []}


@pytest.fixture
def bert() -> BertModel:
    """Three layers, 24 wide; biases and scales are no round numbers."""
    torch.manual_seed(0)
    shape = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40}
    found = BertModel(BertConfig(vocab_size=50, max_position_embeddings=16, **shape), add_pooling_layer=False)
    for weight in found.parameters():
        nn.init.normal_(weight, mean=0.1, std=0.3)
    return found


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids and real tokens, (B, L) each."""
    L = max(lengths, default=0)
    is_token = torch.arange(L) < torch.tensor(lengths, dtype=torch.long)[:, None]
    return torch.randint(50, (len(lengths), L)), is_token


def without_dropout(bert: BertModel) -> BertModel:
    """The same in training, as the engine trains it, with all dropout at 0."""
    for part in bert.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return bert.train()


def gradients(bert: BertModel, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every parameter's gradient."""
    bert.zero_grad(set_to_none=True)
    loss.backward()
    return {name: weight.grad for name, weight in bert.named_parameters()}


@pytest.mark.parametrize("way", [PLAIN, Way(recompute=True)])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", LENGTHS)
def test_states_and_gradients_are_those_of_transformers_in_float64(bert, name, training, way):
    bert = (without_dropout(bert) if training else bert.eval()).double()
    ids, is_token = batch(LENGTHS[name])
    if not len(ids):
        assert sentence_states(bert, ids, is_token, way).shape == (0, 24)
        return
    weights = torch.randn(24, dtype=torch.float64)

    def slow():
        return bert(input_ids=ids, attention_mask=is_token.long()).last_hidden_state

    ways = {
        "every": (lambda: token_states(bert, ids, is_token, way)[is_token], lambda: slow()[is_token]),
        "first": (lambda: sentence_states(bert, ids, is_token, way), lambda: slow()[:, 0]),
    }
    for ours, theirs in ways.values():
        torch.testing.assert_close(ours(), theirs())
        found, expected = (gradients(bert, ((way() @ weights) ** 2).sum()) for way in (ours, theirs))
        for key, gradient in expected.items():
            torch.testing.assert_close(found[key], gradient)
    assert not token_states(bert, ids, is_token, way)[~is_token].any()


def test_what_stands_at_the_padding_changes_nothing(bert):
    ids, is_token = batch(LENGTHS["uneven"])
    other = torch.where(is_token, ids, torch.randint(50, ids.shape))
    for way in (token_states, sentence_states):
        assert torch.equal(way(bert.eval(), ids, is_token), way(bert, other, is_token))


def test_recomputing_with_dropout_on_gives_the_same_gradients(bert):
    ids, is_token = batch(LENGTHS["uneven"])
    found = []
    for way in (PLAIN, Way(recompute=True)):
        torch.manual_seed(1)
        found.append(gradients(bert.train(), sentence_states(bert, ids, is_token, way).pow(2).sum()))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ to compile on a CPU")
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_compiled_it_gives_the_same(bert, dropout):
    for part in bert.train().modules():
        if isinstance(part, nn.Dropout):
            part.p = dropout
    found = []
    for way in (PLAIN, Way(compiled=True), Way(compiled=True, recompute=True)):
        for lengths in (LENGTHS["uneven"], LENGTHS["even"]):
            torch.manual_seed(2)
            ids, is_token = batch(lengths)
            found.append(gradients(bert, sentence_states(bert, ids, is_token, way).pow(2).sum()))
    for ours, theirs in ((2, 0), (3, 1), (4, 0), (5, 1)):
        for name, gradient in found[theirs].items():
            torch.testing.assert_close(found[ours][name], gradient, atol=1e-4, rtol=1e-4)


def test_dropout_changes_the_states_while_training_alone(bert):
    ids, is_token = batch(LENGTHS["uneven"])
    for way in (token_states, sentence_states):
        assert not torch.equal(way(bert.train(), ids, is_token), way(bert, ids, is_token))
        assert torch.equal(way(bert.eval(), ids, is_token), way(bert, ids, is_token))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_keeps_the_mean(share, kind):
    torch.manual_seed(0)
    part, x = nn.Dropout(share).train(), torch.ones(1001, 997, dtype=kind, requires_grad=True)
    found = dropped(x, part)
    assert found.dtype == kind
    assert abs((found == 0).double().mean() - share) < 2e-3
    assert abs(found.double().mean() - 1) < 1e-2
    found.sum().backward()
    assert torch.equal(x.grad, found.detach())  # the same places, the same scale
    neighbours = (found[:, 1:] == 0) & (found[:, :-1] == 0)  # numbers of one draw are independent, too
    assert abs(neighbours.double().mean() - share**2) < 3e-3


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0, 2), (5,), (2, 3)])
def test_dropout_of_any_shape(shape):
    part = nn.Dropout(0.5).train()
    assert dropped(torch.ones(shape), part).shape == shape


def test_dropout_off_is_the_thing_itself_and_all_is_nothing():
    x = torch.randn(10)
    assert torch.equal(dropped(x, nn.Dropout(0.5).eval()), x)
    assert torch.equal(dropped(x, nn.Dropout(0.0).train()), x)
    assert not dropped(x, nn.Dropout(1.0).train()).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_kernel_for_uneven_texts_gives_the_same_states(bert):
    wide = BertConfig(vocab_size=50, hidden_size=128, num_hidden_layers=2, num_attention_heads=2)
    bert = without_dropout(BertModel(wide, add_pooling_layer=False))
    ids, is_token = batch(LENGTHS["uneven"])
    slow = copy.deepcopy(bert)(input_ids=ids, attention_mask=is_token.long()).last_hidden_state
    with torch.autocast("cuda", torch.bfloat16):
        fast = token_states(bert.cuda(), ids.cuda(), is_token.cuda())
    torch.testing.assert_close(fast[is_token.cuda()].cpu().float(), slow[is_token], atol=3e-2, rtol=3e-2)
