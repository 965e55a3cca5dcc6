"""Promises of the embedder: the vectors of sentence-transformers, faster wherever that is the same."""

import random

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Router
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from tokenizers.processors import TemplateProcessing

from cpack_lib.evaluation.models import embedding
from cpack_lib.evaluation.models.embedding import Embedder, Unpadded, Whole

LETTERS = "薄荷常见于南方的集市人们多半在春天谈起狮子，ab c1。"
LENGTHS = [0, 1, 3, 7, 20, 61, 62, 63, 200]  # characters; the longest text has 64 tokens
PROMPT = "人们谈起："
WAYS = {
    "cls, length one": Unpadded,
    "cls": Unpadded,
    "mean": Whole,
    "mean, dense": Whole,
    "cls and max": Whole,
    "cls without prompt": Whole,
}


def drawn(count, seed=0):
    """Texts of very different lengths: an empty one, one of blanks, one far over the longest."""
    draw = random.Random(seed)
    texts = ["".join(draw.choices(LETTERS, k=draw.choice(LENGTHS))) for _ in range(max(0, count - 3))]
    return [*texts, "", "   ", "薄" * 500][:count]


def parts_of(kind, encoder):
    """The parts of a model of some kind over the same BERT."""
    bert = SentenceTransformer(str(encoder), device="cpu")[0]
    torch.manual_seed(1)
    return {
        "cls, length one": [bert, Pooling(32, "cls"), Normalize()],
        "cls": [bert, Pooling(32, "cls")],
        "mean": [bert, Pooling(32, "mean"), Normalize()],
        "mean, dense": [bert, Pooling(32, "mean"), Dense(32, 8)],
        "cls and max": [bert, Pooling(32, ("cls", "max"))],
        "cls without prompt": [bert, Pooling(32, "cls", include_prompt=False)],
    }[kind]


def embedded(embedder, texts, prompt="", budget=200, side=""):
    """All vectors, by batches of a small budget."""
    found = np.full((len(texts), embedder.width), np.nan, dtype=np.float32)
    for rows, items in embedder.batches(texts, prompt, budget):
        found[rows] = embedder.embed(items, prompt, side)
    return found


@pytest.fixture(params=WAYS)
def model(request, encoder):
    """A model of each kind."""
    found = SentenceTransformer(modules=parts_of(request.param, encoder), device="cpu")
    found.kind = request.param
    return found


def test_vectors_are_those_of_sentence_transformers(model, monkeypatch):
    monkeypatch.setattr(embedding, "WINDOW", 11)
    embedder = Embedder(model)
    assert type(embedder.way) is WAYS[model.kind]
    for prompt in ("", PROMPT):
        for count in (0, 1, 2, 37):
            theirs = model.encode(drawn(count), prompt=prompt, batch_size=5)
            ours = embedded(embedder, drawn(count), prompt)
            assert ours.shape == (count, embedder.width)
            np.testing.assert_allclose(ours, theirs.reshape(ours.shape), atol=1e-5)


@pytest.mark.parametrize("trait", ["longest", "truncated", "sides", "left", "decoder"])
def test_a_model_that_differs_in_a_trait_is_embedded_its_own_way(encoder, trait):
    model = SentenceTransformer(str(encoder), device="cpu")
    if trait == "longest":
        model.max_seq_length = 2
    elif trait == "truncated":
        model.truncate_dim = 16
    elif trait == "sides":
        model[0].query_length = 8
    elif trait == "left":
        model.tokenizer.truncation_side = "left"
    else:
        model[0].model.config.is_decoder = True
    embedder, texts = Embedder(model), drawn(9)
    assert type(embedder.way) is Whole
    assert embedder.has_sides == (trait == "sides")
    np.testing.assert_allclose(embedded(embedder, texts), model.encode(texts), atol=1e-5)
    theirs = model.encode_query(texts, prompt="")
    np.testing.assert_allclose(embedded(embedder, texts, side="query"), theirs, atol=1e-5)


def test_a_tokenizer_with_other_ends_is_not_read_as_if_it_had_ours(encoder):
    model = SentenceTransformer(str(encoder), device="cpu")
    ends = [(name, model.tokenizer.convert_tokens_to_ids(name)) for name in ("[CLS]", "[SEP]")]
    swapped = TemplateProcessing(single="[SEP] $A [CLS]", special_tokens=ends)
    model.tokenizer.backend_tokenizer.post_processor = swapped
    assert type(Embedder(model).way) is Whole
    np.testing.assert_allclose(embedded(Embedder(model), drawn(9)), model.encode(drawn(9)), atol=1e-5)


def test_a_router_embeds_each_side_of_a_search_its_own_way(encoder):
    query, document = (parts_of(kind, encoder) for kind in ("cls", "mean"))
    model = SentenceTransformer(modules=[Router.for_query_document(query, document)], device="cpu")
    embedder, texts = Embedder(model), drawn(9)
    assert embedder.has_sides
    for side, theirs in (("query", model.encode_query), ("document", model.encode_document)):
        np.testing.assert_allclose(embedded(embedder, texts, side=side), theirs(texts), atol=1e-5)


def test_weights_in_half_precision_are_computed_in_full(encoder):
    full, half = (SentenceTransformer(str(encoder), device="cpu").half() for _ in range(2))
    np.testing.assert_allclose(embedded(Embedder(half), drawn(9)), full.float().encode(drawn(9)), atol=1e-5)


@pytest.mark.parametrize("kind", ["cls, length one", "mean"])
def test_bfloat16_is_near_and_not_the_same(encoder, kind):
    full, half = (
        embedded(Embedder(SentenceTransformer(modules=parts_of(kind, encoder), device="cpu"), way), drawn(20))
        for way in ("float32", "bfloat16")
    )
    assert half.dtype == np.float32
    assert not np.allclose(full, half, atol=1e-5)
    assert (full * half).sum(axis=1).min() > 0.99


@pytest.mark.parametrize("kind", ["cls", "mean"])
def test_lengths_are_tokens_and_not_characters(encoder, kind):
    model = SentenceTransformer(modules=parts_of(kind, encoder), device="cpu")
    _, lengths = Embedder(model).way.read(drawn(30), PROMPT)
    theirs = [len(ids) for ids in model.tokenizer([PROMPT + text for text in drawn(30)])["input_ids"]]
    assert lengths == [min(64, length) for length in theirs]
    assert lengths != [min(64, len(PROMPT + text)) for text in drawn(30)]


@pytest.mark.parametrize("budget", [1, 70, 10_000])
def test_batches_hold_every_text_once_longest_first_and_keep_to_the_budget(encoder, budget, monkeypatch):
    monkeypatch.setattr(embedding, "WINDOW", 16)
    embedder = Embedder(SentenceTransformer(str(encoder), device="cpu"))
    found = list(embedder.batches(drawn(41), "", budget))
    assert sorted(row for rows, _ in found for row in rows) == list(range(41))
    for rows, items in found:
        tokens = [len(ids) + 2 for ids in items]
        assert len(rows) == 1 or len(rows) * max(tokens) <= budget
        assert tokens == sorted(tokens, reverse=True)
        assert max(rows) // 16 == min(rows) // 16  # of one window


def test_what_another_call_set_on_the_tokenizer_does_not_reach_us(encoder):
    model = SentenceTransformer(str(encoder), device="cpu")
    embedder = Embedder(model)
    before = embedded(embedder, drawn(9))
    model.tokenizer(drawn(9), padding="max_length", truncation=True, max_length=5)
    np.testing.assert_array_equal(embedded(embedder, drawn(9)), before)
