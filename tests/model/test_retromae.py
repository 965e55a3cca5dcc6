"""RetroMAE: its losses are what a slow reading of the paper computes, and what is hidden stays hidden."""

import math

import pytest
import torch
from transformers import BertForMaskedLM

from cpack_lib.model import retromae
from cpack_lib.model.masks import IGNORED, mask_tokens, sample_context
from cpack_lib.model.retromae import Decoder, Question, RetroMAE
from cpack_lib.model.states import Layout
from tests.model.slow_retromae import Hidden, losses
from tests.model.texts import MASK, Batch, V, batch_of

D, H = 12, 3  # of the fixture `language_model`
NAMES = ("encoder", "decoder", "bag_of_words")


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test starts from the same random state."""
    torch.manual_seed(0)


# --- the losses, beside loops in float64


def hide(batch: Batch, monkeypatch) -> list[Hidden]:
    """Draw what is hidden once, make the library hide just that, and tell it text by text."""
    masks = [mask_tokens(batch.ids, batch.is_word, share, MASK, V) for share in (0.3, 0.5)]
    visible = sample_context(batch.is_token, batch.is_word, 0.5)
    return told(batch, masks, visible, monkeypatch)


def told(batch: Batch, masks, visible, monkeypatch) -> list[Hidden]:
    """These masks for the library and for the slow reading; the decoder's second is for basic decoding."""
    drawn = iter(masks)
    monkeypatch.setattr(retromae, "mask_tokens", lambda *_: next(drawn))
    monkeypatch.setattr(retromae, "sample_context", lambda *_: visible)
    found = []
    for b, n in enumerate(batch.is_token.sum(dim=1).tolist()):
        parts = (batch.ids, *masks[0], *masks[1])
        ids, masked, labels, shown, asked = (part[b, :n].tolist() for part in parts)
        found.append(Hidden(ids, masked, labels, shown, asked, visible[b, :n, :n].tolist()))
    return found


def slow(model: RetroMAE, texts: list[Hidden]) -> dict[str, float]:
    """The losses of all texts."""
    basic, total = model.decoding == "basic", dict.fromkeys(NAMES, 0.0)
    for text in texts:
        is_word = [0 < i < len(text.ids) - 1 for i in range(len(text.ids))]
        text.asked = [label != IGNORED for label in text.asked] if basic else is_word
        text.shown = text.shown if basic else text.ids
        for name, value in losses(model, text, basic).items():
            total[name] += value
    return total


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("decoding", ["enhanced", "basic"])
@pytest.mark.parametrize("lengths", [[1], [5], [6, 1, 3], [0, 4], [13, 2]])
def test_all_losses_are_those_of_a_slow_reading_of_the_paper(
    language_model, monkeypatch, lengths, decoding, training
):
    model = RetroMAE(language_model, MASK, decoding=decoding, bag_of_words=0.1).double().train(training)
    batch = batch_of(lengths)
    texts = hide(batch, monkeypatch)
    found, expected = model(batch.ids, batch.is_token, batch.is_word), slow(model, texts)
    for name in NAMES:
        assert found[f"{name}_loss"].item() == pytest.approx(expected[name], rel=1e-11)
    assert found["encoder_count"] == sum(label != IGNORED for text in texts for label in text.labels)
    assert found["decoder_count"] == sum(sum(text.asked) for text in texts)
    assert found["bag_of_words_count"] == sum(length > 0 for length in lengths)


FROZEN = {
    "enhanced": {"encoder": 5.653675203625, "decoder": 18.135763593606, "bag_of_words": 5.193381954882},
    "basic": {"encoder": 5.653675203625, "decoder": 7.807747917715, "bag_of_words": 5.193381954882},
}


@torch.no_grad()
@pytest.mark.parametrize("decoding", FROZEN)
def test_a_frozen_case(language_model, monkeypatch, decoding):
    """Two texts, weights without chance; the numbers are the slow reading's of 2026-11-26."""
    model = RetroMAE(language_model, MASK, decoding=decoding, bag_of_words=0.1).double().eval()
    for n, (_, weight) in enumerate(sorted(model.named_parameters())):
        weight.copy_((torch.arange(weight.numel()).double() * (n + 1)).sin().view_as(weight) / 2)
    ids = torch.tensor([[1, 5, 9, 4, 9, 7, 2], [1, 8, 6, 2, 0, 0, 0]])
    batch = Batch(ids, ids > 0, ids > MASK)
    hidden = [torch.zeros_like(batch.is_word) for _ in range(2)]
    hidden[0][0, 2], hidden[0][1, 1], hidden[1][0, 1:4:2], hidden[1][1, 2] = True, True, True, True
    masks = [(ids.masked_fill(one, MASK), ids.masked_fill(~one, IGNORED)) for one in hidden]
    places = torch.arange(7)
    visible = batch.is_token[:, None] & (places != places[:, None]) & ((places + places[:, None]) % 3 != 2)
    visible[:, :, 0] = True
    texts = told(batch, masks, visible, monkeypatch)
    found, expected = model(batch.ids, batch.is_token, batch.is_word), slow(model, texts)
    for name in NAMES:
        assert expected[name] == pytest.approx(FROZEN[decoding][name], rel=1e-9)
        assert found[f"{name}_loss"].item() == pytest.approx(FROZEN[decoding][name], rel=1e-9)


# --- what the decoder may look at


def question_of(asked: torch.Tensor, context: torch.Tensor, visible: torch.Tensor) -> Question:
    """One text (1, L, D) without padding, all places asked."""
    everywhere = Layout.of(torch.ones(asked.shape[:2], dtype=torch.bool))
    return Question(asked[0], context[0], visible, everywhere, everywhere)


def test_a_place_never_sees_its_own_token(language_model):
    decoder, visible = Decoder(language_model.config), ~torch.eye(10, dtype=torch.bool)[None]
    asked, context = torch.randn(1, 10, D), torch.randn(1, 10, D)
    before = decoder(question_of(asked, context, visible))
    context[:, 3] += 1.0
    after = decoder(question_of(asked, context, visible))
    assert torch.equal(before[3], after[3])  # the changed token is invisible to itself
    assert not torch.allclose(before[4], after[4])  # and visible to another


@pytest.mark.parametrize("training", [False, True])
def test_a_place_that_may_look_at_nothing_has_a_finite_state_and_gradient(language_model, training):
    decoder = Decoder(language_model.config).train(training)
    visible = ~torch.eye(4, dtype=torch.bool)[None]
    visible[:, 2] = False
    asked, context = torch.randn(1, 4, D, requires_grad=True), torch.randn(1, 4, D)
    states = decoder(question_of(asked, context, visible))
    states.sum().backward()
    assert states.isfinite().all() and asked.grad.isfinite().all()
    visible[:, 2] = True
    again = decoder(question_of(asked, context, visible))
    torch.testing.assert_close(again, states)  # any key will do: here, all


def test_changing_a_word_does_not_change_its_own_reconstruction(language_model):
    model, batch = RetroMAE(language_model, MASK, decoder_mask=0.01).eval(), batch_of([8, 5])
    sentence, rebuilt = torch.randn(2, D), []
    for word in (5, 7):
        batch.ids[:, 3] = word
        torch.manual_seed(1)
        question, _ = model.ask(sentence, batch.ids, batch.is_token, batch.is_word)
        rebuilt.append(model.decoder(question))  # 8 and 5 places
    before, after = rebuilt
    assert torch.equal(before[[2, 10]], after[[2, 10]])  # the changed word is invisible to itself
    assert not torch.allclose(before, after)  # and visible to others


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
    sentence = torch.randn(2, D, requires_grad=True)
    question, wanted = model.ask(sentence, batch.ids, batch.is_token, batch.is_word)
    model.guesses("decoder", model.decoder(question), wanted)["decoder_loss"].backward()
    assert (sentence.grad.abs().sum(dim=1) > 0).all()
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


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_basic_decoding_asks_for_what_is_masked_alone(language_model, share):
    lengths = [10, 1, 0, 13]
    model = RetroMAE(language_model, MASK, decoder_labels=share, decoding="basic")
    batch = batch_of(lengths)
    found = model(batch.ids, batch.is_token, batch.is_word)
    masked = [min(n, max(1, round(n * 0.5))) for n in lengths]
    assert found["decoder_count"] == sum(min(n, max(1, round(n * share))) for n in masked)


def test_whole_words_reach_both_masks(language_model, monkeypatch):
    batch, words, given = batch_of([9, 4]), torch.arange(11).expand(2, 11) // 2, []
    for name in ("mask_tokens", "sample_context"):
        call = getattr(retromae, name)
        monkeypatch.setattr(retromae, name, lambda *all_, call=call: given.append(all_[-1]) or call(*all_))
    RetroMAE(language_model, MASK)(batch.ids, batch.is_token, batch.is_word, words)
    assert len(given) == 2 and all(one is words for one in given)


def test_padding_and_places_that_are_not_asked_cost_the_decoder_nothing(language_model):
    model, batch = RetroMAE(language_model, MASK, decoder_labels=0.3), batch_of([10, 3], wide=16)
    question, wanted = model.ask(torch.randn(2, D), batch.ids, batch.is_token, batch.is_word)
    assert question.asked.shape == (3 + 1, D) and wanted.shape == (4,) and question.context.shape == (17, D)
    assert torch.equal(question.context[[0, 12]], question.context[question.tokens.starts[:-1].long()])


def test_right_guesses_are_counted(language_model: BertForMaskedLM):
    model = RetroMAE(language_model, MASK).eval()
    states = torch.randn(14, D)
    wanted = language_model.cls(states).argmax(dim=-1)
    wanted[:2] = (wanted[:2] + 1) % V
    found = model.guesses("encoder", states, wanted)
    assert (found["encoder_right"], found["encoder_count"]) == (12, 14)


@pytest.mark.parametrize("share", [-0.1, 0.0, 1.0, 1.5])
@pytest.mark.parametrize("name", ["encoder_mask", "decoder_mask"])
def test_a_share_that_hides_nothing_or_all_is_refused(language_model, name, share):
    with pytest.raises(ValueError, match=f"{name} is {share}; it is a share of the tokens"):
        RetroMAE(language_model, MASK, **{name: share})


def test_a_decoding_that_does_not_exist_is_refused(language_model):
    with pytest.raises(ValueError, match="decoding is 'better'; choose one of enhanced, basic"):
        RetroMAE(language_model, MASK, decoding="better")


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
