"""What is asked of a strategy, and what it gives: a window of ranks, and negatives.

Axes: Q queries, C of them, K candidates, N negatives of a query.
"""

from dataclasses import dataclass

import numpy as np

from cpack_lib.training.negatives.cells import EXACT_UP_TO, LOOKED_AT

COUNTED = ("all", "accepted")
ORIGINS = ("given", "mined", "random")


@dataclass(frozen=True)
class Window:
    """The ranks first … last - 1, from 0, that negatives are drawn from, and how many each query gets.

    Ranks are `counted` among all texts, as in C-Pack, or among the accepted ones, which are neither the
    query's own nor taken for an answer, as in NV-Retriever and sentence-transformers.
    """

    first: int = 10  # the defaults of C-Pack's `hn_mine` (`range_for_sampling` 10-210)
    last: int = 210
    count: int = 1  # N
    seed: int = 0
    counted: str = "all"
    exact_up_to: int = EXACT_UP_TO  # texts of a pool that is searched whole; a larger one is cut into cells
    looked_at: int = LOOKED_AT  # cells of a query; more find more of what the whole search finds, and cost

    def __post_init__(self):
        if not 0 <= self.first <= self.last or self.count < 0:
            raise ValueError(
                f"{self.count} negatives of ranks {self.first} to {self.last} cannot be chosen; "
                "it has to be 0 <= first <= last, and 0 <= count"
            )
        if self.counted not in COUNTED:
            raise ValueError(f"ranks are counted among {self.counted!r}; choose one of {', '.join(COUNTED)}")
        if self.exact_up_to < 0 or self.looked_at < 1:
            raise ValueError(
                f"pools above {self.exact_up_to} texts cannot be searched in {self.looked_at} cells of a "
                "query; give 0 texts or more, and 1 cell or more"
            )

    def depth(self, most_own: int) -> tuple[int, int]:
        """The ranks that are searched: from the best on, and deeper, where only accepted ones are counted."""
        if self.counted == "all" or self.first == self.last:
            return self.first, self.last
        return 0, self.last + most_own

    def reached(self, rows: np.ndarray, owned: np.ndarray) -> np.ndarray:
        """The rows at the searched ranks (C, K), -1 for those that a query does not look at.

        Where only accepted ones are counted, it looks as far beyond the window as it owns texts: (C,).
        """
        if self.counted == "all":
            return rows
        return np.where(np.arange(rows.shape[1]) < self.last + owned[:, None], rows, -1)

    def offers(self, accepted: np.ndarray) -> np.ndarray:
        """Which of the accepted candidates at the searched ranks stand in the window: (C, K) bool."""
        if self.counted == "all":
            return accepted
        rank = np.cumsum(accepted, axis=1) - 1
        return accepted & (self.first <= rank) & (rank < self.last)


@dataclass(frozen=True)
class Negatives:
    """The rows of the pool chosen for each query (Q, N), and where each comes from: given, mined or random.

    Where a pool has too few texts, the last places of a row are -1, and their origin is empty. `rejected` has
    the number (Q,) of candidates at the searched ranks that a guard took for answers.
    """

    rows: np.ndarray
    origins: np.ndarray
    rejected: np.ndarray


def nothing(queries: int, count: int) -> Negatives:
    """Rows of -1 and empty origins, (Q, N) each; nothing rejected."""
    rows, origins = np.full((queries, count), -1, dtype=np.int64), np.full((queries, count), "", dtype="U6")
    return Negatives(rows, origins, np.zeros(queries, dtype=np.int64))
