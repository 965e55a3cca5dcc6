"""A job made real has the texts it should, and its steps are the engine's."""

import numpy as np
import pytest
import torch

from cpack_lib.model.tokens import token_ids
from cpack_lib.training.planning import products
from cpack_lib.training.planning.jobs import Job
from cpack_lib.training.planning.machine import this_machine
from cpack_lib.training.planning.memory import split
from cpack_lib.training.planning.observed import (
    Alive,
    Engine,
    beside,
    characters,
    random_texts,
    tokenizer_of,
    written,
)
from cpack_lib.training.planning.seconds import seconds
from tests.training.planning.planned import counted

JOB = Job(size="nano", batch=16, query_tokens=8, passage_tokens=24, tokens_per_chunk=96, words=400)


def test_a_text_has_the_tokens_it_should():
    lengths = np.asarray([3, 4, 17, 128])
    tokenizer, texts = tokenizer_of(500), random_texts(lengths, 500)
    assert len(tokenizer) == 500
    ids = token_ids(tokenizer, texts, 512)
    assert [len(row) + 2 for row in ids] == lengths.tolist()
    assert not any((row == tokenizer.unk_token_id).any() for row in ids)


def test_a_vocabulary_of_berts_size_has_enough_characters():
    assert len(set(characters(21_123))) == 21_123
    with pytest.raises(ValueError, match="40000 words are more than the 27484 characters"):
        characters(40_000)


@pytest.mark.parametrize("kept", [1e-9, 9.0])
@pytest.mark.parametrize("changes", [{}, {"passages": 3, "both_ways": True}, {"recompute": True}])
def test_all_products_of_a_step_were_planned(tmp_path, changes, kept):
    job = Job(**{**vars(JOB), **changes, "activations_gib": kept})
    first, again = split(job)
    forward = sum(products.embed_flop(job, chunk) for chunk in first + again + again)
    back = sum(products.back_flop(job, chunk) for chunk in first + again)
    engine = Engine(job, tmp_path)
    assert counted(engine.step) == forward + back + products.loss_flop(job)


def test_all_products_of_a_retromae_step_were_planned(tmp_path):
    job = Job(**{**vars(JOB), "stage": "retromae"})
    planned = sum(sum(products.rebuild_flop(job, chunk)) for chunk in job.chunks())
    engine = Engine(job, tmp_path)
    assert counted(engine.step) == planned


def test_a_step_is_timed_by_the_parts_that_were_planned(tmp_path):
    told = Engine(JOB, tmp_path).step()
    card = this_machine(JOB, tries=1)
    parts = {f"{part.replace(' ', '_')}_s" for part, value in seconds(JOB, card).items() if value}
    assert parts <= told.keys() | {"seconds"} and told["seconds"] > 0


def test_texts_of_uneven_lengths(tmp_path):
    lengths = np.asarray([4, 5, 6, 7] * 8)
    engine = Engine(JOB, tmp_path, lengths)
    assert sum(int(is_token.sum()) for _, is_token in engine.prepared.chunks) == lengths.sum()


def test_this_machine_as_a_card():
    card = this_machine(Job(size="nano", precision="bfloat16"), tries=1)
    assert card.flop_per_s.keys() == {"bfloat16", "float32"} and not card.fused
    assert card.products("float32") > 1e8 and card.passes() > 1e6 and card.sums() > 1e7 and card.gib > 0


def test_a_job_of_several_gpus_is_not_measured_here(tmp_path):
    with pytest.raises(ValueError, match="a job of 2 GPUs is measured on none here; set gpus to 1"):
        written(Job(batch=8, gpus=2), tmp_path)


def test_alive_counts_each_memory_once_and_forgets_it():
    outside = torch.ones(1_000)
    with Alive() as alive:
        made = outside * 2
        view = made.view(10, 100)
        assert (alive.now, alive.most) == (4_000, 4_000)
        outside.add_(1)
        assert alive.now == 4_000
        more = view + 1
        del made, view
        assert (alive.now, alive.most) == (4_000, 8_000)
        del more
        assert (alive.now, alive.most) == (0, 8_000)


def test_a_job_is_measured_beside_its_plan(tmp_path):
    job = Job(size="nano", batch=24, query_tokens=8, passage_tokens=24, tokens_per_chunk=128, words=400)
    told = beside(job, tmp_path, steps=1)
    assert told["planned_gib"] == pytest.approx(told["measured_gib"], rel=0.06)
    assert told["planned_s"] > 0 and told["measured_s"] > 0  # how near, a quiet machine tells
