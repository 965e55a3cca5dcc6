"""What the strategies share: a random choice of the candidates in a window, topped up with random texts.

Axes: C queries, P texts of a pool, K candidates, N negatives of a query, T random texts looked at.
"""

import numpy as np

from cpack_lib.training.negatives.chance import CANDIDATES, LOOKS, lots, random_rows
from cpack_lib.training.negatives.guards import Guard
from cpack_lib.training.negatives.search import SCORES_AT_A_TIME, Search, ranked
from cpack_lib.training.negatives.window import Negatives, Window, nothing

NO_LOT = np.iinfo(np.uint64).max
MORE_LOOKS = 4  # random texts looked at for each that is wanted, before a query looks at LOOKS


def sampled(search: Search, window: Window, guard: Guard | None = None) -> Negatives:
    """A random choice of each query's window, without its own texts and what a guard rejects.

    Where these are too few, random texts of the pool that keep both conditions take their places: a query
    looks at LOOKS of them and at one more for each that is its own, or at the whole pool if it is small.
    """
    made = nothing(len(search.queries), window.count)
    depth = window.depth(int(search.own.lengths.max(initial=0)))
    for block, rows, scores in ranked(search.queries, search.pool, *depth, search.cells):
        asked, chosen = np.arange(block.start, block.stop), made.rows[block]
        rows = window.reached(rows, search.own.lengths[asked])
        known, rejected = fates(search, asked, rows, scores, guard)
        draw(chosen, rows, window.offers(~known & ~rejected), window.seed, search.numbers[asked])
        made.origins[block][chosen >= 0] = "mined"
        top_up(search, window, guard, asked, chosen)
        made.origins[block][(chosen >= 0) & (made.origins[block] == "")] = "random"
        made.rejected[block] = rejected.sum(axis=1)
    return made


def fates(
    search: Search, asked: np.ndarray, rows: np.ndarray, scores: np.ndarray | None, guard: Guard | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which candidates (C, K) of some queries (C,) are their own or none, and which else a guard rejects."""
    known = (rows < 0) | search.own.hold(asked, rows)
    if guard is None or not rows.size:
        return known, np.zeros(rows.shape, dtype=bool)
    return known, ~known & guard.rejects(search, asked, rows, scores)


def draw(chosen: np.ndarray, rows: np.ndarray, offered: np.ndarray, seed: int, numbers: np.ndarray) -> None:
    """Put into `chosen` (C, N) the offered candidates with the lowest lots, as many as there are: (C, K)."""
    lot = np.where(offered, lots(seed, CANDIDATES, numbers, rows), NO_LOT)
    count = min(chosen.shape[1], rows.shape[1])
    if 0 < count < rows.shape[1]:
        nearest = np.argpartition(lot, count - 1, axis=1)[:, :count]
        lot, rows = (np.take_along_axis(each, nearest, axis=1) for each in (lot, rows))
    order = np.argsort(lot, axis=1)[:, :count]
    lot, rows = (np.take_along_axis(each, order, axis=1) for each in (lot, rows))
    chosen[:, :count] = np.where(lot < NO_LOT, rows, -1)


def top_up(
    search: Search, window: Window, guard: Guard | None, asked: np.ndarray, chosen: np.ndarray
) -> None:
    """Fill the places of `chosen` (C, N) that are -1 with random texts, in the order each query meets them.

    A few are looked at first: mostly they are good enough.
    """
    P, allowed = len(search.pool), LOOKS + search.own.lengths[asked]
    most = int(allowed.max(initial=LOOKS))
    for looks in (min(MORE_LOOKS * (window.count + 2), LOOKS), most) if P > LOOKS else (P,):
        short = np.flatnonzero((chosen < 0).any(axis=1))
        each = max(1, SCORES_AT_A_TIME // (8 * max(1, looks)))
        for start in range(0, len(short), each):
            some = short[start : start + each]
            met = random_rows(window.seed, search.numbers[asked[some]], looks, P)  # (C', T)
            met[np.arange(met.shape[1]) >= allowed[some, None]] = -1
            chosen[some] = first_good(search, guard, asked[some], chosen[some], met)


def first_good(
    search: Search, guard: Guard | None, asked: np.ndarray, chosen: np.ndarray, met: np.ndarray
) -> np.ndarray:
    """`chosen` (C, N) with its free places taken by the first texts met (C, T) that are not chosen yet."""
    known, rejected = fates(search, asked, met, None, guard)
    good = ~known & ~rejected
    for column in chosen.T:
        good &= met != column[:, None]
    lacking = (chosen < 0).sum(axis=1)
    place = np.cumsum(good, axis=1) - 1
    query, at = np.nonzero(good & (place < lacking[:, None]))
    filled = chosen.copy()
    filled[query, chosen.shape[1] - lacking[query] + place[query, at]] = met[query, at]
    return filled
