"""Whether the partner of a text is among the nearest of a large pool: a filter without a threshold to choose.

A score means something else with every encoder and every source; a rank means the same with all. Nomic Embed
(arXiv 2402.01613) keeps a pair when its document is among the top 2 of a pool of at most a million.

The pool of a pair holds every different text_b of its part of the rows. The rows are cut, in their order,
into as few parts as `pool` allows, of equal size, since a rank among 100 texts promises less than one among a
million. The rank of a pair is 1 + how many texts of its pool are nearer to text_a than text_b is. Not counted
are texts equal to text_b or to text_a, and those that are nearer by less than TIE. Other partners of the same
text_a do count: a text with three partners keeps the nearest two. A text with a vector of zeros is equally
near to everything, so its pairs have rank 1.

Axes: Q queries (text_a), P texts of a pool, D width.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from cpack_lib.corpus.clean.relevance import Encode, both_sides, directions, products, row_of
from cpack_lib.corpus.copies.keys import keys_of

NOMIC_PLACES = 2
NOMIC_POOL = 1_000_000  # texts
ROWS_AT_ONCE = 65_536  # of a folder: as many as a shard of the pipeline has
QUERIES, TEXTS = 1_024, 16_384  # of one block of scores: 64 MiB
TIE = 1e-5  # of the cosine: what one text gets in two batches of an encoder differs by less in float32
DOUBT = 5e-6  # from the bound, within which a float32 product is computed again in float64


@dataclass(frozen=True)
class Ranked:
    """A rule for pairs that all other rules have kept: text_b among the `k` nearest of its pool.

    The pipeline shows a rule one shard at a time, so a pool is at most the 65,536 rows of a shard, whatever
    `pool` says, and k = 2 asks for less than Nomic's 2 of a million; `rank_folder` ranks in pools as large.
    """

    stage: str
    encode: Encode
    k: int = NOMIC_PLACES
    pool: int = NOMIC_POOL
    name: str = "rank"
    reason: str = "the partner is not among this many nearest texts of its pool"

    def __post_init__(self):
        if self.k < 1:
            raise ValueError(f"k is {self.k}, so no pair could stay: give at least 1")
        parts_of(0, self.pool)

    def judge(self, pairs: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""
        return ranks(pairs, self.encode, self.pool) <= self.k


def ranks(pairs: pl.DataFrame, encode: Encode, pool: int = NOMIC_POOL) -> pl.Series:
    """The rank of each pair's text_b in its pool, 1 for the nearest; each different text is encoded once.

    Holds the vectors of all texts, those of one pool again, and one block of scores.
    """
    vectors, a, b = both_sides(pairs, encode)
    found = np.empty(len(pairs), dtype=np.int64)
    for part in parts_of(len(pairs), pool):
        texts, partners = np.unique(b[part], return_inverse=True)  # rows of `vectors`, and places among them
        own = np.searchsorted(texts, a[part]).clip(max=len(texts) - 1)
        own = np.where(texts[own] == a[part], own, -1)
        found[part] = 1 + nearer(vectors, a[part], vectors[texts], partners, own)
    return as_ranks(found)


def rank_folder(
    folder: Path, encode: Encode, pool: int = NOMIC_POOL, stored: type[np.floating] = np.float32
) -> Iterator[pl.DataFrame]:
    """The pairs of a folder of Parquet files, in the order of their names, each with its `rank`, in frames.

    Ranks are those of `ranks` for all rows at once; memory is that of one pool. A million texts of D = 512
    take 2.0 GB, or 1.0 GB `stored` as float16, which moves cosines by some 1e-5; beside them a key of 8 bytes
    per text, one frame with its vectors and one block of scores. A text_b is read twice and encoded once per
    pool, a text_a encoded once per frame of 65,536 rows. The products take 10⁹ operations per pair in a pool
    of a million.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise ValueError(f"{folder} holds no .parquet file: give the folder with the shards of pairs")
    pairs = pl.scan_parquet(files)
    for part in parts_of(pairs.select(pl.len()).collect().item(), pool):
        keys, vectors = pool_of(frames_of(pairs.select("text_b"), part), part, encode, stored)
        for frame in frames_of(pairs, part):
            yield frame.with_columns(ranks_among(frame, keys, vectors, encode))


def frames_of(pairs: pl.LazyFrame, part: slice) -> Iterator[pl.DataFrame]:
    """The rows of a part, ROWS_AT_ONCE at a time."""
    for start in range(part.start, part.stop, ROWS_AT_ONCE):
        yield pairs.slice(start, min(ROWS_AT_ONCE, part.stop - start)).collect()


def parts_of(rows: int, pool: int) -> list[slice]:
    """The fewest parts of at most `pool` consecutive rows, none more than one row larger than another."""
    if pool < 1:
        raise ValueError(f"a pool of {pool} texts ranks nothing: give at least 1")
    count = -(-rows // pool)
    ends = [rows * number // count for number in range(count + 1)] if count else [0]
    return [slice(start, end) for start, end in zip(ends, ends[1:], strict=False)]


def pool_of(
    frames: Iterable[pl.DataFrame], part: slice, encode: Encode, stored: type[np.floating]
) -> tuple[pl.Series, np.ndarray]:
    """(key (P,), direction (P, D)) of each different text_b of a part; no text is kept."""
    keys, vectors = pl.Series("key", dtype=pl.UInt64), None
    for frame in frames:
        texts = frame["text_b"].unique(maintain_order=True)
        found = keys_of(texts)
        new = ~found.is_in(keys.implode())
        if not new.any():
            continue
        some = directions(texts.filter(new), encode)
        if vectors is None:  # room for a different text in each row; what stays empty takes no memory
            vectors = np.empty((part.stop - part.start, some.shape[1]), dtype=stored)
        vectors[len(keys) : len(keys) + len(some)] = some
        keys = pl.concat([keys, found.filter(new).alias("key")])
    return keys, vectors[: len(keys)]


def ranks_among(pairs: pl.DataFrame, keys: pl.Series, vectors: np.ndarray, encode: Encode) -> pl.Series:
    """The rank of each pair's text_b among the texts with these keys (P,) and vectors (P, D)."""
    asked = pairs["text_a"].unique(maintain_order=True)
    own = row_of(keys_of(asked), keys)  # of each text that is asked
    rows, partners = row_of(pairs["text_a"], asked), row_of(keys_of(pairs["text_b"]), keys)  # (Q,), (Q,)
    return as_ranks(1 + nearer(directions(asked, encode), rows, vectors, partners, own[rows]))


def as_ranks(found: np.ndarray) -> pl.Series:
    """Ranks (Q,) as a column."""
    return pl.Series("rank", found, dtype=pl.UInt32)


def nearer(
    queries: np.ndarray, rows: np.ndarray, pool: np.ndarray, partners: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """How many of the pool (P, D) are nearer to a query than its partner is: (Q,).

    `rows` (Q,) are the queries' among their vectors, `partners` (Q,) their partners' in the pool, `own` (Q,)
    those of their own texts there, which are not counted: -1 where the pool does not have them.
    """
    limits = products(queries, pool, rows, partners) + TIE  # (Q,) float64
    found = np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(rows), QUERIES):
        some = slice(start, start + QUERIES)
        block = queries[rows[some]]
        for first in range(0, len(pool), TEXTS):
            found[some] += above(block, pool[first : first + TEXTS], limits[some])
    there = np.flatnonzero(own >= 0)
    found[there] -= products(queries, pool, rows[there], own[there]) > limits[there]
    return found


def above(queries: np.ndarray, texts: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """How many inner products with texts (P, D) are over each query's limit (Q,): (Q,), as in float64."""
    gaps = queries @ texts.astype(np.float32, copy=False).T  # (Q, P)
    gaps -= limits[:, None].astype(np.float32)
    found = np.count_nonzero(gaps > DOUBT, axis=1)
    doubtful = np.flatnonzero(np.count_nonzero(gaps >= -DOUBT, axis=1) > found)
    i, j = np.nonzero(np.abs(gaps[doubtful]) <= DOUBT)
    i = doubtful[i]
    over = products(queries, texts, i, j) > limits[i]
    return found + np.bincount(i[over], minlength=len(queries))
