"""One query's candidates, rank by rank: what each scores beside the positive, and what became of it."""

import numpy as np
import polars as pl

from cpack_lib.training.negatives.draws import fates
from cpack_lib.training.negatives.guards import Guard
from cpack_lib.training.negatives.search import Search, mine, products
from cpack_lib.training.negatives.window import Window

OWN, OUTSIDE, OFFERED = "own", "outside the window", "offered"


def candidates(
    search: Search, query: int, window: Window, guard: Guard | None = None, ranks: int | None = None
) -> pl.DataFrame:
    """The best texts of the pool for one query, `ranks` of them or as many as the window needs.

    `rank` from 0, `row` of the pool, `score`, `relative` to the positive's score (1 is as much), and `fate`:
    "offered" to chance as a negative, "own", "outside the window", or the guard's reason for a rejection.
    """
    if not 0 <= query < len(search.queries):
        raise ValueError(f"there is no query {query}; there are {len(search.queries)}, counted from 0")
    one = search.some(np.array([query]))
    _, last = window.depth(int(one.own.lengths.max(initial=0)))
    rows, scores = mine(one.queries, one.pool, 0, last if ranks is None else ranks, one.cells)
    known, rejected = fates(one, np.array([0]), rows, scores, guard)
    looked_at = window.reached(rows, one.own.lengths) >= 0
    offered = window.offers(looked_at & ~known & ~rejected)[0]
    if window.counted == "all":
        rank = np.arange(rows.shape[1])
        offered &= (window.first <= rank) & (rank < window.last)
    reasons = [
        OWN if own else guard.name if bad else OFFERED if good else OUTSIDE
        for own, bad, good in zip(known[0], rejected[0], offered, strict=True)
    ]
    positive = products(one.queries, one.pool, np.array([0]), one.positives[:, None])
    table = {"row": rows[0], "score": scores[0], "relative": scores[0] / positive[0], "fate": reasons}
    return pl.DataFrame(table).with_row_index("rank").filter(pl.col("row") >= 0)
