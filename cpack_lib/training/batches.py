"""The plan: which rows stand in step n, a pure function of (seed, epoch, step).

Nothing is remembered between steps, so a run resumes anywhere, with the same batches.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

MIXINGS = ("mixed", "one source")


class Plan:
    """Batches of row numbers over `rows` rows; every row once per epoch, but for an incomplete last batch.

    `mixed` shuffles all rows together. `one source` fills each batch from a single source (`sources` tells
    the source of each row), and shuffles the batches; what does not fill a batch waits for another epoch.
    """

    def __init__(
        self,
        rows: int,
        rows_per_step: int,
        seed: int,
        mixing: str = "mixed",
        sources: Sequence[str] | None = None,
    ):
        if mixing not in MIXINGS:
            raise ValueError(f"mixing is {mixing!r}; choose one of {', '.join(MIXINGS)}")
        if rows_per_step < 1 or rows < 1:
            raise ValueError(f"no batch of {rows_per_step} rows can be made of {rows} rows")
        self.rows, self.rows_per_step, self.seed = rows, min(rows_per_step, rows), seed
        names = ["all"] * rows if mixing == "mixed" or sources is None else list(sources)
        if len(names) != rows:
            raise ValueError(f"{len(names)} sources for {rows} rows")
        by_source = {name: [] for name in dict.fromkeys(names)}
        for row, name in enumerate(names):
            by_source[name].append(row)
        self.groups = [np.asarray(group) for group in by_source.values()]
        self.steps_per_epoch = sum(len(group) // self.rows_per_step for group in self.groups)
        if not self.steps_per_epoch:
            raise ValueError(f"no source fills a batch of {rows_per_step} rows; make batches smaller")
        self.epoch = lru_cache(maxsize=2)(self.shuffled)

    def shuffled(self, epoch: int) -> np.ndarray:
        """All batches of one epoch: (steps, rows per step)."""
        chance = np.random.default_rng([self.seed, epoch])
        batches = []
        for group in self.groups:
            whole = len(group) // self.rows_per_step * self.rows_per_step
            batches.append(chance.permutation(group)[:whole].reshape(-1, self.rows_per_step))
        return chance.permutation(np.concatenate(batches), axis=0)

    def step(self, number: int) -> np.ndarray:
        """The row numbers of one step, counted from 0 over all epochs."""
        epoch, within = divmod(number, self.steps_per_epoch)
        return self.epoch(epoch)[within]
