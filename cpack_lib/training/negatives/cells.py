"""The approximate search of a large pool: cut into cells by k-means, and only the cells nearest to a query.

This is an inverted file (IVF; Jégou, Douze and Schmid 2011, section 4) turned round for mining, where many
queries are known at once: each cell is multiplied with all of them that look at it.

Axes: Q queries, C of them, P texts of a pool, M cells, L cells that a query looks at, D width, K candidates.
"""

from dataclasses import dataclass

import faiss
import numpy as np

from cpack_lib.training.negatives.ragged import Ragged
from cpack_lib.training.negatives.search import (
    BYTES_OF_POOL,
    WORST,
    Matrix,
    in_float32,
    mine,
    packed,
    smallest_keys,
    some_of,
    unpacked,
)

EXACT_UP_TO = 500_000  # texts of a pool that is searched whole
TEXTS_PER_CELL = 1_024
LOOKED_AT = 64  # cells: what costs time and buys recall
LEARNT_FROM = 64  # texts per cell that k-means looks at
ROUNDS = 10  # of k-means
QUERIES_ASKED = 256  # about the recall
LOWEST = np.finfo(np.float32).min  # of the scores; -inf is behind the last


@dataclass(frozen=True)
class Cells:
    """A pool cut into M cells: their centres, and the pool's rows cell by cell, ascending in each."""

    centres: np.ndarray  # (M, D)
    rows: np.ndarray  # (P,)
    starts: np.ndarray  # (M + 1,) where each cell begins among the rows
    looked_at: int  # L

    def best(self, queries: np.ndarray, pool: Matrix, count: int) -> np.ndarray:
        """The keys of the best texts of the nearest cells, ascending: (C, D), (P, D) -> (C, count).

        Cell by cell, what scores no less than the worst that a query has kept so far is looked at. Where all
        cells of a query hold fewer texts, the rest is the key of no text.
        """
        keys = np.full((len(queries), count), WORST)
        least = np.full(len(queries), LOWEST)  # of the kept
        _, cells = faiss.knn(queries, self.centres, self.looked_at, metric=faiss.METRIC_INNER_PRODUCT)
        asking = np.argsort(cells, axis=None, kind="stable")  # (C · L,), cell after cell
        bounds = np.searchsorted(cells.ravel()[asking], np.arange(len(self.centres) + 1))
        for cell in np.flatnonzero(np.diff(bounds)):
            asked = asking[bounds[cell] : bounds[cell + 1]] // self.looked_at
            rows = self.rows[self.starts[cell] : self.starts[cell + 1]]
            scores = queries[asked] @ in_float32(pool[rows]).T  # (C', texts of the cell)
            query, place = np.divmod(np.flatnonzero(scores >= least[asked, None]), max(1, len(rows)))
            found = packed(scores[query, place], rows[place])
            lines = Ragged.cut(found, np.bincount(query, minlength=len(asked)))
            kept = smallest_keys(np.hstack([keys[asked], lines.padded(WORST)]), count)
            keys[asked], least[asked] = kept, np.maximum(unpacked(kept.max(axis=1))[1], LOWEST)
        return np.sort(keys, axis=1)


def new_cells(
    pool: Matrix, seed: int = 0, looked_at: int = LOOKED_AT, texts_per_cell: int = TEXTS_PER_CELL
) -> Cells:
    """Cut a pool (P, D) into cells by spherical k-means over a sample; the same for the same seed."""
    P, D = pool.shape
    M = max(1, P // texts_per_cell)
    sample = np.sort(np.random.default_rng(seed).choice(P, min(P, M * LEARNT_FROM), replace=False))
    options = {"niter": ROUNDS, "seed": seed, "spherical": True, "min_points_per_centroid": 1}
    means = faiss.Kmeans(D, M, **options, max_points_per_centroid=LEARNT_FROM)
    means.train(in_float32(pool[sample]))
    cell, each = np.empty(P, dtype=np.int64), max(1, BYTES_OF_POOL // (4 * D))
    for start in range(0, P, each):
        block = in_float32(pool[start : start + each])
        nearest = faiss.knn(block, means.centroids, 1, metric=faiss.METRIC_INNER_PRODUCT)[1]
        cell[start : start + each] = nearest[:, 0]
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=M))])
    return Cells(means.centroids, np.argsort(cell, kind="stable"), starts, min(looked_at, M))


def recall(queries: Matrix, pool: Matrix, first: int, last: int, cells: Cells | None, seed: int = 0) -> float:
    """The share of the texts at ranks first … last - 1 that the search in cells finds among its first `last`.

    Of a random sample of queries; 1 for the exact search, and where there is nothing to find.
    """
    if cells is None or first >= min(last, len(pool)) or not len(queries):
        return 1.0
    chance = np.random.default_rng(seed)
    asked = np.sort(chance.choice(len(queries), min(len(queries), QUERIES_ASKED), replace=False))
    some = some_of(queries, asked)
    right, _ = mine(some, pool, first, last)
    found, _ = mine(some, pool, 0, last, cells)
    hits = [len(np.intersect1d(*both)) for both in zip(right, found, strict=True)]
    return sum(hits) / right.size
