"""Bytes on paper are those of the tensors that autograd keeps."""

import pytest
from torch.nn.functional import scaled_dot_product_attention

from cpack_lib.model import states
from cpack_lib.training.memory import kept_bytes
from cpack_lib.training.planning import kept
from cpack_lib.training.planning.jobs import STAGES, STATE, Chunk, Job
from tests.training.planning.planned import WORDS, empty_model, forward_of

CHUNK = Chunk(texts=6, longest=24, tokens=144)


def kept_of(job: Job, chunk: Chunk) -> int:
    """Bytes that autograd keeps of a forward pass, weights left out."""
    model = empty_model(job)
    return kept_bytes(forward_of(job, model, chunk), model)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("size", "dropout"), [("nano", 0.1), ("small", 0.0), ("wide", 0.1)])
def test_a_chunk_keeps_what_was_planned(stage, size, precision, recompute, dropout):
    job = Job(size=size, stage=stage, precision=precision, recompute=recompute, dropout=dropout, words=WORDS)
    assert kept.by_chunk(job, CHUNK) == pytest.approx(kept_of(job, CHUNK), rel=2e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", ["nano", "small"])
def test_a_padded_chunk_keeps_what_was_planned(size, precision):
    job, padded = Job(size=size, precision=precision, words=WORDS), Chunk(texts=6, longest=24, tokens=90)
    assert kept.by_chunk(job, padded) == pytest.approx(kept_of(job, padded), rel=5e-3)


def test_base_keeps_what_was_planned():
    job = Job(size="base", words=WORDS)
    assert kept.by_chunk(job, CHUNK) == pytest.approx(kept_of(job, CHUNK), rel=2e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_fused_kernel_keeps_no_scores(monkeypatch, precision):
    def fused(query, key, value, mask, inner):
        return scaled_dot_product_attention(query, key, value, attn_mask=mask)

    monkeypatch.setattr(states, "mix", fused)
    job, chunk = Job(size="nano", precision=precision, dropout=0.0, words=WORDS), Chunk(4, 64, 256)
    assert kept.by_chunk(job, chunk, fused=True) == pytest.approx(kept_of(job, chunk), rel=2e-3)
    saved = kept.by_layer(job, chunk) - kept.by_layer(job, chunk, fused=True)
    assert saved == 256 * job.shape.heads * (64 * job.bytes - STATE)


def test_recomputing_keeps_a_layers_input_alone():
    job, lean = (Job(size="base", recompute=recompute) for recompute in (False, True))
    a_layer = kept.by_chunk(job, CHUNK) - kept.by_chunk(lean, CHUNK)
    inputs = 11 * CHUNK.tokens * STATE * job.shape.width
    weights = kept.by_weights(job) - kept.by_weights(lean)
    assert a_layer == 11 * kept.by_layer(job, CHUNK) - inputs + weights
