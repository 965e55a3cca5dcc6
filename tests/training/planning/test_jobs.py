"""A job on paper has the model's numbers, is cut as the engine cuts it, and refused where it cannot be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cpack_lib.model.encoder import SIZES, new_encoder
from cpack_lib.model.masks import choose_share
from cpack_lib.training.objectives.contrastive import EncoderContrast
from cpack_lib.training.planning.jobs import STAGES, Chunk, Job, numbers_in, trained
from cpack_lib.training.planning.observed import written
from cpack_lib.training.ranks import Ranks
from tests.training.planning.planned import WORDS, empty_model


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("size", SIZES)
def test_trained_numbers_are_those_of_the_model(size, stage):
    job = Job(size=size, stage=stage)
    assert trained(job) == sum(weight.numel() for weight in empty_model(job).parameters())


def test_the_parts_of_an_encoder_add_up_to_one_that_is_made(tokenizer):
    encoder = new_encoder("nano", tokenizer)
    parts = numbers_in(Job(size="nano", words=len(tokenizer)))
    assert parts["tokens and positions"] == sum(w.numel() for w in encoder.backbone.embeddings.parameters())
    assert parts["layers"] == sum(w.numel() for w in encoder.backbone.encoder.parameters())


@pytest.mark.parametrize(("size", "millions"), [("small", 24), ("base", 102), ("large", 326)])
def test_the_released_sizes_have_the_numbers_the_release_says(size, millions):
    assert trained(Job(size=size)) / 1e6 == pytest.approx(millions, rel=0.02)


def test_texts_of_a_step_and_their_tokens():
    job = Job(batch=10, query_tokens=8, passage_tokens=20, passages=3)
    assert (job.texts, job.tokens) == (40, 10 * 8 + 30 * 20)
    assert Job(stage="retromae", batch=10, passage_tokens=20).tokens == 200


@pytest.mark.parametrize("gpus", [1, 3])
def test_chunks_are_those_of_the_engine(tmp_path, gpus):
    job = Job(size="nano", batch=13, query_tokens=5, passage_tokens=11, tokens_per_chunk=40, words=WORDS)
    settings = written(job, tmp_path)
    engine = EncoderContrast(settings, tmp_path / "engine", Ranks(0, gpus))
    found = engine.prepare(np.arange(13)).chunks
    cut = [Chunk(*is_token.shape, int(is_token.sum())) for _, is_token in found]
    assert cut == replace(job, gpus=gpus).chunks() and len(cut) > 1
    assert all(chunk.places <= 40 for chunk in cut)


def test_words_that_retromae_guesses_are_those_it_chooses():
    job = Job(stage="retromae", batch=8, encoder_mask=0.3, decoder_labels=0.5)
    for longest in (3, 4, 9, 17, 128):
        words = torch.ones(4, longest - 2, dtype=torch.bool)
        chosen = tuple(int(choose_share(words, share).sum()) for share in (0.3, 0.5))
        assert job.guesses(Chunk(4, longest, 4 * longest)) == chosen


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"size": "huge"}, "size is 'huge'; choose one of nano"),
        ({"stage": "bag"}, "stage is 'bag'; choose one of contrast, retromae"),
        ({"precision": "float16"}, "precision is 'float16'; choose one of bfloat16, float32"),
        ({"batch": 0}, "batch is 0; it has to be 1 or more"),
        ({"gpus": 0}, "gpus is 0"),
        ({"batch": 16, "gpus": 24}, "a batch of 16 leaves 8 of 24 GPUs without a query; take a larger batch"),
        ({"query_tokens": 2}, "query_tokens is 2; a text has 3 to 512 tokens"),
        ({"passage_tokens": 513}, "passage_tokens is 513"),
        ({"tokens_per_chunk": 0}, "tokens_per_chunk is 0; it has to be above 0"),
        ({"activations_gib": float("nan")}, "activations_gib is nan"),
        ({"dropout": 1.5}, "dropout is 1.5; it is a share, from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(changes, complaint):
    with pytest.raises(ValueError) as caught:
        Job(**changes)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)
