"""What a whole step holds on paper is what it holds."""

from dataclasses import replace

import pytest

from cpack_lib.training.planning import memory
from cpack_lib.training.planning.jobs import STATE, Job, trained
from cpack_lib.training.planning.observed import Engine
from cpack_lib.work.measure import GIB

WORDS = 400
NANO = Job(size="nano", batch=48, query_tokens=16, passage_tokens=40, tokens_per_chunk=640, words=WORDS)
JOBS = {
    "embedded twice": replace(NANO, activations_gib=1e-9),
    "all kept": replace(NANO, activations_gib=9.0),
    "half kept": replace(NANO, activations_gib=0.06),
    "all kept, layers recomputed": replace(NANO, size="small", batch=24, activations_gib=9.0, recompute=True),
    "embedded twice, layers recomputed": replace(
        NANO, size="small", batch=24, activations_gib=1e-9, recompute=True
    ),
    "float32, no dropout": replace(NANO, precision="float32", dropout=0.0, activations_gib=1e-9),
    "negatives, both ways": replace(NANO, batch=16, passages=3, both_ways=True, activations_gib=1e-9),
    "small, long texts": replace(NANO, size="small", batch=4, query_tokens=128, passage_tokens=256),
    "retromae": replace(NANO, stage="retromae", batch=24),
    "retromae, layers recomputed": replace(NANO, stage="retromae", size="small", batch=24, recompute=True),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_step_holds_what_was_planned(tmp_path, name):
    job = JOBS[name]
    assert memory.peak_gib(job) == pytest.approx(Engine(job, tmp_path).gib(), rel=0.06)


def test_parts_at_the_peak_add_up_and_name_what_decides():
    parts = memory.parts_at_peak(JOBS["all kept"])
    assert sum(parts.values()) / GIB == pytest.approx(memory.peak_gib(JOBS["all kept"]))
    assert max(parts, key=parts.get) == "kept chunks"
    weights = STATE * trained(NANO)
    assert parts["weights"] == weights and parts["optimiser states"] == 2 * weights


def test_what_is_kept_is_what_the_engine_keeps(tmp_path):
    job = JOBS["half kept"]
    first, again = memory.split(job)
    engine = Engine(job, tmp_path)
    seconds = engine.step()
    assert first and again and seconds["back_s"] > 0 and seconds["embed_again_s"] > 0
    places = [chunk.places for chunk in job.chunks()]
    assert engine.objective.fitting(places, None) == len(first)


def test_memory_of_the_cached_step_does_not_grow_with_the_batch_but_for_embeddings():
    few, many = (replace(NANO, batch=batch, activations_gib=1e-9) for batch in (1_000, 10_000))
    back = [memory.phases(job)["back"] for job in (few, many)]
    assert back[0]["one chunk"] == back[1]["one chunk"]
    grown = back[1]["embeddings and scores"] / back[0]["embeddings and scores"]
    assert grown == pytest.approx(10)


def test_gathered_embeddings_are_all_texts_on_every_gpu():
    one, many = (memory.phases(replace(NANO, gpus=gpus))["loss"] for gpus in (1, 24))
    assert one["embeddings and scores"] == many["embeddings and scores"]
    assert "gradients in one row" in memory.phases(replace(NANO, gpus=24))["reduce"]
