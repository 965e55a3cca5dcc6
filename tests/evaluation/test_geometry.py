"""Promises of the measures of space: equal to plain loops in float64, and right at their ends."""

import math

import numpy as np
import pytest

from cpack_lib.evaluation import geometry
from cpack_lib.evaluation.geometry import (
    cosines_of_strangers,
    histogram,
    nearest_others,
    variance_shares,
)
from cpack_lib.model.sphere import ROWS_PER_CHUNK, alignment, uniformity


def on_sphere(rows, width, seed=0):
    drawn = np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_alignment_is_the_mean_squared_distance():
    left, right = on_sphere(50, 16), on_sphere(50, 16, seed=1)
    by_loop = (
        sum(
            sum((float(a) - float(b)) ** 2 for a, b in zip(x, y, strict=True))
            for x, y in zip(left, right, strict=True)
        )
        / 50
    )
    assert alignment(left, right) == pytest.approx(by_loop, rel=1e-6)
    assert alignment(left, left) == 0
    with pytest.raises(ValueError, match="two equal shapes"):
        alignment(left, right[:3])


def test_uniformity_is_the_log_of_the_mean_kernel_over_different_rows():
    vectors = on_sphere(40, 8)
    wide = vectors.astype(np.float64)
    kernel = [math.exp(-2 * ((wide[i] - wide[j]) ** 2).sum()) for i in range(40) for j in range(40) if i != j]
    assert uniformity(vectors) == pytest.approx(math.log(sum(kernel) / len(kernel)), rel=1e-5)


def test_uniformity_at_its_ends_and_across_chunks():
    assert uniformity(np.repeat(on_sphere(1, 64), 50, axis=0)) == pytest.approx(0, abs=1e-5)
    assert uniformity(on_sphere(ROWS_PER_CHUNK + 200, 256)) == pytest.approx(-4, abs=0.05)
    with pytest.raises(ValueError, match="at least two"):
        uniformity(on_sphere(1, 4))


def test_strangers_are_never_a_row_with_itself():
    vectors = np.eye(3, dtype=np.float32)
    assert cosines_of_strangers(vectors, pairs=500).max() == 0


def test_a_histogram_holds_every_cosine_even_beyond_one():
    table = histogram(np.array([-1.0, 0.0, 0.5, 1.0000001]), bins=4)
    assert table["share"].to_list() == [0.25, 0.0, 0.25, 0.5]
    assert table["low"][0] == -1 and table["high"][-1] == 1


@pytest.mark.parametrize("rows_per_chunk", [7, 1024])
def test_the_nearest_others_are_those_of_a_loop_and_never_oneself(monkeypatch, rows_per_chunk):
    monkeypatch.setattr(geometry, "ROWS_PER_CHUNK", rows_per_chunk)
    vectors = on_sphere(30, 6)
    rows, cosines = nearest_others(vectors, 4)
    wide = vectors.astype(np.float64)
    for i in range(30):
        others = sorted((j for j in range(30) if j != i), key=lambda j: -sum(wide[i] * wide[j]))
        assert rows[i].tolist() == others[:4]
        assert cosines[i] == pytest.approx([sum(wide[i] * wide[j]) for j in others[:4]], abs=1e-6)


def test_copies_are_each_others_nearest():
    rows, cosines = nearest_others(np.repeat(np.eye(2, dtype=np.float32), 2, axis=0), 1)
    assert rows[:, 0].tolist() == [1, 0, 3, 2] and (cosines == 1).all()
    with pytest.raises(ValueError, match="4 vectors have no 4 others"):
        nearest_others(np.eye(4, dtype=np.float32), 4)


def test_variance_shares_are_the_eigenvalues_of_the_covariance():
    vectors = on_sphere(40, 5) + np.float32(3.0)  # a common part is no variance
    wide = vectors.astype(np.float64)
    means = [sum(wide[:, d]) / 40 for d in range(5)]
    covariance = [
        [sum((row[d] - means[d]) * (row[e] - means[e]) for row in wide) for e in range(5)] for d in range(5)
    ]
    values = np.sort(np.linalg.eigvalsh(np.asarray(covariance)))[::-1]
    assert variance_shares(vectors) == pytest.approx(values / values.sum(), rel=1e-4)
    line = np.outer(np.linspace(-1, 1, 9), [3.0, 4.0, 0.0])
    assert variance_shares(line) == pytest.approx([1, 0, 0], abs=1e-9)
    with pytest.raises(ValueError, match="9 equal vectors have no variance"):
        variance_shares(np.ones((9, 3)))
