"""Tokens: what goes into a store comes out, chunks hold each text once, padding is what a loop would do."""

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from cpack_lib.model.tokens import (
    SPECIAL,
    TokenStore,
    chunks,
    load_tokenizer,
    pad,
    token_ids,
    train_pieces,
    train_wordpiece,
    write_store,
)

RNG = np.random.default_rng(0)


def test_wordpiece_makes_every_chinese_character_a_word(wordpiece):
    assert wordpiece.tokenize("土豆和马铃薯") == list("土豆和马铃薯")
    assert wordpiece.tokenize("THE") == wordpiece.tokenize("the") == ["the"]
    assert wordpiece.tokenize("lazyfox") == ["lazy", "##f", "##ox"]
    assert set(wordpiece.all_special_tokens) == set(SPECIAL.values())


def test_pieces_span_several_characters_but_no_punctuation(pieces):
    assert "土豆" in pieces.tokenize("土豆，公园")
    assert all(token == "，" or "，" not in token for token in pieces.get_vocab())


@pytest.mark.parametrize("longest", [2, 3, 7])
def test_pieces_are_as_long_as_asked_and_no_longer(texts, longest):
    vocabulary = train_pieces(texts * 5, vocab_size=300, longest=longest).get_vocab()
    assert max(len(token) for token in vocabulary if token not in SPECIAL.values()) == longest


@pytest.mark.parametrize("train", [train_pieces, train_wordpiece])
def test_training_is_deterministic_and_keeps_the_special_tokens(train, texts, tmp_path):
    tokenizer = train(texts * 5, vocab_size=120)
    assert tokenizer.get_vocab() == train(iter(texts * 5), vocab_size=120).get_vocab()
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer))) and len(tokenizer) <= 120
    assert [getattr(tokenizer, name) for name in SPECIAL] == list(SPECIAL.values())
    ids = tokenizer("土豆")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path)("土豆")["input_ids"] == ids


def test_a_tokenizer_without_a_mask_token_is_refused(pieces, tmp_path):
    others = {name: token for name, token in SPECIAL.items() if name != "mask_token"}
    PreTrainedTokenizerFast(tokenizer_object=pieces.backend_tokenizer, **others).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no mask_token"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("longest", [3, 4, 7, 512])
def test_ids_are_those_of_the_tokenizer_cut_to_leave_room_for_both_ends(pieces, texts, longest):
    for text, ids in zip([*texts, ""], token_ids(pieces, [*texts, ""], longest), strict=True):
        assert ids.tolist() == pieces(text)["input_ids"][1:-1][: longest - 2]


def test_no_texts_have_no_ids_and_too_short_a_limit_is_refused(pieces):
    assert token_ids(pieces, [], 8) == []
    with pytest.raises(ValueError, match="2 tokens cannot hold"):
        token_ids(pieces, ["土豆"], 2)


@pytest.mark.parametrize("batches", [[], [[]], [["", ""]], [["土豆"]], [["秋天的雨", ""], [], ["fox"]]])
def test_a_store_gives_back_what_was_written(pieces, tmp_path, batches):
    store = write_store(tmp_path / "store", pieces, batches, longest=6)
    expected = token_ids(pieces, [text for batch in batches for text in batch], longest=6)
    for found in (store, TokenStore(tmp_path / "store")):
        assert [found[i].tolist() for i in range(len(found))] == [ids.tolist() for ids in expected]
        assert found.lengths.tolist() == [len(ids) for ids in expected]
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["ids.npy", "offsets.npy"]


class Wide:
    """A stand-in for a tokenizer: each character is a token, its code point the id."""

    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(character) for character in text] for text in texts]}


@pytest.mark.parametrize(("size", "kind"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_ids_take_two_bytes_while_the_vocabulary_allows(tmp_path, size, kind):
    last = chr(size - 1)
    store = write_store(tmp_path, Wide(size), [[last, "a" + last]], longest=9)
    assert store.ids.dtype == kind
    assert [store[i].tolist() for i in range(2)] == [[size - 1], [97, size - 1]]


def test_a_torn_store_is_refused(pieces, tmp_path):
    write_store(tmp_path, pieces, [["秋天的第一场雨"]], longest=9)
    np.save(tmp_path / "offsets.npy", np.asarray([0, 99]))
    with pytest.raises(ValueError, match="is torn: .* ids, not 99"):
        TokenStore(tmp_path)


def test_an_interrupted_write_is_written_over(pieces, tmp_path):
    (tmp_path / "ids.raw").write_bytes(b"odd")
    assert len(write_store(tmp_path, pieces, [["土豆"], ["秋天"]], longest=9)) == 2


@pytest.mark.parametrize("count", [0, 1, 2, 17, 500])
@pytest.mark.parametrize("budget", [1, 64, 1000])
def test_chunks_hold_each_text_once_within_the_budget(count, budget):
    lengths = RNG.integers(0, 90, size=count)
    found = chunks(lengths, budget)
    assert sorted(int(i) for chunk in found for i in chunk) == list(range(count))
    for chunk in found:
        assert len(chunk) == 1 or len(chunk) * max(lengths[i] for i in chunk) <= budget
    in_order = [int(lengths[i]) for chunk in found for i in chunk]
    assert in_order == sorted(in_order, reverse=True)


def test_chunks_are_as_full_as_they_can_be():
    assert [chunk.tolist() for chunk in chunks([2, 9, 2, 3, 2], budget=6)] == [[1], [3, 0], [2, 4]]
    with pytest.raises(ValueError, match="0 tokens holds nothing"):
        chunks([1], 0)


@pytest.mark.parametrize("lengths", [[], [0], [5], [0, 3, 1], [7, 7], [1, 0, 0, 12]])
def test_padding_is_what_a_loop_would_do(pieces, lengths):
    rows = [RNG.integers(5, len(pieces), size=length).astype(np.uint16) for length in lengths]
    ids, is_token = pad(rows, pieces)
    width = max(lengths, default=0) + 2
    assert ids.shape == is_token.shape == (len(rows), width)
    assert (ids.dtype, is_token.dtype) == (torch.int64, torch.bool)
    for i, row in enumerate(rows):
        expected = [pieces.cls_token_id, *row.tolist(), pieces.sep_token_id]
        rest = width - len(expected)
        assert ids[i].tolist() == expected + [pieces.pad_token_id] * rest
        assert is_token[i].tolist() == [True] * len(expected) + [False] * rest
