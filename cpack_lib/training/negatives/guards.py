"""Guards: which candidates score so much that they are taken for answers nobody labelled.

Axes: C queries, T candidates of each.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cpack_lib.training.negatives.search import Search, products


@dataclass(frozen=True)
class Guard:
    """Candidates above a limit, which the score of the query's positive sets, are rejected.

    `name` tells why. With `by_guide` all scores are those of the search's second encoder.
    """

    name: str
    limit: Callable[[np.ndarray], np.ndarray]  # the positives' scores (C,) -> the most of a negative (C,)
    by_guide: bool = False

    def rejects(
        self, search: Search, asked: np.ndarray, rows: np.ndarray, scores: np.ndarray | None = None
    ) -> np.ndarray:
        """Which candidates of some queries (C,) are rejected: rows of the pool (C, T) -> (C, T) bool.

        `scores` (C, T) are the first encoder's, where they are known.
        """
        matrices = self.seen_by(search)
        if scores is None or self.by_guide:
            scores = products(*matrices, asked, rows)
        positives = products(*matrices, asked, search.positives[asked, None])[:, 0]
        return scores > self.limit(positives.astype(np.float64))[:, None]

    def seen_by(self, search: Search) -> tuple:
        """The queries and the pool that the guard looks at."""
        if self.by_guide and search.guide is None:
            raise ValueError(
                "no guide's vectors are given; give the search a guide, or choose a strategy without"
            )
        return search.guide if self.by_guide else (search.queries, search.pool)


def below_share(share: float = 0.95) -> Guard:
    """At most this share of the positive's score; of a negative one, as much below it."""
    if not math.isfinite(share):
        raise ValueError(f"the share of the positive's score is {share}; give a number, such as 0.95")
    return Guard(
        f"above {100 * share:g} % of the positive", lambda scores: scores - (1 - share) * np.abs(scores)
    )


def below_margin(margin: float = 0.05) -> Guard:
    """At least this much below the positive's score; cosines differ by 2 at most, so 2 rejects everything."""
    if not math.isfinite(margin):
        raise ValueError(f"the margin below the positive's score is {margin}; give a number, such as 0.05")
    return Guard(f"within {margin:g} of the positive", lambda scores: scores - margin)


SHARE, MARGIN = below_share(), below_margin()  # NV-Retriever's TopK-PercPos and TopK-MarginPos
BY_GUIDE = Guard("above the positive for the guide", lambda scores: scores, by_guide=True)
