"""Strategies: which texts of a pool become a query's negatives; all have one signature.

`strategy(search, window)` gives `Negatives`. What is drawn depends on the seed, the query's number and the
candidates alone: each candidate has a random number of its own for each query, and the lowest are taken.

Axes: Q queries, C of them, N negatives of a query.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cpack_lib.training.negatives.chance import PARTNERS, lots
from cpack_lib.training.negatives.draws import sampled
from cpack_lib.training.negatives.guards import BY_GUIDE, MARGIN, SHARE, Guard
from cpack_lib.training.negatives.search import Search, opposite
from cpack_lib.training.negatives.window import Negatives, Window, nothing

Strategy = Callable[[Search, Window], Negatives]


def rank_window(search: Search, window: Window) -> Negatives:
    """A random choice of the ranks, whatever they score: C-Pack's `hn_mine` (FlagEmbedding)."""
    return sampled(search, window)


def positive_aware(search: Search, window: Window, guard: Guard = SHARE) -> Negatives:
    """Without what scores above 95 % of the positive: NV-Retriever's TopK-PercPos (arXiv 2407.15831)."""
    return sampled(search, window, guard)


def positive_margin(search: Search, window: Window, guard: Guard = MARGIN) -> Negatives:
    """Without what comes within 0.05 of the positive's score: NV-Retriever's TopK-MarginPos."""
    return sampled(search, window, guard)


def guided(search: Search, window: Window, guard: Guard = BY_GUIDE) -> Negatives:
    """Without what a second encoder puts above the positive: GISTEmbed's rule (arXiv 2402.16829)."""
    return sampled(search, window, guard)


def easy_window(search: Search, window: Window) -> Negatives:
    """The window counted from the far end of the pool: the contrast that teaches least, to measure others by.

    What is farthest from a query is nearest to its opposite.
    """
    return sampled(replace(search, queries=opposite(search.queries)), window)


def at_random(search: Search, window: Window) -> Negatives:
    """Any texts of the pool, wherever they rank: C-Pack's choice for CMedQA-v2 and multi-CPR (issue 275)."""
    return sampled(search, replace(window, first=0, last=0))


def given(search: Search, window: Window, rest: Strategy = rank_window) -> Negatives:
    """Texts labelled 0 for the query, drawn where there are more; what is missing by `rest`.

    C-Pack's choice for sets of inference and similarity (FlagEmbedding, issue 275).
    """
    owners, rows = search.partners.pairs(np.arange(len(search.queries)))
    free = ~search.own.hold(owners, rows[:, None])[:, 0]
    owners, rows = np.unique(np.stack([owners[free], rows[free]]), axis=1)  # by query; each partner once
    lot = lots(window.seed, PARTNERS, search.numbers[owners], rows[:, None])[:, 0]
    rows = rows[np.lexsort([lot, owners])]
    place = np.arange(len(owners)) - np.searchsorted(owners, owners)  # among the partners of its query
    taken = place < window.count
    made = nothing(len(search.queries), window.count)
    made.rows[owners[taken], place[taken]] = rows[taken]
    made.origins[owners[taken], place[taken]] = "given"
    short = np.flatnonzero((made.rows < 0).any(axis=1))
    if len(short):
        left = replace(search, own=search.own.joined(search.partners)).some(short)
        fill(made, short, rest(left, window))
    return made


def named_strategy(name: str) -> Strategy:
    """The strategy of a name in STRATEGIES; ValueError with all names where there is none."""
    if name not in STRATEGIES:
        raise ValueError(f"strategy is {name!r}; choose one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def fill(made: Negatives, short: np.ndarray, found: Negatives) -> None:
    """Give the empty places of some queries (C,) what was found for them, from its first on."""
    free = made.rows[short] < 0
    place = np.where(free, np.cumsum(free, axis=1) - 1, 0)  # which of the found comes here
    for old, new in ((made.rows, found.rows), (made.origins, found.origins)):
        old[short] = np.where(free, np.take_along_axis(new, place, axis=1), old[short])
    made.rejected[short] = found.rejected


STRATEGIES: dict[str, Strategy] = {
    "rank window": rank_window,
    "positive aware": positive_aware,
    "positive margin": positive_margin,
    "guided": guided,
    "easy window": easy_window,
    "at random": at_random,
    "given": given,
}
