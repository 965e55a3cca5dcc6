"""RetroMAE: what is hidden is hidden, and both losses are what a slow reading of the paper computes."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from transformers import BertForMaskedLM

from cpack_lib.model import retromae
from cpack_lib.model.retromae import IGNORED, Decoder, RetroMAE, choose_share, mask_tokens, sample_context

V, D, H = 11, 12, 3  # of the fixture `language_model`
CLS, SEP, MASK, PAD = 1, 2, 3, 0


@dataclass
class Batch:
    """Ids, real tokens and words, all (B, L)."""

    ids: Tensor
    is_token: Tensor
    is_word: Tensor


def batch_of(lengths: list[int], wide: int = 0) -> Batch:
    """Texts of random words, [CLS] and [SEP] around each, padded to the longest or to `wide`."""
    L = max(wide, max(lengths, default=0) + 2)
    ids = torch.full((len(lengths), L), PAD)
    for row, length in zip(ids, lengths, strict=True):
        row[: length + 2] = torch.tensor([CLS, *torch.randint(4, V, (length,)).tolist(), SEP])
    return Batch(ids, ids != PAD, ids >= MASK)


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test starts from the same random state."""
    torch.manual_seed(0)


# --- which places are chosen


@pytest.mark.parametrize("share", [0.01, 0.15, 0.3, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 20), (2, 3, 9), (0, 4)])
def test_the_share_is_chosen_among_the_words_alone(share, shape):
    is_word = torch.rand(shape) < 0.7
    chosen = choose_share(is_word, share)
    assert not (chosen & ~is_word).any()
    for words, found in zip(is_word.reshape(-1, shape[-1]), chosen.reshape(-1, shape[-1]), strict=True):
        count = int(words.sum())
        assert int(found.sum()) == min(count, max(1, round(count * share)))


def test_every_place_is_chosen_equally_often():
    is_word = torch.tensor([False, True, True, True, True, False]).expand(4000, 6)
    often = choose_share(is_word, 0.5).double().mean(dim=0)
    torch.testing.assert_close(often, torch.tensor([0, 0.5, 0.5, 0.5, 0.5, 0]).double(), atol=0.03, rtol=0)


def test_a_word_of_several_tokens_is_chosen_whole_but_for_the_last():
    words = torch.tensor([[0, 1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 0]]).expand(300, 12)
    is_word = (words > 0) & (torch.arange(12) < 11)
    chosen = choose_share(is_word, 0.4, words)
    assert (chosen.sum(dim=1) == 4).all()
    for row in chosen:
        inside = [row[words[0] == word] for word in range(1, 6)]
        cut = [part for part in inside if part.any() and not part.all()]
        assert len(cut) <= 1
        assert all(part.tolist() == sorted(part.tolist(), reverse=True) for part in cut)  # cut from its end
    assert len({tuple(row.tolist()) for row in chosen}) > 10


def test_the_encoder_sees_a_mask_another_token_or_the_token_itself():
    batch = batch_of([30] * 400)
    masked, labels = mask_tokens(batch.ids, batch.is_word, 0.3, MASK, V)
    chosen = labels != IGNORED
    assert torch.equal(labels[chosen], batch.ids[chosen]) and torch.equal(masked[~chosen], batch.ids[~chosen])
    assert (chosen.sum(dim=1) == 9).all() and not (chosen & ~batch.is_word).any()
    as_mask = (masked[chosen] == MASK).double().mean()
    kept = (masked[chosen] == batch.ids[chosen]).double().mean()
    assert abs(as_mask - (0.8 + 0.1 / V)) < 0.02 and abs(kept - (0.1 + 0.1 / V)) < 0.02


# --- what the decoder may look at


def test_nobody_sees_itself_or_padding_and_all_others_see_cls():
    lengths = [20, 1, 0, 7, 13]
    batch = batch_of(lengths, wide=24)
    visible = sample_context(batch.is_token, batch.is_word, 0.5)
    assert visible.shape == (5, 24, 24)
    for text, length in zip(visible, lengths, strict=True):
        for i in range(24):
            assert not text[i, i] and not text[i, length + 2 :].any()
            assert text[i, 0] == (i != 0) and text[i, length + 1] == (i != length + 1)
            hidden = length - int(text[i, 1 : length + 1].sum())
            asked = min(length, max(1, round(length * 0.5)))
            assert hidden - asked in ((0, 1) if 1 <= i <= length else (0,))  # one more: the place itself


def test_rows_differ_and_share_no_more_masks_than_are_drawn(monkeypatch):
    monkeypatch.setattr(retromae, "MASKS_PER_TEXT", 3)
    batch = batch_of([40])
    visible = sample_context(batch.is_token, batch.is_word, 0.5)[0]
    hidden = {tuple((~row[1:41]).nonzero()[:, 0].tolist()) for row in visible[[0, 41]]}
    for i in range(1, 41):
        row = ~visible[i, 1:41]
        hidden |= {tuple(row.nonzero()[:, 0].tolist())} if row.sum() == 20 else set()
    assert 2 <= len(hidden) <= 3


def test_about_half_of_the_words_are_seen_by_each_place():
    batch = batch_of([60] * 50)
    seen = sample_context(batch.is_token, batch.is_word, 0.5)[:, 1:61, 1:61].double()
    others = ~torch.eye(60, dtype=torch.bool)
    assert abs(seen[:, others].mean() - 0.5) < 0.01


# --- the decoder, with loops and in float64


def linear(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """One vector through one matrix, a product at a time."""
    return torch.stack([(row * x).sum() + shift for row, shift in zip(weight, bias, strict=True)])


def scaled(x: Tensor, norm: torch.nn.LayerNorm) -> Tensor:
    """One vector through a LayerNorm."""
    centred = x - x.sum() / len(x)
    return centred / ((centred**2).sum() / len(x) + norm.eps).sqrt() * norm.weight + norm.bias


def gelu(x: Tensor) -> Tensor:
    """The exact GELU."""
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def slow_place(decoder: Decoder, asked: Tensor, context: Tensor, visible: Tensor) -> Tensor:
    """One place of one text, all in float64: (D,), (L, D), (L,) -> (D,)."""
    width = asked.shape[0]
    part = width // decoder.heads
    key_value = decoder.to_key_value
    query = linear(decoder.to_query.weight, decoder.to_query.bias, asked)
    keys = [linear(key_value.weight[:width], key_value.bias[:width], row) for row in context]
    values = [linear(key_value.weight[width:], key_value.bias[width:], row) for row in context]
    mixed = []
    for head in range(decoder.heads):
        own = slice(head * part, (head + 1) * part)
        seen = [j for j in range(len(context)) if visible[j]]
        scores = [math.exp((query[own] * keys[j][own]).sum() / math.sqrt(part)) for j in seen]
        mixed.append(sum(score / sum(scores) * values[j][own] for score, j in zip(scores, seen, strict=True)))
    states = scaled(asked + linear(decoder.mix.weight, decoder.mix.bias, torch.cat(mixed)), decoder.norm_mix)
    inner, _, outer = decoder.mlp
    grown = linear(outer.weight, outer.bias, gelu(linear(inner.weight, inner.bias, states)))
    return scaled(states + grown, decoder.norm_mlp)


def slow_losses(
    model: RetroMAE, batch: Batch, masked: Tensor, labels: Tensor, visible: Tensor
) -> list[float]:
    """Both summed losses of a model in float64: text by text without padding, place by place, with loops."""
    embeddings, head = model.language_model.bert.embeddings, model.language_model.cls
    total = [0.0, 0.0]
    for b in range(len(batch.ids)):
        n = int(batch.is_token[b].sum())
        states = model.language_model.bert(input_ids=masked[b : b + 1, :n]).last_hidden_state[0]
        sentence = states[0]
        places, kind = embeddings.position_embeddings.weight, embeddings.token_type_embeddings.weight[0]
        words = embeddings.word_embeddings.weight
        context = [sentence] + [
            scaled(words[batch.ids[b, i]] + places[i] + kind, embeddings.LayerNorm) for i in range(1, n)
        ]
        for i in range(1, n - 1):
            asked = scaled(sentence + places[i] + kind, embeddings.LayerNorm)
            rebuilt = slow_place(model.decoder, asked, torch.stack(context), visible[b, i])
            for loss, state, wanted in ((0, states[i], labels[b, i]), (1, rebuilt, batch.ids[b, i])):
                if wanted != IGNORED:
                    logits = head(state[None])[0]
                    total[loss] += float(logits.exp().sum().log() - logits[wanted])
    return total


@torch.no_grad()
@pytest.mark.parametrize("lengths", [[1], [5], [6, 1, 3], [0, 4], [13, 2]])
def test_both_losses_are_those_of_a_slow_reading_of_the_paper(language_model, monkeypatch, lengths):
    model, batch = RetroMAE(language_model, MASK).double().eval(), batch_of(lengths)
    masked, labels = mask_tokens(batch.ids, batch.is_word, 0.3, MASK, V)
    visible = sample_context(batch.is_token, batch.is_word, 0.5)
    monkeypatch.setattr(retromae, "mask_tokens", lambda *_: (masked, labels))
    monkeypatch.setattr(retromae, "sample_context", lambda *_: visible)
    found = model(batch.ids, batch.is_token, batch.is_word)
    encoder, decoder = slow_losses(model, batch, masked, labels, visible)
    assert found["encoder_loss"].item() == pytest.approx(encoder, rel=1e-6)  # logits are made float32
    assert found["decoder_loss"].item() == pytest.approx(decoder, rel=1e-6)
    assert found["encoder_count"] == (labels != IGNORED).sum()
    assert found["decoder_count"] == sum(lengths)


def test_a_place_never_sees_its_own_token(language_model):
    decoder, visible = Decoder(language_model.config), ~torch.eye(10, dtype=torch.bool)[None]
    asked, context = torch.randn(1, 10, D), torch.randn(1, 10, D)
    before = decoder(asked, context, visible)
    context[:, 3] += 1.0
    after = decoder(asked, context, visible)
    assert torch.equal(before[:, 3], after[:, 3])  # the changed token is invisible to itself
    assert not torch.allclose(before[:, 4], after[:, 4])  # and visible to another


def test_a_place_that_may_look_at_nothing_has_a_finite_state_and_gradient(language_model):
    decoder, visible = Decoder(language_model.config), ~torch.eye(4, dtype=torch.bool)[None]
    visible[:, 2] = False
    asked, context = torch.randn(1, 4, D, requires_grad=True), torch.randn(1, 4, D)
    states = decoder(asked, context, visible)
    states.sum().backward()
    assert states.isfinite().all() and asked.grad.isfinite().all()
    visible[:, 2] = True
    torch.testing.assert_close(decoder(asked, context, visible), states)  # any key will do: here, all


def test_changing_a_word_does_not_change_its_own_reconstruction(language_model):
    model, batch = RetroMAE(language_model, MASK, decoder_mask=0.01).eval(), batch_of([8, 5])
    sentence = torch.randn(2, 1, D)
    rebuilt = []
    for word in (5, 7):
        batch.ids[:, 3] = word
        torch.manual_seed(1)
        rebuilt.append(model.rebuild(sentence, batch.ids, batch.is_token, batch.is_word))
    before, after = rebuilt
    assert torch.equal(before[:, 3], after[:, 3])
    assert not torch.allclose(before[0, 1:8], after[0, 1:8])


def test_padding_changes_no_loss_and_gives_no_nan(language_model, monkeypatch):
    model, short, wide = RetroMAE(language_model, MASK).eval(), batch_of([4, 1]), batch_of([4, 1], wide=12)
    wide.ids[:, : short.ids.shape[1]] = short.ids
    masked, labels = mask_tokens(wide.ids, wide.is_word, 0.5, MASK, V)
    visible, found = sample_context(wide.is_token, wide.is_word, 0.5), []
    for batch in (short, wide):
        L = batch.ids.shape[1]
        cut = (masked[:, :L], labels[:, :L])
        monkeypatch.setattr(retromae, "mask_tokens", lambda *_, cut=cut: cut)
        monkeypatch.setattr(retromae, "sample_context", lambda *_, L=L: visible[:, :L, :L])
        found.append(model(batch.ids, batch.is_token, batch.is_word))
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name])


# --- the model as it trains


@pytest.mark.parametrize("lengths", [[0], [0, 0], [1], [0, 1, 9], [2, 13]])
def test_losses_and_gradients_are_finite_for_texts_of_no_and_one_word(language_model, lengths):
    model, batch = RetroMAE(language_model, MASK), batch_of(lengths)
    found = model(batch.ids, batch.is_token, batch.is_word)
    (found["encoder_loss"] + found["decoder_loss"]).backward()
    assert all(value.isfinite().all() for value in found.values())
    assert all(weight.grad is None or weight.grad.isfinite().all() for _, weight in model.named_parameters())
    assert found["encoder_count"] == sum(min(n, max(1, round(n * 0.3))) for n in lengths)
    assert (found["encoder_loss"] > 0) == (sum(lengths) > 0)


def test_the_decoder_teaches_the_cls_state_and_the_whole_encoder(language_model):
    model, batch = RetroMAE(language_model, MASK), batch_of([6, 3])
    sentence = torch.randn(2, 1, D, requires_grad=True)
    rebuilt = model.rebuild(sentence, batch.ids, batch.is_token, batch.is_word)
    model.guesses("decoder", rebuilt, batch.ids)["decoder_loss"].backward()
    assert (sentence.grad.abs().sum(dim=(1, 2)) > 0).all()
    model.zero_grad()
    model(batch.ids, batch.is_token, batch.is_word)["decoder_loss"].backward()
    assert model.language_model.bert.encoder.layer[0].attention.self.query.weight.grad.abs().sum() > 0
    assert all(weight.grad.abs().sum() > 0 for weight in model.decoder.parameters() if weight.dim() > 1)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_decoder_labels_are_a_share_of_the_words(language_model, share):
    lengths = [10, 1, 0, 13]
    model, batch = RetroMAE(language_model, MASK, decoder_labels=share), batch_of(lengths)
    found = model(batch.ids, batch.is_token, batch.is_word)
    assert found["decoder_count"] == sum(min(n, max(1, round(n * share))) for n in lengths)


def test_words_reach_the_encoder_mask(language_model, monkeypatch):
    batch, words, given = batch_of([9, 4]), torch.arange(11).expand(2, 11) // 2, []
    monkeypatch.setattr(retromae, "mask_tokens", lambda *all_: given.append(all_) or mask_tokens(*all_))
    RetroMAE(language_model, MASK)(batch.ids, batch.is_token, batch.is_word, words)
    assert given[0][-1] is words


def test_right_guesses_are_counted(language_model: BertForMaskedLM):
    model = RetroMAE(language_model, MASK).eval()
    states = torch.randn(3, 5, D)
    best = language_model.cls(states).argmax(dim=-1)
    labels = best.clone()
    labels[0, 0], labels[1, :2] = IGNORED, (best[1, :2] + 1) % V
    found = model.guesses("encoder", states, labels)
    assert (found["encoder_right"], found["encoder_count"]) == (12, 14)


@pytest.mark.parametrize("share", [-0.1, 0.0, 1.0, 1.5])
@pytest.mark.parametrize("name", ["encoder_mask", "decoder_mask"])
def test_a_share_that_hides_nothing_or_all_is_refused(language_model, name, share):
    with pytest.raises(ValueError, match=f"{name} is {share}; it is a share of the tokens"):
        RetroMAE(language_model, MASK, **{name: share})


def test_it_overfits_a_few_texts(language_model):
    model, batch = RetroMAE(language_model, MASK), batch_of([6, 5, 4])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(200):
        found = model(batch.ids, batch.is_token, batch.is_word)
        loss = found["decoder_loss"] / found["decoder_count"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > math.log(V) / 2 and sum(losses[-10:]) / 10 < 0.1
