"""The loss and its gradients against the obvious: one float64 matrix and cross_entropy, by autograd."""

import itertools

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from cpack_lib.training.contrast import contrastive_loss

TIGHT = {"rtol": 1e-5, "atol": 1e-6}


def assert_near(found, wanted, share=1e-5):
    """Equal but for a share of the wanted tensor's length: single precision, scores up to 100."""
    assert (found - wanted).norm() <= share * wanted.norm() + 1e-6, f"{found} is not {wanted}"


def obvious_hidden(texts, query_texts, targets):
    """(Q, P) bool, pair by pair: repeats of the positive, of the query, or answers to the same query."""
    found = torch.zeros(len(query_texts), len(texts), dtype=torch.bool)
    for i, p in itertools.product(range(len(query_texts)), range(len(texts))):
        says_the_same = texts[p] in (texts[targets[i]], query_texts[i])
        asked = [query_texts[j] for j in range(len(query_texts)) if targets[j] == p]
        found[i, p] = p != targets[i] and (says_the_same or query_texts[i] in asked)
    return found


def obvious_loss(queries, passages, temperature, targets, hidden=None, both_ways=False):
    """The mean of both directions in float64; `hidden` is a pair of masks."""
    hidden = hidden or (None, None)
    positives, own = passages[targets], torch.arange(len(queries))
    losses = []
    for left, right, wanted, mask in (
        (queries, passages, targets, hidden[0]),
        (positives, queries, own, hidden[1]),
    ):
        scores = left.double() @ right.double().T / temperature
        losses.append(cross_entropy(scores if mask is None else scores.masked_fill(mask, -torch.inf), wanted))
    return sum(losses) / 2 if both_ways else losses[0]


def drawn(Q, P, targets=None, seed=0):
    """Queries, passages that want gradients, and targets."""
    torch.manual_seed(seed)
    queries, passages = normalize(torch.randn(Q, 16), dim=-1), normalize(torch.randn(P, 16), dim=-1)
    targets = torch.arange(Q) * (P // Q) if targets is None else torch.tensor(targets)
    return queries.requires_grad_(), passages.requires_grad_(), targets


def assert_same(loss, expected, *leaves):
    """Equal values, and equal gradients of every leaf."""
    assert_near(loss.double(), expected)
    found, wanted = torch.autograd.grad(loss, leaves), torch.autograd.grad(expected, leaves)
    for got, want in zip(found, wanted, strict=True):
        assert_near(got, want)


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("rows_per_chunk", [1, 3, 7, 256])
@pytest.mark.parametrize("Q, P", [(1, 1), (1, 4), (7, 7), (7, 21)])
def test_any_chunking_is_the_full_matrix(Q, P, rows_per_chunk, both_ways):
    queries, passages, targets = drawn(Q, P)
    loss = contrastive_loss(queries, passages, 0.05, both_ways=both_ways, rows_per_chunk=rows_per_chunk)
    expected = obvious_loss(queries, passages, 0.05, targets, both_ways=both_ways)
    assert_same(loss, expected, queries, passages)


@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_targets_may_be_ragged(temperature):
    queries, passages, targets = drawn(4, 9, targets=[0, 1, 4, 8])
    loss = contrastive_loss(queries, passages, temperature, targets, rows_per_chunk=3)
    assert_same(loss, obvious_loss(queries, passages, temperature, targets), queries, passages)


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_repeats_of_the_positive_or_the_query_are_no_negatives(seed, both_ways):
    queries, passages, targets = drawn(6, 15, targets=[0, 2, 5, 6, 9, 14], seed=seed)
    texts, query_texts = torch.randint(6, (15,)), torch.randint(6, (6,))
    loss = contrastive_loss(
        queries,
        passages,
        0.05,
        targets,
        texts=texts,
        query_texts=query_texts,
        both_ways=both_ways,
        rows_per_chunk=2,
    )
    there = obvious_hidden(texts.tolist(), query_texts.tolist(), targets.tolist())
    back = obvious_hidden(query_texts.tolist(), texts[targets].tolist(), list(range(6)))
    assert there.any() and back.any()
    assert_same(
        loss, obvious_loss(queries, passages, 0.05, targets, (there, back), both_ways), queries, passages
    )


@pytest.mark.parametrize("both_ways", [False, True])
def test_a_pair_is_no_negative_of_its_copies(both_ways):
    query, passage = normalize(torch.randn(2, 16), dim=-1)
    batch = {"queries": query.repeat(4, 1), "passages": passage.repeat(4, 1), "temperature": 0.05}
    assert contrastive_loss(**batch, texts=torch.full((4,), 7), both_ways=both_ways) == 0
    assert contrastive_loss(**batch, both_ways=both_ways) > 1  # log 4, for nothing that can be learnt


def test_answers_to_one_question_are_no_negatives_of_each_other():
    queries, passages = normalize(torch.randn(2, 16), dim=-1), normalize(torch.randn(2, 16), dim=-1)
    query_texts = torch.tensor([5, 5])
    loss = contrastive_loss(queries, passages, 0.05, texts=torch.tensor([1, 2]), query_texts=query_texts)
    assert loss == 0


def test_a_symmetric_pair_is_not_its_own_negative():
    a, b = normalize(torch.randn(2, 16), dim=-1)
    queries, passages = torch.stack([a, b]), torch.stack([b, a])  # (A, B) and (B, A) in one batch
    texts, query_texts = torch.tensor([2, 1]), torch.tensor([1, 2])
    assert contrastive_loss(queries, passages, 0.01, texts=texts, query_texts=query_texts) == 0
    assert contrastive_loss(queries, passages, 0.01, texts=texts) > 10


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_what_a_margin_hides_is_what_scores_that_much_above_the_positive(seed, both_ways):
    queries, passages, targets = drawn(9, 27, seed=seed)
    masks = []
    for left, right, wanted in ((queries, passages, targets), (passages[targets], queries, torch.arange(9))):
        cosines = (left @ right.T).detach()
        masks.append(torch.stack([row > row[j] + 0.1 for row, j in zip(cosines, wanted, strict=True)]))
    assert masks[0].any()
    loss = contrastive_loss(queries, passages, 0.05, both_ways=both_ways, margin=0.1, rows_per_chunk=4)
    assert_same(loss, obvious_loss(queries, passages, 0.05, targets, masks, both_ways), queries, passages)


@pytest.mark.parametrize("both_ways", [False, True])
def test_what_a_guide_hides_is_what_it_ranks_above_the_positive(both_ways):
    queries, passages, targets = drawn(9, 27)
    torch.manual_seed(7)
    asked, told = normalize(torch.randn(9, 5), dim=-1), normalize(torch.randn(27, 5), dim=-1)
    masks = []
    for left, right, wanted in ((asked, told, targets), (told[targets], asked, torch.arange(9))):
        masks.append(torch.stack([row > row[j] for row, j in zip(left @ right.T, wanted, strict=True)]))
    assert masks[0].any() and masks[1].any()
    loss = contrastive_loss(queries, passages, 0.05, both_ways=both_ways, guide=(asked, told))
    assert_same(loss, obvious_loss(queries, passages, 0.05, targets, masks, both_ways), queries, passages)


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("alone", [[True] * 4, [True, False, False, True], [False] * 4])
def test_who_stands_alone_meets_its_own_passages_only(alone, both_ways):
    queries, passages, targets = drawn(4, 9, targets=[0, 1, 4, 8])
    owner = torch.tensor([0, 1, 1, 1, 2, 2, 2, 2, 3])
    alone = torch.tensor(alone)
    masks = [alone[:, None] & (owner != torch.arange(4)[:, None]), alone[:, None] & ~torch.eye(4).bool()]
    loss = contrastive_loss(
        queries, passages, 0.05, targets, alone=alone, both_ways=both_ways, rows_per_chunk=3
    )
    expected = obvious_loss(queries, passages, 0.05, targets, masks, both_ways)
    assert_same(loss, expected, queries, passages)


def test_groups_have_to_stand_in_the_order_of_their_queries():
    ends = {"targets": torch.tensor([2, 0]), "alone": torch.ones(2, dtype=torch.bool)}
    with pytest.raises(ValueError, match="targets have to ascend"):
        contrastive_loss(torch.ones(2, 4), torch.ones(4, 4), 0.05, **ends)


def test_double_precision_stays_double():
    queries, passages, targets = (each.detach() for each in drawn(7, 21))
    loss = contrastive_loss(queries.double(), passages.double(), 0.05)
    assert loss.dtype == torch.float64
    torch.testing.assert_close(loss, obvious_loss(queries, passages, 0.05, targets), rtol=1e-12, atol=0)


@pytest.mark.parametrize("both_ways", [False, True])
def test_parts_of_the_queries_add_up_to_the_whole(both_ways):
    queries, passages, _ = drawn(7, 14)
    whole = contrastive_loss(queries, passages, 0.05, both_ways=both_ways)
    rows = (torch.tensor([0, 3, 6]), torch.tensor([1, 2, 4, 5]), torch.zeros(0, dtype=torch.long))
    parts = sum(contrastive_loss(queries, passages, 0.05, both_ways=both_ways, rows=some) for some in rows)
    assert_same(parts, whole, queries, passages)


def test_an_empty_batch_costs_nothing():
    queries, passages = torch.zeros(0, 8, requires_grad=True), torch.zeros(0, 8)
    loss = contrastive_loss(queries, passages, 0.05, both_ways=True)
    loss.backward()
    assert loss == 0 and queries.grad.shape == (0, 8)


def test_half_precision_is_summed_in_single():
    queries, passages, targets = (each.detach() for each in drawn(4, 4))
    loss = contrastive_loss(queries.bfloat16(), passages.bfloat16(), 0.05)
    assert loss.dtype == torch.float32
    expected = obvious_loss(queries.bfloat16(), passages.bfloat16(), 0.05, targets)
    torch.testing.assert_close(loss.double(), expected, **TIGHT)


@pytest.mark.parametrize("temperature", [0.0, -0.1, float("nan")])
def test_a_temperature_that_divides_nothing_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        contrastive_loss(torch.ones(2, 4), torch.ones(2, 4), temperature)


@pytest.mark.parametrize("P", [1, 3])
def test_passages_that_do_not_share_out_are_refused(P):
    with pytest.raises(ValueError, match="give targets"):
        contrastive_loss(torch.ones(2, 4), torch.ones(P, 4), 0.05)
