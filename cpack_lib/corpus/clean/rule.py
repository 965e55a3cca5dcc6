"""What a rule of curation is: a name, a stage, a reason, and a word on every row of a frame.

So are `keys.First`, `contamination.Unseen` and `relevance.Relevant`: whatever has these can stand in the
pipeline's list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import polars as pl

STAGES = ("pages", "lines", "documents", "sides", "pairs", "set", "kept", "texts")  # in order of work
PAGES, LINES, DOCUMENTS, SIDES, PAIRS, SET, KEPT, TEXTS = STAGES


class Judge(Protocol):
    """What the pipeline needs of a rule."""

    name: str
    stage: str
    reason: str

    def judge(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""


@runtime_checkable
class Tells(Protocol):
    """A rule that says more of the rows it sets aside than its name."""

    def detail(self, aside: pl.DataFrame) -> pl.Series:
        """What each row was set aside for, a text."""


@dataclass(frozen=True)
class Rule:
    """A rule for one shard: `keeps` makes of the limit an expression that is true for the rows that stay."""

    name: str
    stage: str
    reason: str
    keeps: Callable[[float | None], pl.Expr]
    limit: float | None = None

    def judge(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""
        return frame.select(self.keeps(self.limit).alias(self.name)).to_series()
