"""Numbers counted on paper are those of the models."""

import pytest

from cpack_lib.model.encoder import SIZES, new_encoder
from cpack_lib.training.planning.jobs import STAGES, Job
from cpack_lib.training.planning.shapes import BERT_WORDS, numbers_in, shape_of, trained
from tests.training.planned import empty_model


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("size", SIZES)
def test_trained_numbers_are_those_of_the_model(size, stage):
    job = Job(size=size, stage=stage)
    assert trained(job.shape, stage) == sum(weight.numel() for weight in empty_model(job).parameters())


def test_the_parts_of_an_encoder_add_up_to_one_that_is_made(tokenizer):
    encoder = new_encoder("nano", tokenizer)
    parts = numbers_in(shape_of("nano", len(tokenizer)))
    assert parts["tokens and positions"] == sum(w.numel() for w in encoder.backbone.embeddings.parameters())
    assert parts["layers"] == sum(w.numel() for w in encoder.backbone.encoder.parameters())


@pytest.mark.parametrize(("size", "millions"), [("small", 24), ("base", 102), ("large", 326)])
def test_the_released_sizes_have_the_numbers_the_release_says(size, millions):
    assert trained(shape_of(size, BERT_WORDS)) / 1e6 == pytest.approx(millions, rel=0.02)


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="no encoder has the size 'huge'; choose one of nano"):
        shape_of("huge")
