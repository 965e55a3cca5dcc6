"""A step's loss with all its switches, against loops in float64; distillation also against a peer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
from torch.nn.functional import normalize

from cpack_lib.training.distillation import by_encoder, by_scores, distillation_loss
from cpack_lib.training.objectives.groups import Step
from cpack_lib.training.ranks import Ranks
from cpack_lib.training.settings import Settings
from tests.training.obvious import obvious_loss

D = 12
PLAIN = Settings("contrast", "", "", steps=1, rows_per_step=1, learning_rate=1.0)
SHAPES = {"one row": [1], "one group": [4], "pairs": [1] * 5, "odd": [3, 1, 2, 5, 1, 1, 4], "even": [2] * 6}
CASES = {
    "contrast": {},
    "alone": {"in_batch_off": ["sts"]},
    "alone both ways": {"in_batch_off": ["sts"], "both_ways": True, "margin": 0.1},
    "taught by scores": {"distillation": 1.0, "teacher_temperature": 0.7},
    "half taught": {"distillation": 0.4, "both_ways": True},
    "taught by an encoder": {"distillation": 0.4, "teacher": "there"},
    "taught over the batch": {"distillation": 0.6, "teacher": "there", "distilled": "batch"},
    "widths": {"widths": [D, "6=0.5", 1], "both_ways": True},
    "guided": {"guide": "there", "in_batch_off": ["sts"], "both_ways": True},
    "everything": {
        "widths": [7, "3=2"],
        "distillation": 0.3,
        "teacher": "there",
        "distilled": "batch",
        "in_batch_off": ["sts"],
        "both_ways": True,
        "guide": "there",
        "margin": 0.2,
    },
}


def made(shape, settings, seed=0):
    """A step of groups of these sizes with repeated texts, embeddings that want gradients, and another's."""
    chance = torch.Generator().manual_seed(seed)
    lengths, Q = SHAPES[shape], len(SHAPES[shape])
    P = sum(lengths)
    step = Step(
        queries=[np.zeros(1)] * Q,
        passages=[np.zeros(1)] * P,
        targets=torch.tensor(np.cumsum([0, *lengths])[:-1]),
        texts=torch.randint(max(2, P - 3), (P,), generator=chance),
        query_texts=torch.randint(max(2, P - 3), (Q,), generator=chance),
        alone=torch.arange(Q) % 3 != 1 if settings.in_batch_off else None,
        scores=torch.randn(P, generator=chance, dtype=torch.float64)
        if settings.distillation and not settings.teacher
        else None,
    )
    embeddings = normalize(torch.randn(Q + P, D, generator=chance, dtype=torch.float64), dim=1)
    other = normalize(torch.randn(Q + P, 5, generator=chance, dtype=torch.float64), dim=1)
    return step, embeddings.requires_grad_(), other


def asked(settings, other):
    """What a guide and a teacher say, where the settings name them."""
    return {role: other if getattr(settings, role) else None for role in ("guide", "teacher")}


def across(gradient, embeddings):
    """A gradient without its part along the embeddings, which their length of one takes away."""
    return gradient - (gradient * embeddings).sum(dim=1, keepdim=True) * embeddings


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_loses_what_loops_say_with_their_gradient(shape, case):
    settings = replace(PLAIN, **CASES[case])
    step, embeddings, other = made(shape, settings)
    loss = step.loss(embeddings, settings, torch.arange(len(step.queries)), **asked(settings, other))
    expected = obvious_loss(embeddings, step, settings, **asked(settings, other))
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    found, wanted = (
        across(torch.autograd.grad(each, embeddings)[0], embeddings) for each in (loss, expected)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("case", ["alone both ways", "half taught", "taught over the batch", "everything"])
@pytest.mark.parametrize("size", [2, 3, 9])
def test_the_parts_of_processes_add_up(size, case):
    settings = replace(PLAIN, **CASES[case])
    step, embeddings, other = made("odd", settings)
    whole = step.loss(embeddings, settings, torch.arange(7), **asked(settings, other))
    shares = [Ranks(rank, size).own(7) for rank in range(size)]  # of nine, two have nothing to do
    parts = sum(step.loss(embeddings, settings, rows, **asked(settings, other)) for rows in shares)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)
    found, wanted = (torch.autograd.grad(each, embeddings)[0] for each in (parts, whole))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rows_per_chunk", [1, 2, 256])
def test_chunks_of_a_divergence_change_nothing(rows_per_chunk):
    step, embeddings, _ = made("odd", replace(PLAIN, distillation=1.0))
    taught = by_scores(step.scores, step.targets, 0.05)
    losses = [
        distillation_loss(embeddings[:7], embeddings[7:], 0.05, taught, rows_per_chunk=rows)
        for rows in (rows_per_chunk, 3)
    ]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-12, atol=1e-12)
    found = [torch.autograd.grad(loss, embeddings)[0] for loss in losses]
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("teacher_temperature", [0.3, 2.0])
def test_sentence_transformers_measures_the_same_divergence(teacher_temperature):
    step, embeddings, _ = made("even", replace(PLAIN, distillation=1.0))
    queries, passages = embeddings[:6], embeddings[6:]
    ours = distillation_loss(
        queries, passages, 0.05, by_scores(step.scores, step.targets, teacher_temperature)
    )
    peer = DistillKLDivLoss(None, student_temperature=0.05, teacher_temperature=teacher_temperature)
    columns = [queries, passages[0::2], passages[1::2]]
    theirs = peer.compute_loss_from_embeddings(columns, step.scores.double().view(6, 2))
    theirs = theirs / 0.05**2  # it multiplies by temperature², which the contrast beside it has not
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
    found, wanted = (torch.autograd.grad(each, embeddings)[0] for each in (ours, theirs))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("alone", [None, torch.ones(7, dtype=torch.bool)])
def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn(alone):
    step, embeddings, _ = made("odd", PLAIN)
    queries, passages = embeddings[:7], embeddings[7:]
    taught = by_encoder(queries.detach(), passages.detach(), step.targets, 0.05, alone)
    loss = distillation_loss(queries, passages, 0.05, taught)
    assert abs(loss) < 1e-12
    assert torch.autograd.grad(loss, embeddings)[0].norm() < 1e-12


def test_a_group_without_negatives_teaches_nothing_and_costs_nothing():
    settings = replace(PLAIN, distillation=1.0)
    step, embeddings, _ = made("pairs", settings)
    loss = step.loss(embeddings, settings, torch.arange(5))
    assert loss == 0 and not torch.autograd.grad(loss, embeddings)[0].any()


def test_scores_far_apart_do_no_harm():
    settings = replace(PLAIN, distillation=1.0, teacher_temperature=0.01)
    step, embeddings, _ = made("odd", settings)
    step = step._replace(scores=step.scores * 1e4)  # a softmax of nothing but zeros and ones
    loss = step.loss(embeddings.float(), settings, torch.arange(7))
    assert torch.isfinite(loss)
    assert torch.autograd.grad(loss, embeddings)[0].isfinite().all()


def test_who_stands_alone_neither_learns_from_others_nor_is_kept_from_them():
    settings = replace(PLAIN, in_batch_off=["sts"])
    step, embeddings, _ = made("odd", settings)
    texts = {"texts": torch.arange(17), "query_texts": torch.arange(20, 27)}  # none repeats another
    step = step._replace(alone=torch.tensor([True] + [False] * 6), **texts)
    mine, others = (
        torch.autograd.grad(step.loss(embeddings, settings, rows), embeddings)[0].norm(dim=1) > 0
        for rows in (torch.tensor([0]), torch.arange(1, 7))
    )
    assert mine.nonzero().flatten().tolist() == [0, 7, 8, 9]  # its query and its three passages
    assert others.nonzero().flatten().tolist() == list(range(1, 24))


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan")])
def test_a_temperature_that_divides_nothing_is_refused(temperature):
    taught = by_scores(torch.ones(2), torch.arange(2), 1.0)
    with pytest.raises(ValueError, match="temperature"):
        distillation_loss(torch.ones(2, 4), torch.ones(2, 4), temperature, taught)
