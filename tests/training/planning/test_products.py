"""Products counted on paper are those PyTorch counts, on real models of every size."""

import pytest
import torch

from cpack_lib.model.encoder import SIZES
from cpack_lib.training.contrast import contrastive_loss
from cpack_lib.training.planning import products
from cpack_lib.training.planning.jobs import Chunk, Job
from tests.training.planning.planned import WORDS, counted, empty_model, forward_of

CHUNK = Chunk(texts=3, longest=7, tokens=21)


def forward_and_back(job: Job, chunk: Chunk) -> tuple[int, int]:
    """FLOP of a chunk on the real model."""
    found, forward = [], forward_of(job, empty_model(job), chunk)
    return counted(lambda: found.append(forward())), counted(lambda: found[0].backward())


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_chunk_of_a_contrast(size, recompute):
    job = Job(size=size, recompute=recompute, words=WORDS)
    planned = products.embed_flop(job, CHUNK), products.back_flop(job, CHUNK)
    assert forward_and_back(job, CHUNK) == planned


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("size", ["nano", "small", "base"])
def test_a_chunk_of_retromae(size, recompute):
    job = Job(size=size, stage="retromae", recompute=recompute, words=WORDS)
    assert forward_and_back(job, CHUNK) == products.rebuild_flop(job, CHUNK)


def test_retromae_that_rebuilds_a_share_of_the_words():
    job = Job(size="nano", stage="retromae", words=WORDS, decoder_labels=0.4, encoder_mask=0.2)
    assert forward_and_back(job, CHUNK) == products.rebuild_flop(job, CHUNK)


def test_padding_costs_attention_alone():
    full, padded = Chunk(texts=3, longest=7, tokens=21), Chunk(texts=3, longest=7, tokens=13)
    job = Job(size="small", words=WORDS)
    planned = products.embed_flop(job, padded), products.back_flop(job, padded)
    assert forward_and_back(job, padded) == planned
    saved = products.layer_flop(job.shape, full) - products.layer_flop(job.shape, padded)
    D, inner = job.shape.width, job.shape.inner
    assert saved == 2 * (21 - 13) * (4 * D * D + 2 * D * inner)


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("passages", [1, 3])
def test_the_loss_of_the_own_queries(passages, both_ways):
    job = Job(size="nano", batch=12, passages=passages, gpus=3, both_ways=both_ways)
    queries = torch.randn(12, job.shape.width, requires_grad=True)
    candidates = torch.randn(12 * passages, job.shape.width, requires_grad=True)
    rows = torch.arange(12)[::3]
    found = counted(
        lambda: contrastive_loss(queries, candidates, 0.05, both_ways=both_ways, rows=rows).backward()
    )
    assert found == products.loss_flop(job)


def test_retromae_has_no_loss_between_texts():
    assert products.loss_flop(Job(stage="retromae", batch=8)) == 0
