"""Losses over the vocabulary: what PyTorch's own functions give, value and gradients, for any chunk."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertOnlyMLMHead

from cpack_lib.model import vocabulary
from cpack_lib.model.vocabulary import bag_of_words, cross_entropies

V, D = 37, 16


@pytest.fixture
def head() -> BertOnlyMLMHead:
    """A head with weights large enough to matter."""
    torch.manual_seed(0)
    found = BertOnlyMLMHead(BertConfig(vocab_size=V, hidden_size=D))
    for weight in found.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return found


def with_gradients(head, states, loss) -> list[torch.Tensor]:
    """The loss, and its gradients for the states and every weight that has one."""
    used = [states, *(weight for weight in head.parameters() if weight is not head.predictions.bias)]
    used = [part for part in used if part.requires_grad]
    return [loss, *torch.autograd.grad(loss * 3, used, allow_unused=True)]


def assert_equal(found, expected, share=1e-6):
    """Equal but for a share of the length of each."""
    for ours, theirs in zip(found, expected, strict=True):
        if theirs is not None:
            assert (ours - theirs).double().norm() <= share * theirs.double().norm() + 1e-7


@pytest.mark.parametrize("rows_per_chunk", [1, 2, 7, 20, 512])
@pytest.mark.parametrize("M", [1, 2, 20, 41])
def test_the_summed_cross_entropy_and_every_gradient_are_those_of_pytorch(head, M, rows_per_chunk):
    states, wanted = torch.randn(M, D, requires_grad=True), torch.randint(V, (M,))
    loss, right = cross_entropies(head, states, wanted, rows_per_chunk=rows_per_chunk)
    logits = head(states)
    expected = cross_entropy(logits, wanted, reduction="sum")
    assert right == (logits.argmax(dim=1) == wanted).sum()
    assert_equal(with_gradients(head, states, loss), with_gradients(head, states, expected), 2e-6)


def test_in_float64_to_the_last_digits_but_a_few(head):
    head, states, wanted = head.double(), torch.randn(9, D, dtype=torch.float64), torch.randint(V, (9,))
    states.requires_grad_()
    loss, _ = cross_entropies(head, states, wanted, rows_per_chunk=4)
    expected = cross_entropy(head(states), wanted, reduction="sum")
    assert_equal(with_gradients(head, states, loss), with_gradients(head, states, expected), 1e-13)


def test_no_labels_cost_nothing_and_have_gradients_of_zero(head):
    states = torch.randn(0, D, requires_grad=True)
    loss, right = cross_entropies(head, states, torch.zeros(0, dtype=torch.long))
    assert (loss, right) == (0, 0)
    loss.backward()
    assert states.grad.shape == (0, D) and not head.predictions.decoder.weight.grad.any()


def test_a_guess_is_right_when_no_other_word_scores_as_high(head):
    torch.nn.init.zeros_(head.predictions.decoder.weight)
    torch.nn.init.zeros_(head.predictions.decoder.bias)
    states, wanted = torch.randn(5, D), torch.arange(5)
    assert cross_entropies(head, states, wanted)[1] == 0
    head.predictions.decoder.bias.data[3] = 1e-3
    assert cross_entropies(head, states, wanted)[1] == 1


def test_scores_far_apart_neither_overflow_nor_vanish(head):
    states, wanted = (1e4 * torch.randn(8, D)).requires_grad_(), torch.randint(V, (8,))
    with torch.no_grad():
        head.predictions.decoder.weight.mul_(1e3)
    loss, _ = cross_entropies(head, states, wanted)
    expected = cross_entropy(head(states), wanted, reduction="sum")
    found, wanted = with_gradients(head, states, loss), with_gradients(head, states, expected)
    assert all(part.isfinite().all() for part in found if part is not None)
    assert_equal(found, wanted, 1e-5)


def test_autocast_is_obeyed_and_the_softmax_is_float32(head):
    states, wanted = torch.randn(30, D, requires_grad=True), torch.randint(V, (30,))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = cross_entropies(head, states, wanted, rows_per_chunk=7)
        logits = head(states)
    expected = cross_entropy(logits.float(), wanted, reduction="sum")
    assert logits.dtype == torch.bfloat16 and loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)  # from the same rounded scores
    assert_equal(with_gradients(head, states, loss), with_gradients(head, states, expected), 1e-2)


def test_without_gradients_none_are_made(head, monkeypatch):
    monkeypatch.setattr(torch, "zeros_like", None)
    with torch.no_grad():
        loss, _ = cross_entropies(head, torch.randn(6, D), torch.randint(V, (6,)))
    assert not loss.requires_grad


def test_no_matrix_of_all_scores_is_made(head):
    states, wanted, largest = torch.randn(600, D, requires_grad=True), torch.randint(V, (600,)), [0]

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, call, types, given=(), options=None):
            made = call(*given, **options or {})
            sizes = [x.numel() for x in torch.utils._pytree.tree_leaves(made) if torch.is_tensor(x)]
            largest.append(max(sizes, default=0))
            return made

    with Watch():
        cross_entropies(head, states, wanted, rows_per_chunk=10)[0].backward()
    assert max(largest) < 600 * V and max(largest) == 600 * D


@pytest.mark.parametrize("texts_per_chunk", [0, 1, 2, 9])
@pytest.mark.parametrize("lengths", [[3], [4, 0, 6], [0], [1, 9, 2, 2, 5]])
def test_the_bag_of_words_is_read_off_the_pooled_scores(head, lengths, texts_per_chunk):
    B, L = len(lengths), max(lengths) + 3  # one place of padding more than is needed
    states, ids = torch.randn(B, L, D, requires_grad=True), torch.randint(4, 9, (B, L))  # words repeat
    places, lengths = torch.arange(L), torch.tensor(lengths)[:, None]
    is_token, is_word = places < lengths + 2, (places > 0) & (places <= lengths)
    loss, count = bag_of_words(head, states, ids, is_token, is_word, texts_per_chunk)
    expected = 0 * states.sum()
    for row, words, tokens, own in zip(states, ids, is_token, is_word, strict=True):
        present = words[own].unique()
        if len(present):
            pooled = head(row[tokens][1:]).max(dim=0).values
            expected = expected - pooled.log_softmax(dim=0)[present].mean()
    assert count == (lengths > 0).sum()
    assert_equal(with_gradients(head, states, loss), with_gradients(head, states, expected), 2e-6)


def test_chunks_of_texts_hold_about_as_many_rows_as_chunks_of_places(head, monkeypatch):
    seen, made = [], vocabulary.judged
    monkeypatch.setattr(vocabulary, "judged", lambda *x, **chunk: seen.append(chunk) or made(*x, **chunk))
    states, ids = torch.randn(3, 200, D), torch.randint(4, 9, (3, 200))
    bag_of_words(head, states, ids, ids > 0, ids > 0)
    assert seen == [{"rows_per_chunk": 400}]
