"""What RetroMAE hides: shares are exact, chance is even, nobody sees itself, padding is never seen."""

import pytest
import torch

from cpack_lib.model import masks
from cpack_lib.model.masks import (
    IGNORED,
    choose_share,
    mask_tokens,
    sample_context,
    word_numbers,
    words_of,
)
from tests.model.texts import MASK, V, batch_of


@pytest.fixture(autouse=True)
def seed() -> None:
    """Every test starts from the same random state."""
    torch.manual_seed(0)


# --- which places are chosen


@pytest.mark.parametrize("lengths", [[0], [1], [0, 3, 7], [5, 5]])
def test_words_are_tokens_but_the_ends_of_each_text(lengths):
    batch = batch_of(lengths, wide=10)
    for row, length in zip(words_of(batch.is_token), lengths, strict=True):
        assert row.tolist() == [1 <= i <= length for i in range(10)]


def test_a_token_that_continues_has_the_number_of_the_word_before_it():
    continues = torch.tensor([False, False, True, True])
    ids = torch.tensor([[0, 1, 2, 3, 1, 0], [2, 2, 1, 1, 3, 0]])
    assert word_numbers(ids, continues).tolist() == [[0, 1, 1, 1, 2, 3], [0, 0, 0, 1, 1, 2]]


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
    monkeypatch.setattr(masks, "MASKS_PER_TEXT", 3)
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


def test_words_of_several_tokens_are_hidden_whole_from_the_decoder():
    batch, words = batch_of([12] * 30), torch.arange(14).add(1).div(2, rounding_mode="floor").expand(30, 14)
    visible = sample_context(batch.is_token, batch.is_word, 0.5, words)[
        :, 0, 1:13
    ]  # [CLS] hides no word more
    assert (visible.sum(dim=1) == 6).all()
    assert torch.equal(visible[:, ::2], visible[:, 1::2])
