"""Widths: what is cut is an embedding again, and the mean over widths is a peer's."""

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss
from torch.nn.functional import normalize

from cpack_lib.training.contrast import contrastive_loss
from cpack_lib.training.widths import cut_to, over_widths
from tests.training.test_distillation import across

D = 12


class Given(torch.nn.Module):
    """A model for sentence-transformers' losses that gives the embeddings it is given."""

    def get_embedding_dimension(self):
        return D

    def forward(self, features):
        return {"sentence_embedding": features["sentence_embedding"]}


def drawn(count):
    """Embeddings in float64 that want gradients."""
    torch.manual_seed(count)
    return normalize(torch.randn(count, D, dtype=torch.float64), dim=1).requires_grad_()


@pytest.mark.parametrize("weights", [{12: 1.0, 6: 0.5, 3: 0.25}, {4: 1.0}, {12: 1.0}])
def test_sentence_transformers_means_the_same(weights):
    both = [drawn(5), drawn(6)[:5]]
    ours = over_widths(torch.cat(both), weights, lambda cut: contrastive_loss(cut[:5], cut[5:], 0.05))
    model = Given()
    peer = MatryoshkaLoss(
        model, MultipleNegativesRankingLoss(model, scale=20.0), list(weights), list(weights.values())
    )
    theirs = peer([{"sentence_embedding": column} for column in both], labels=None) / sum(weights.values())
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    for found, wanted, column in zip(
        torch.autograd.grad(ours, both), torch.autograd.grad(theirs, both), both, strict=True
    ):
        torch.testing.assert_close(across(found, column), across(wanted, column), rtol=1e-7, atol=1e-9)


def test_without_widths_the_loss_is_of_the_whole():
    embeddings = drawn(4)
    assert over_widths(embeddings, {}, lambda found: found is embeddings) is True


def test_what_is_cut_is_of_length_one_and_the_whole_stays_itself():
    embeddings = drawn(5)
    assert cut_to(embeddings, D) is embeddings
    cut = cut_to(embeddings, 4)
    torch.testing.assert_close(cut.norm(dim=1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(cut * embeddings[:, :4].norm(dim=1, keepdim=True), embeddings[:, :4])


@pytest.mark.parametrize("width", [0, 13])
def test_a_width_that_there_is_not_is_refused(width):
    with pytest.raises(
        ValueError, match=f"no {width} numbers can be taken of embeddings of 12; take 1 to 12"
    ):
        cut_to(torch.ones(2, D), width)
