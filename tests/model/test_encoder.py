"""The encoder: sizes as released, the same vectors however cut, saved as sentence-transformers reads it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

from cpack_lib.corpus.labelled.instructions import INSTRUCTION
from cpack_lib.model.encoder import (
    SIZES,
    Encoder,
    load_encoder,
    new_encoder,
    new_language_model,
    save_encoder,
    saved_instruction,
    size_config,
)
from cpack_lib.model.tokens import pad, token_ids

CLOSE = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(scope="module")
def encoder(pieces) -> Encoder:
    """A nano encoder of random weights."""
    return new_encoder("nano", pieces, seed=1)


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory) -> Path:
    """The encoder, saved with an instruction and a limit of 20 tokens."""
    place = tmp_path_factory.mktemp("saved") / "encoder"
    save_encoder(encoder, place, instruction=INSTRUCTION["zh"], longest=20)
    return place


@pytest.fixture(scope="module")
def many(texts) -> list[str]:
    """Texts of very different lengths: empty ones, single characters, repetitions."""
    return ["", "雨", *texts, "雨" * 40, *(text * 3 for text in texts), ""]


@pytest.mark.parametrize(("size", "millions"), [("small", 24), ("base", 102), ("large", 326)])
def test_sizes_have_the_parameters_of_the_released_models(size, millions):
    with torch.device("meta"):
        backbone = new_language_model(size, vocab_size=21_128).bert
    pooler = SIZES[size][1] * (SIZES[size][1] + 1)  # the released files hold one, though nothing reads it
    assert round((sum(weight.numel() for weight in backbone.parameters()) + pooler) / 1e6) == millions


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="'huge'; choose one of nano, mini, wide, small, base, large"):
        size_config("huge", 100)


def test_random_weights_depend_on_the_seed_alone(pieces):
    before = torch.get_rng_state()
    states = [new_language_model("nano", len(pieces), seed).state_dict() for seed in (3, 3, 4)]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    name = "bert.embeddings.word_embeddings.weight"
    assert not torch.equal(states[0][name], states[2][name])


def test_an_embedding_is_the_cls_state_of_the_text_alone_at_length_one(encoder, many):
    found = encoder.encode(many)
    assert found.shape == (len(many), encoder.width) and found.dtype == np.float32
    encoder.eval()
    for text, embedding in zip(many, found, strict=True):
        ids = torch.tensor([encoder.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            state = encoder.backbone(input_ids=ids).last_hidden_state[0, 0].double()
        np.testing.assert_allclose(embedding, (state / state.norm()).numpy(), **CLOSE)


@pytest.mark.parametrize("budget", [1, 30, 100, 100_000])
def test_cutting_into_chunks_changes_no_vector(encoder, many, budget):
    expected = encoder.encode(many, budget=16_384)
    np.testing.assert_allclose(encoder.encode(many, budget=budget), expected, **CLOSE)


def test_no_texts_and_one_text(encoder):
    assert encoder.encode([]).shape == (0, encoder.width)
    assert encoder.encode(["雨"]).shape == (1, encoder.width)


def test_a_prompt_stands_before_each_text_and_a_limit_cuts_it(encoder, many):
    prompted = encoder.encode(many, prompt="查询：")
    np.testing.assert_allclose(prompted, encoder.encode(["查询：" + text for text in many]), **CLOSE)
    ids, is_token = pad(token_ids(encoder.tokenizer, many, 5), encoder.tokenizer)
    with torch.no_grad():
        cut = encoder.eval()(ids, is_token).numpy()
    np.testing.assert_allclose(encoder.encode(many, longest=5), cut, **CLOSE)


@pytest.mark.parametrize("training", [True, False])
def test_encoding_drops_nothing_and_leaves_the_mode_as_it_was(encoder, texts, training):
    encoder.train(training)
    first, second = encoder.encode(texts), encoder.encode(texts)
    assert np.array_equal(first, second)
    assert all(part.training is training for part in encoder.modules())


def test_sentence_transformers_gives_the_same_vectors(encoder, folder, many):
    released = SentenceTransformer(str(folder), device="cpu")
    expected = encoder.encode(many, longest=20)
    np.testing.assert_allclose(released.encode(many), expected, **CLOSE)
    np.testing.assert_allclose(load_encoder(folder).encode(many, longest=20), expected, **CLOSE)
    queries = encoder.encode(many, prompt=INSTRUCTION["zh"], longest=20)
    np.testing.assert_allclose(released.encode_query(many), queries, **CLOSE)
    np.testing.assert_allclose(released.encode_document(many), expected, **CLOSE)


def test_what_is_saved_is_kept(encoder, folder):
    released = SentenceTransformer(str(folder), device="cpu")
    assert released.max_seq_length == 20
    assert released.prompts == {"query": INSTRUCTION["zh"], "document": ""}
    assert saved_instruction(folder) == INSTRUCTION["zh"]
    loaded = load_encoder(folder)
    assert loaded.tokenizer.get_vocab() == encoder.tokenizer.get_vocab()
    assert not any(part.training for part in loaded.modules())
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    assert [path.name for path in folder.parent.iterdir()] == ["encoder"]


def test_equal_encoders_make_equal_files_and_replace_older_ones(encoder, folder, tmp_path):
    other = tmp_path / "encoder"
    save_encoder(encoder, other)
    (other / "odd.txt").touch()
    encoder.encode(["土豆"], longest=3)
    save_encoder(encoder, other, instruction=INSTRUCTION["zh"], longest=20)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert all((folder / file).read_bytes() == (other / file).read_bytes() for file in files)


def test_a_plain_bert_folder_is_read(encoder, texts, tmp_path):
    encoder.backbone.save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    np.testing.assert_allclose(load_encoder(tmp_path).encode(texts), encoder.encode(texts), **CLOSE)


@pytest.mark.parametrize("pooling", ["mean", "max", ("cls", "mean")])
def test_a_folder_that_pools_otherwise_is_refused(encoder, folder, tmp_path, pooling):
    modules = [Transformer(str(folder)), Pooling(encoder.width, pooling_mode=pooling), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path))
    with pytest.raises(ValueError, match=r"pools by .*; this project's encoders pool by cls"):
        load_encoder(tmp_path)


def test_a_folder_with_other_parts_is_refused(encoder, folder, tmp_path):
    parts = [Transformer(str(folder)), Pooling(encoder.width, pooling_mode="cls"), Dense(encoder.width, 7)]
    for name, modules in (("dense", parts), ("bare", parts[:1])):
        SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path / name))
        with pytest.raises(ValueError, match=f"{name} is made of Transformer"):
            load_encoder(tmp_path / name)
