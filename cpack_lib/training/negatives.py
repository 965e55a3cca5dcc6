"""Hard negatives: texts that look like an answer and are none, searched for in each source's own corpus.

Axes: Q queries, P texts of a pool, D width, K ranks of a window, N negatives per query.  The blind window of
ranks: `hn_mine` of C-Pack's release; a share of the positive's score: NV-Retriever (arXiv 2407.15831).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import faiss
import numpy as np
import polars as pl

from cpack_lib.corpus.clean.text import folded
from cpack_lib.corpus.labelled.instructions import INSTRUCTED

SHARE_OF_POSITIVE = 0.95  # NV-Retriever's TopK-PercPos: what scores more is taken for an answer
QUERIES_PER_SEARCH = 1_024
ORIGINS = ("given", "mined", "random")


@dataclass(frozen=True)
class Search:
    """Queries, a pool of different texts, and what is known of them.

    `positives` is the row of the pool that answers each query; `own` are the rows that say what the query or
    any of its positives says, so are never its negatives; `partners` are rows labelled 0 for it.
    """

    queries: np.ndarray  # (Q, D)
    pool: np.ndarray  # (P, D)
    positives: np.ndarray  # (Q,)
    own: Sequence[frozenset[int]]  # Q sets
    partners: Sequence[Sequence[int]]  # Q lists


@dataclass(frozen=True)
class Window:
    """The ranks first … last - 1, counted from 0, that negatives come from, and how many are wanted."""

    first: int = 10  # the defaults of C-Pack's `hn_mine` (`range_for_sampling` 10-210)
    last: int = 210
    count: int = 1  # N
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.first <= self.last or self.count < 0:
            raise ValueError(
                f"{self.count} negatives of ranks {self.first} to {self.last} cannot be chosen; "
                "it has to be 0 <= first <= last, and 0 <= count"
            )


@dataclass(frozen=True)
class Negatives:
    """The rows of the pool chosen for each query (Q, N), and where each comes from: given, mined or random.

    Where a pool has too few texts, the last places of a row are -1, and their origin is empty.
    """

    rows: np.ndarray
    origins: np.ndarray


Strategy = Callable[[Search, Window], Negatives]


def mine(queries: np.ndarray, pool: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the pool (P, D) at ranks first … last - 1 of each query (Q, D), and their scores: (Q, K).

    By exact inner product, block by block, so no Q × P matrix is made. K ends where the pool ends.
    """
    last = min(last, len(pool))
    if first >= last or not len(queries):
        shape = (len(queries), max(0, last - first))
        return np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.float32)
    queries, pool = (np.ascontiguousarray(each, dtype=np.float32) for each in (queries, pool))
    scores, rows = faiss.knn(queries, pool, last, metric=faiss.METRIC_INNER_PRODUCT)
    return rows[:, first:], scores[:, first:]


def rank_window(search: Search, window: Window) -> Negatives:
    """C-Pack's way: a random sample of the window, whatever it scores."""
    return sampled(search, window, limits=np.full(len(search.queries), np.inf))


def positive_aware(search: Search, window: Window) -> Negatives:
    """As `rank_window`, without what scores above 95 % of the query's positive."""
    scores = np.einsum("qd,qd->q", search.queries, search.pool[search.positives])
    return sampled(search, window, limits=scores - (1 - SHARE_OF_POSITIVE) * np.abs(scores))


def at_random(search: Search, window: Window) -> Negatives:
    """Any texts of the pool, wherever they rank."""
    return rank_window(search, replace(window, first=0, last=0))


def given(search: Search, window: Window, rest: Strategy = rank_window) -> Negatives:
    """Texts labelled 0 for the query, a random choice where there are more; what is missing by `rest`."""
    rows, origins = nothing(len(search.queries), window.count)
    for q, (partners, own) in enumerate(zip(search.partners, search.own, strict=True)):
        chance = np.random.default_rng([window.seed, q])
        picked = chance.permutation(sorted(set(partners) - own))[: window.count]
        rows[q, : len(picked)] = picked
        origins[q, : len(picked)] = "given"
    short = np.flatnonzero((rows < 0).any(axis=1))
    left = Search(
        queries=search.queries[short],
        pool=search.pool,
        positives=search.positives[short],
        own=[search.own[q] | set(search.partners[q]) for q in short],
        partners=[()] * len(short),
    )
    found = rest(left, window)
    for i, q in enumerate(short):
        free = rows[q] < 0
        rows[q, free] = found.rows[i, : free.sum()]
        origins[q, free] = found.origins[i, : free.sum()]
    return Negatives(rows, origins)


STRATEGIES: dict[str, Strategy] = {
    "rank window": rank_window,
    "positive aware": positive_aware,
    "at random": at_random,
    "given": given,
}


def sampled(search: Search, window: Window, limits: np.ndarray) -> Negatives:
    """A random choice of each query's window that scores at most its limit (Q,) and is not its own.

    Where these are too few, random texts of the pool that keep both conditions take their places. The chance
    of query q depends on (seed, q) alone.
    """
    rows, origins = nothing(len(search.queries), window.count)
    for start in range(0, len(search.queries), QUERIES_PER_SEARCH):
        block = search.queries[start : start + QUERIES_PER_SEARCH]
        ranked = mine(block, search.pool, window.first, window.last)
        for q, (found, scores) in enumerate(zip(*ranked, strict=True), start):
            chance = np.random.default_rng([window.seed, q])
            free = [row for row in found[scores <= limits[q]].tolist() if row not in search.own[q]]
            picked = chance.permutation(free)[: window.count].astype(np.int64).tolist()
            missing = window.count - len(picked)
            extra = random_rows(search, q, limits[q], picked=picked, count=missing, chance=chance)
            rows[q, : len(picked) + len(extra)] = picked + extra
            origins[q, : len(picked) + len(extra)] = ["mined"] * len(picked) + ["random"] * len(extra)
    return Negatives(rows, origins)


def nothing(queries: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of -1 and empty origins, (Q, N) each."""
    return np.full((queries, count), -1, dtype=np.int64), np.full((queries, count), "", dtype="U6")


def random_rows(
    search: Search, q: int, limit: float, picked: list[int], count: int, chance: np.random.Generator
) -> list[int]:
    """Up to `count` random rows of the pool: not query q's own, not picked yet, scoring at most `limit`."""
    if not count:
        return []
    taken = search.own[q] | set(picked)
    size = len(search.pool) if np.isfinite(limit) else min(len(search.pool), count + len(taken))
    drawn = [row for row in chance.choice(len(search.pool), size, replace=False).tolist() if row not in taken]
    if np.isfinite(limit):
        scores = search.pool[drawn] @ search.queries[q]
        drawn = [row for row, score in zip(drawn, scores, strict=True) if score <= limit]
    return drawn[:count]


def write_groups(
    labelled: pl.DataFrame,
    encode: Callable[[list[str]], np.ndarray],
    path: Path,
    strategy: Strategy = rank_window,
    window: Window | None = None,
    instruction: str = "",
) -> pl.DataFrame:
    """Write one group for each query and each of its positives; how they were made, by source and task.

    The file has `query`, `passages` (the positive, then its negatives), `origins` of the negatives, `source`
    and `task`. Queries of retrieval, search and reranking are mined and carry the instruction; those of other
    tasks take their label-0 partners first. Mining stays within a source: its pool is what stands in `pos`
    and `neg` of its rows. Rows without a positive are left out and counted.
    """
    window = window or Window()
    answered = labelled.filter(pl.col("pos").list.len() > 0)
    if not answered.height:
        raise ValueError(f"none of the {labelled.height} labelled rows has a positive; no group can be made")
    choose = partial(given, window=window, rest=strategy)
    parts = answered.partition_by("source", maintain_order=True)
    groups = pl.concat([source_groups(rows, encode, choose) for rows in parts])
    instructed = pl.when(pl.col("task").is_in(INSTRUCTED)).then(pl.lit(instruction)).otherwise(pl.lit(""))
    aside = path.with_name(f".{path.name}.new")
    groups.with_columns(query=instructed + pl.col("query")).drop("pool").write_parquet(aside)
    aside.rename(path)
    return counts(groups, labelled, window.count)


def source_groups(
    rows: pl.DataFrame, encode: Callable[[list[str]], np.ndarray], choose: Callable[[Search], Negatives]
) -> pl.DataFrame:
    """The groups of one source: query, passages, origins, source, task, and the size of its pool."""
    key = keys(chain(rows["query"], *rows["pos"], *rows["neg"]))
    texts: dict[str, str] = {}  # key -> the text as it is met first
    for text in chain(*rows["pos"], *rows["neg"]):
        texts.setdefault(key[text], text)
    pool, place = list(texts.values()), {each: i for i, each in enumerate(texts)}
    own: dict[str, set[int]] = {}  # key of a query -> what is right for it, in whichever row it says so
    for query, pos in rows.select("query", "pos").iter_rows():
        says = {key[query], *(key[text] for text in pos)}
        own.setdefault(key[query], set()).update(place[each] for each in says if each in place)
    made = [
        (query, place[positive], [] if task in INSTRUCTED else [place[key[text]] for text in neg], task)
        for query, pos, neg, task in rows.select("query", "pos", "neg", "task").iter_rows()
        for positive in dict.fromkeys(key[text] for text in pos)
    ]
    queries, positives, partners, tasks = (list(column) for column in zip(*made, strict=True))
    known = [frozenset(own[key[query]]) for query in queries]
    found = choose(Search(encode(queries), encode(pool), np.asarray(positives), known, partners))
    chosen = np.column_stack([positives, found.rows]).tolist()
    return pl.DataFrame(
        {
            "query": queries,
            "passages": [[pool[i] for i in line if i >= 0] for line in chosen],
            "origins": [[origin for origin in line if origin] for line in found.origins.tolist()],
            "source": rows["source"][0],
            "task": tasks,
            "pool": len(pool),
        },
        schema_overrides={"origins": pl.List(pl.String)},
    )


def keys(texts: Iterable[str]) -> dict[str, str]:
    """Each text -> what it is compared by: spaces, widths and capitals make no difference."""
    distinct = pl.DataFrame({"text": list(dict.fromkeys(texts))}, schema={"text": pl.String})
    return dict(distinct.select("text", folded(pl.col("text")).alias("key")).iter_rows())


def counts(groups: pl.DataFrame, labelled: pl.DataFrame, wanted: int) -> pl.DataFrame:
    """By source and task: groups, the pool's texts, negatives by origin, those missing, rows left out."""
    by, lengths = ["source", "task"], pl.col("origins").list.len().cast(pl.Int64)
    made = groups.group_by(by).agg(
        pl.len().alias("groups"),
        pl.col("pool").first(),
        *(pl.col("origins").list.count_matches(name).sum().alias(name) for name in ORIGINS),
        missing=(wanted - lengths).sum(),
    )
    rows = labelled.group_by(by, maintain_order=True).agg(
        without_positive=(pl.col("pos").list.len().fill_null(0) == 0).sum()
    )
    joined = rows.join(made, on=by, how="left", maintain_order="left")
    return joined.select(*by, pl.col(*made.columns[2:], "without_positive").fill_null(0).cast(pl.Int64))
