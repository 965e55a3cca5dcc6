"""The gradient cache gives the gradients of plain back-propagation, dropout on, whatever is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cpack_lib.model.tokens import chunks, pad, token_ids
from cpack_lib.training.cache import cached_backward
from cpack_lib.training.contrast import contrastive_loss
from tests.training.conftest import random_texts
from tests.training.obvious import obvious_loss
from tests.training.test_distillation import CASES, PLAIN, asked, made

TIGHT = {"atol": 1e-6, "rtol": 1e-6}


def parts_of(encoder, budget):
    """Token ids of 36 texts and their chunks."""
    rows = token_ids(encoder.tokenizer, random_texts(36, seed=1), longest=16)
    return rows, [torch.from_numpy(part) for part in chunks([len(row) + 2 for row in rows], budget)]


def loss_of(found):
    """The contrast of 12 queries with 24 passages."""
    return contrastive_loss(found[:12], found[12:], 0.05, both_ways=True)


def switched(case):
    """The loss of a step of 7 groups, 24 texts, with some switches on; and the same by loops."""
    settings = replace(PLAIN, **CASES[case])
    step, _, other = made("odd", settings)
    said = asked(settings, other)
    return (
        lambda found: step.loss(found, settings, torch.arange(7), **said),
        lambda found: obvious_loss(found, step, settings, **said),
    )


def taken(encoder):
    """Every parameter's gradient, forgotten by the encoder."""
    found = {name: weight.grad for name, weight in encoder.named_parameters()}
    encoder.zero_grad(set_to_none=True)
    return found


def cached(encoder, budget, kept, seed=0):
    """Loss, embeddings, the next random number, and every parameter's gradient of one step."""
    rows, parts = parts_of(encoder, budget)
    torch.manual_seed(seed)
    value, embeddings = cached_backward(
        lambda c: encoder(*pad([rows[i] for i in parts[c]], encoder.tokenizer)),
        parts,
        loss_of,
        len(rows),
        kept,
    )
    return value, embeddings, torch.rand(1), taken(encoder)


def plain(encoder, budget, seed=0):
    """The same without any cache: one graph, one call of backward."""
    rows, parts = parts_of(encoder, budget)
    torch.manual_seed(seed)
    found = torch.cat([encoder(*pad([rows[i] for i in part], encoder.tokenizer)) for part in parts])
    embeddings = found[torch.cat(parts).argsort()]
    value = loss_of(embeddings)
    value.backward()
    return value.detach(), embeddings.detach(), torch.rand(1), taken(encoder)


@pytest.mark.parametrize("kept", [0, 1, 2, 100])
@pytest.mark.parametrize("budget", [1, 40, 150, 10_000])
def test_the_cached_gradient_is_the_plain_one_with_dropout_on(encoder, budget, kept):
    value, embeddings, after, gradients = plain(encoder, budget)
    same_value, same_embeddings, same_after, same_gradients = cached(encoder, budget, kept)
    assert not torch.isclose(value, cached(encoder, budget, kept, seed=1)[0])  # dropout is on
    torch.testing.assert_close(value, same_value, **TIGHT)
    torch.testing.assert_close(embeddings, same_embeddings, **TIGHT)
    assert torch.equal(after, same_after)  # the random numbers go on as if nothing had been done twice
    for name, gradient in gradients.items():
        assert gradient.norm() > 0, name
        assert (same_gradients[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-6, name


@pytest.mark.parametrize("case", ["alone both ways", "half taught", "everything"])
@pytest.mark.parametrize("kept", [0, 2, 100])
def test_with_every_switch_the_cached_gradient_is_that_of_loops_in_float64(encoder, case, kept):
    encoder.double()
    rows = token_ids(encoder.tokenizer, random_texts(24, seed=2), longest=16)
    parts = [torch.from_numpy(part) for part in chunks([len(row) + 2 for row in rows], 60)]
    padded = [pad([rows[i] for i in part], encoder.tokenizer) for part in parts]
    assert len(parts) > 3
    ours, theirs = switched(case)
    torch.manual_seed(0)
    value, embeddings = cached_backward(lambda c: encoder(*padded[c]), parts, ours, 24, kept)
    gradients = taken(encoder)
    torch.manual_seed(0)
    plainly = torch.cat([encoder(*each) for each in padded])[torch.cat(parts).argsort()]
    expected = theirs(plainly)
    expected.backward()
    assert embeddings.dtype == torch.float64
    torch.testing.assert_close(embeddings, plainly.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(value, expected.detach(), rtol=1e-10, atol=1e-10)
    whole = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
    for name, gradient in taken(encoder).items():
        assert (gradients[name] - gradient).norm() <= 1e-10 * whole, name


@pytest.mark.parametrize("kept", [1, 3, 100])
def test_what_is_kept_changes_no_bit(encoder, kept):
    _, embeddings, _, none = cached(encoder, 40, kept=0)
    _, same, _, some = cached(encoder, 40, kept)
    assert torch.equal(embeddings, same)
    assert all(torch.equal(none[name], some[name]) for name in none)


def test_without_dropout_the_chunking_changes_nothing(encoder):
    encoder.eval()
    _, embeddings, _, one = plain(encoder, budget=10_000)
    for budget in (1, 40, 150):
        _, others, _, many = cached(encoder, budget, kept=1)
        torch.testing.assert_close(embeddings, others, **TIGHT)
        for name, gradient in one.items():
            assert (many[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-6, name


def test_each_text_that_is_not_kept_is_embedded_twice():
    table, asked = torch.randn(10, 4, requires_grad=True), []

    def embed(c):
        asked.append(c)
        return table[parts[c]]

    parts = torch.arange(10).split(3)
    cached_backward(embed, parts, torch.sum, count=10, kept=1)
    assert asked == [0, 1, 2, 3, 1, 2, 3]


def test_chunks_that_lose_a_text_are_refused():
    with pytest.raises(ValueError, match="chunks hold 2 texts, 3 expected"):
        cached_backward(lambda c: torch.ones(2, 4), [torch.tensor([0, 1])], torch.sum, count=3)


def test_chunks_are_put_back_in_the_order_of_the_texts():
    rows = torch.from_numpy(np.random.default_rng(0).permutation(10))
    table = torch.arange(10.0)[:, None].requires_grad_()
    parts = rows.split(3)
    _, embeddings = cached_backward(lambda c: table[parts[c]], parts, torch.sum, count=10)
    assert embeddings[:, 0].tolist() == list(range(10))
