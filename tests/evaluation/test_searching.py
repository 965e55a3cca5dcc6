"""Promises of the search: the exact best, as by brute force, and few scores in memory at once."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from cpack_lib.evaluation.models import searching
from cpack_lib.evaluation.models.searching import best_passages


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 4 queries and 10 passages."""
    monkeypatch.setattr(searching, "QUERIES", 4)
    monkeypatch.setattr(searching, "PASSAGES", 10)


def products(queries, passages):
    """Dot products of arrays or sparse matrices."""
    found = queries @ passages.T
    return torch.from_numpy(found.toarray() if hasattr(found, "toarray") else found)


def brute(queries, passages, top_k):
    """(Q, k): the best scores in float64, best first."""
    scores = queries.astype(np.float64) @ passages.astype(np.float64).T
    return -np.sort(-scores, axis=1)[:, :top_k]


@pytest.mark.parametrize("passages", [1, 9, 10, 11, 35])
@pytest.mark.parametrize("queries", [1, 4, 9])
@pytest.mark.parametrize("top_k", [1, 3, 10, 12, 100])
def test_the_best_are_those_of_brute_force(queries, passages, top_k):
    draw = np.random.default_rng(queries * 1_000 + passages)
    Q, N = (draw.standard_normal((count, 8)).astype(np.float32) for count in (queries, passages))
    scores, which = best_passages(products, Q, N, top_k)
    expected = brute(Q, N, top_k)
    assert scores.shape == which.shape == expected.shape
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-5)
    own = np.take_along_axis(Q.astype(np.float64) @ N.T, which.numpy().astype(int), axis=1)
    np.testing.assert_allclose(scores.numpy(), own, atol=1e-5)
    assert all(len(set(row)) == len(row) for row in which.tolist())


@pytest.mark.parametrize("top_k", [1, 7, 20])
def test_with_ties_no_passage_comes_twice_and_none_that_is_better_is_lost(top_k):
    draw = np.random.default_rng(0)
    Q, N = (draw.integers(-1, 2, (count, 3)).astype(np.float32) for count in (6, 57))  # whole numbers: exact
    scores, which = best_passages(products, Q, N, top_k)
    np.testing.assert_array_equal(scores.numpy(), brute(Q, N, top_k))
    np.testing.assert_array_equal(
        np.take_along_axis(Q @ N.T, which.numpy().astype(int), axis=1), scores.numpy()
    )
    assert all(len(set(row)) == len(row) for row in which.tolist())


def test_sparse_vectors_are_searched_the_same_way():
    draw = np.random.default_rng(0)
    Q, N = (draw.random((count, 40)) * (draw.random((count, 40)) < 0.2) for count in (6, 33))
    scores, _ = best_passages(products, csr_matrix(Q, dtype=np.float32), csr_matrix(N, dtype=np.float32), 5)
    np.testing.assert_allclose(scores.numpy(), brute(Q, N, 5), atol=1e-6)


def test_no_more_scores_than_a_block_are_made_at_once_and_each_passage_is_read_once():
    seen, read = [], []

    class Watched:
        shape = (35, 3)

        def __getitem__(self, which):
            read.append(which)
            return np.ones((len(range(35)[which]), 3), dtype=np.float32)

    def score(queries, passages):
        seen.append((len(queries), len(passages)))
        return products(queries, passages)

    best_passages(score, np.ones((9, 3), dtype=np.float32), Watched(), 5)
    assert max(seen) <= (4, 10) and sum(q * n for q, n in seen) == 9 * 35
    assert len(read) == 4


def test_without_queries_nothing_is_found():
    scores, which = best_passages(products, np.ones((0, 3), np.float32), np.ones((5, 3), np.float32), 2)
    assert scores.shape == which.shape == (0, 2)
