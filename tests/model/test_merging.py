"""Merging: an average is what float64 says it is, and what means nothing together is refused."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import normalizers
from transformers import BertConfig, BertModel

from cpack_lib.model.encoder import Encoder, load_encoder, save_encoder
from cpack_lib.model.instructions import saved_prompts
from cpack_lib.model.merging import merge_encoders, saved_longest
from cpack_lib.model.tokens import train_pieces

NAMES = {"query": "问：", "document": ""}


def small(tokenizer, seed=0, **changes):
    """One layer, 12 wide."""
    shape = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 20}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **shape | changes)
    torch.manual_seed(seed)
    return Encoder(BertModel(config, add_pooling_layer=False), tokenizer)


@pytest.fixture
def saved(pieces, tmp_path):
    """A maker of saved encoders, each of its seed."""

    def save(name, seed=0, tokenizer=pieces, instruction="问：", longest=20, **changes):
        save_encoder(small(tokenizer, seed, **changes), tmp_path / name, instruction, longest)
        return tmp_path / name

    return save


def weights(folder):
    """What a folder holds, in float64."""
    return {name: value.double() for name, value in load_file(folder / "model.safetensors").items()}


@pytest.mark.parametrize("shares", [None, [1, 1, 1], [0.2, 3.0, 0.1]])
def test_the_average_of_equal_models_is_that_model(saved, tmp_path, shares):
    place = saved("one", seed=4)
    merge_encoders([place] * 3, tmp_path / "merged", shares)
    files = sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "merged") for path in (tmp_path / "merged").rglob("*") if path.is_file()
    )
    assert all((place / file).read_bytes() == (tmp_path / "merged" / file).read_bytes() for file in files)


@pytest.mark.parametrize("shares", [None, [1.0, 2.0, 0.5], [0, 1, 0]])
def test_the_average_is_that_of_float64(saved, tmp_path, shares):
    places = [saved(str(seed), seed) for seed in range(3)]
    merge_encoders(places, tmp_path / "merged", shares)
    found, all_weights = weights(tmp_path / "merged"), [weights(place) for place in places]
    relative = np.asarray(shares or [1, 1, 1]) / sum(shares or [1, 1, 1])
    for name, value in found.items():
        mean = sum(share * each[name] for share, each in zip(relative, all_weights, strict=True))
        torch.testing.assert_close(value, mean, rtol=2**-24, atol=0)  # rounded once, to float32
    encoder = load_encoder(tmp_path / "merged")
    assert encoder.encode(["土豆"]).shape == (1, 12)
    assert saved_prompts(tmp_path / "merged") == NAMES and saved_longest(tmp_path / "merged") == 20


def test_the_order_does_not_matter_and_the_sources_stay(saved, tmp_path):
    places = [saved("a", 1), saved("b", 2)]
    before = [weights(place) for place in places]
    merge_encoders(places, tmp_path / "there", [1, 3])
    merge_encoders(places[::-1], tmp_path / "back", [3, 1])
    there, back = weights(tmp_path / "there"), weights(tmp_path / "back")
    for name, value in there.items():
        torch.testing.assert_close(value, back[name], rtol=2**-23, atol=0)
    for place, old in zip(places, before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in weights(place).items())


def test_prompts_that_differ_have_to_be_told(saved, tmp_path):
    places = [saved("with", 1), saved("without", 2, instruction="")]
    with pytest.raises(
        ValueError, match=r"with has the prompts .*问.* and .*without .*; say with `prompts` which"
    ):
        merge_encoders(places, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    merge_encoders(places, tmp_path / "merged", prompts={"query": "", "document": ""})
    assert saved_prompts(tmp_path / "merged") == {"query": "", "document": ""}


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"hidden_size": 15}, r"is \(12,\) in .*one and \(15,\) in .*two; only encoders of one shape"),
        ({"num_hidden_layers": 2}, r"is absent in .*one and \(12,\) in .*two; only encoders of one shape"),
        ({"num_attention_heads": 2}, "num_attention_heads is 3 in .*one and 2 in .*two; only encoders"),
        ({"hidden_act": "relu"}, "hidden_act is gelu in .*one and relu in .*two; only encoders"),
        ({"longest": 19}, "one reads 20 tokens of a text and .*two 19; save them with one limit"),
    ],
)
def test_encoders_that_are_not_alike_are_refused(saved, tmp_path, changes, said):
    places = [saved("one", 1), saved("two", 2, **changes)]
    with pytest.raises(ValueError, match=said) as caught:
        merge_encoders(places, tmp_path / "merged")
    assert "\n" not in str(caught.value) and not (tmp_path / "merged").exists()


def test_dropout_of_training_does_not_matter(saved, tmp_path):
    merge_encoders([saved("one", 1), saved("two", 2, hidden_dropout_prob=0.3)], tmp_path / "merged")
    assert (tmp_path / "merged/modules.json").exists()


def other_pieces(texts):
    """As many pieces, of texts read backwards."""
    return train_pieces([text[::-1] for text in texts] * 5, vocab_size=90)


def other_rules(texts):
    """The same pieces, but capitals stay."""
    tokenizer = train_pieces(texts * 5, vocab_size=90)
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    return tokenizer


@pytest.mark.parametrize("other", [other_pieces, other_rules])
def test_tables_of_other_tokens_are_refused(saved, texts, tmp_path, other):
    tokenizer = train_pieces(texts * 5, vocab_size=90)
    places = [saved("one", 0, tokenizer), saved("two", 1, other(texts))]
    with pytest.raises(
        ValueError, match="one and .*two have different tokenizers, so one row of their tables"
    ):
        merge_encoders(places, tmp_path / "merged")


def test_a_cut_that_somebody_asked_for_is_no_difference(saved, texts, tmp_path):
    tokenizer = train_pieces(texts * 5, vocab_size=90)
    places = [saved("one", 0, tokenizer)]
    tokenizer("土豆", truncation=True, max_length=3)  # stays in the tokenizer, and is saved with it
    places.append(saved("two", 1, tokenizer))
    files = [(place / "tokenizer.json").read_text() for place in places]
    assert files[0] != files[1]
    merge_encoders(places, tmp_path / "merged")


@pytest.mark.parametrize(
    "count, shares, said",
    [
        (1, None, "1 encoders with 1 shares cannot be averaged; name two encoders or more"),
        (2, [1.0], "2 encoders with 1 shares"),
        (2, [0, 0], r"shares are \[0, 0\]; they have to be 0 or above, and one of them above 0"),
        (2, [2, -1], r"shares are \[2, -1\]"),
        (2, [1, float("nan")], r"shares are \[1, nan\]"),
        (2, [1, float("inf")], r"shares are \[1, inf\]"),
    ],
)
def test_shares_of_which_no_average_can_be_made_are_refused(tmp_path, count, shares, said):
    with pytest.raises(ValueError, match=said):
        merge_encoders([tmp_path / "nowhere"] * count, tmp_path / "merged", shares)
