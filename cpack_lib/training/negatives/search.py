"""The exact search: each query's best texts of a pool by inner product, in blocks of both.

Of texts that score the same, the one that comes first in the pool is the better one, whatever the blocks are.
A score and a row are packed into one int64 key, so that the best have the smallest keys.

Axes: Q queries, C of them, P texts of a pool, D width, K ranks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import faiss
import numpy as np

from cpack_lib.training.negatives.ragged import Ragged
from cpack_lib.training.negatives.vectors import Rows

if TYPE_CHECKING:
    from cpack_lib.training.negatives.cells import Cells

QUERIES_PER_SEARCH = 4_096
BYTES_OF_POOL = 32 << 20  # of a block of the pool
SCORES_AT_A_TIME = 1 << 22  # 16 MiB
WORST = np.iinfo(np.int64).max  # the key of no text
Matrix = np.ndarray | Rows  # (·, D): in memory, or read from a folder in parts


@dataclass(frozen=True)
class Search:
    """Queries, a pool of different texts, and what is known of them.

    `positives` is the row of the pool that answers each query; `own` are the rows that say what the query or
    any of its positives says, so are never its negatives; `partners` are rows labelled 0 for it. `guide`: a
    second encoder's queries (Q, E) and pool (P, E). Of a pool in `cells` the nearest alone are searched.
    `numbers` (Q,) is what chance knows the queries by: 0, 1, … where it is not given.
    """

    queries: Matrix  # (Q, D)
    pool: Matrix  # (P, D)
    positives: np.ndarray  # (Q,)
    own: Sequence[frozenset[int]] | Ragged  # Q sets
    partners: Sequence[Sequence[int]] | Ragged  # Q lists
    guide: tuple[Matrix, Matrix] | None = None
    cells: "Cells | None" = None
    numbers: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self):
        Q, P = len(self.queries), len(self.pool)
        numbers = np.arange(Q) if self.numbers is None else self.numbers
        ready = {"own": Ragged.of(self.own), "partners": Ragged.of(self.partners), "numbers": numbers}
        for name, value in ready.items():
            object.__setattr__(self, name, value)
        counted = {name: len(getattr(self, name)) for name in ("positives", *ready)}
        if wrong := [f"{count} {name}" for name, count in counted.items() if count != Q]:
            raise ValueError(f"{wrong[0]} for {Q} queries; each query needs its own")
        rows = np.concatenate([self.positives, self.own.values, self.partners.values])
        if Q and len(rows) and not 0 <= rows.min() <= rows.max() < P:
            raise ValueError(f"row {rows.min() if rows.min() < 0 else rows.max()} is none of the pool's {P}")
        for pair in ((self.queries, self.pool), *([self.guide] if self.guide else [])):
            refuse_what_does_not_fit(*pair, Q, P)

    def some(self, queries: np.ndarray) -> "Search":
        """The search for these queries (C,) alone; chance knows them as before."""
        guide = self.guide and (some_of(self.guide[0], queries), self.guide[1])
        return replace(
            self,
            queries=some_of(self.queries, queries),
            positives=self.positives[queries],
            own=self.own.some(queries),
            partners=self.partners.some(queries),
            guide=guide,
            numbers=self.numbers[queries],
        )


def some_of(matrix: Matrix, rows: np.ndarray) -> Matrix:
    """Some rows, where they are: in memory or on the disk."""
    return matrix.some(rows) if isinstance(matrix, Rows) else matrix[rows]


def in_float32(matrix: np.ndarray) -> np.ndarray:
    """The numbers as the search takes them; no copy where they are so already."""
    return np.ascontiguousarray(matrix, dtype=np.float32)


def opposite(matrix: Matrix) -> Matrix:
    """All signs changed; on the disk, where it is read."""
    return replace(matrix, sign=-matrix.sign) if isinstance(matrix, Rows) else -matrix


def refuse_what_does_not_fit(queries: Matrix, pool: Matrix, Q: int, P: int) -> None:
    """ValueError unless these are vectors of Q queries and P texts, of one width, all numbers."""
    (rows, D), (texts, E) = queries.shape, pool.shape
    if (rows, texts, D) != (Q, P, E):
        raise ValueError(
            f"queries ({rows}, {D}) and a pool ({texts}, {E}) do not fit; it has to be ({Q}, D) and ({P}, D)"
        )
    for matrix, name in ((queries, "query"), (pool, "text of the pool")):
        refuse_what_is_no_number(matrix, name)


def refuse_what_is_no_number(matrix: Matrix, name: str) -> None:
    """ValueError with the first row that holds NaN or infinity; what is on the disk was looked at before."""
    if not isinstance(matrix, Rows):
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        if len(bad):
            raise ValueError(
                f"{name} {bad[0]} has NaN or infinity in its vector; embed it with sound weights"
            )


def mine(
    queries: Matrix, pool: Matrix, first: int, last: int, cells: "Cells | None" = None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the pool (P, D) at ranks first … last - 1 of each query (Q, D), and their scores: (Q, K).

    By inner product, exact unless `cells` are given. K ends where the pool ends; where the cells that are
    looked at hold fewer texts, the last rows are -1 and their scores -inf.
    """
    refuse_what_does_not_fit(queries, pool, len(queries), len(pool))
    shape = (len(queries), max(0, min(last, len(pool)) - first))
    rows, scores = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.float32)
    for block, *found in ranked(queries, pool, first, last, cells):
        rows[block], scores[block] = found
    return rows, scores


def ranked(
    queries: Matrix, pool: Matrix, first: int, last: int, cells: "Cells | None" = None
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Block by block: which queries, the rows at their ranks first … last - 1, and the scores: (C, K)."""
    last = min(last, len(pool))
    for start in range(0, len(queries), QUERIES_PER_SEARCH):
        block = slice(start, min(start + QUERIES_PER_SEARCH, len(queries)))
        if first >= last:
            none = np.zeros((block.stop - start, 0))
            yield block, none.astype(np.int64), none.astype(np.float32)
        else:
            asked = in_float32(queries[block])
            keys = best_of_blocks(asked, pool, last) if cells is None else cells.best(asked, pool, last)
            yield block, *unpacked(keys[:, first:])


def best_of_blocks(queries: np.ndarray, pool: Matrix, count: int) -> np.ndarray:
    """The keys of the best of a pool of which one block at a time is in memory: (C, D), (P, D) -> (C, K)."""
    keys, rows = np.empty((len(queries), 0), dtype=np.int64), max(1, BYTES_OF_POOL // (4 * pool.shape[1]))
    for start in range(0, len(pool), rows):
        block = in_float32(pool[start : start + rows])
        keys = smallest_keys(np.hstack([keys, best(queries, block, count) + start]), count)
    return np.sort(keys, axis=1)


def best(queries: np.ndarray, pool: np.ndarray, count: int) -> np.ndarray:
    """The keys of each query's best texts, ascending: (C, D), (P, D) -> (C, K), K = count or P.

    Where the last of them scores as the next one does, all scores of the query are looked at: the search
    takes any of equal texts.
    """
    P = len(pool)
    scores, rows = faiss.knn(queries, pool, min(count + 1, P), metric=faiss.METRIC_INNER_PRODUCT)
    keys = packed(scores[:, :count], rows[:, :count])
    if count < P:
        tied, each = np.flatnonzero(scores[:, count - 1] == scores[:, count]), max(1, SCORES_AT_A_TIME // P)
        for start in range(0, len(tied), each):
            some = tied[start : start + each]
            keys[some] = smallest_keys(packed(queries[some] @ pool.T, np.arange(P)), count)
    return np.sort(keys, axis=1)


def smallest_keys(keys: np.ndarray, count: int) -> np.ndarray:
    """The smallest keys of each line, in any order: (C, K) -> (C, count) or fewer."""
    return np.partition(keys, count - 1, axis=1)[:, :count] if count < keys.shape[1] else keys


def packed(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """float32 scores and rows of a pool -> int64 keys: the higher the score, the smaller; then by row."""
    bits = (scores + np.float32(0)).view(np.int32)  # -0 is 0
    ascending = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))  # as the scores do
    return (~ascending).astype(np.int64) << 32 | rows


def unpacked(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keys -> rows and scores; of no text, -1 and -inf."""
    ascending = ~(keys >> 32).astype(np.int32)
    scores = (ascending ^ ((ascending >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)
    nothing = keys == WORST
    return np.where(nothing, -1, keys & 0xFFFFFFFF), np.where(nothing, -np.inf, scores).astype(np.float32)


def products(queries: Matrix, pool: Matrix, asked: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The inner products of some queries (C,) with rows of the pool that are each one's own: (C, T) float32.

    A row of -1 gives any number.
    """
    found = np.empty(rows.shape, dtype=np.float32)
    each = max(1, SCORES_AT_A_TIME // max(1, rows.shape[1] * pool.shape[1]))
    for start in range(0, len(rows), each):
        part = slice(start, start + each)
        texts = in_float32(pool[np.maximum(rows[part], 0).ravel()])
        texts = texts.reshape(*rows[part].shape, pool.shape[1])  # (C', T, D)
        np.einsum("cd,ctd->ct", in_float32(queries[asked[part]]), texts, out=found[part])
    return found
