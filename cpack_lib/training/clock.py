"""Where the seconds of a step go: a clock for each part, and one that does not tick."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Seconds per part of a step; on a GPU each part waits for its kernels, so that they count there."""

    def __init__(self, ticks: bool = True):
        self.ticks = ticks
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the time inside the block to a part."""
        started = self.now()
        yield
        if self.ticks:
            self.seconds[part] = self.seconds.get(part, 0.0) + self.now() - started

    def now(self) -> float:
        """Seconds, after all that the GPU still has to do."""
        if self.ticks and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        return time.perf_counter()

    def read(self) -> dict[str, float]:
        """The parts so far as columns of a log, such as embed_again_s, and begin anew."""
        seconds, self.seconds = self.seconds, {}
        return {f"{part.replace(' ', '_')}_s": round(value, 4) for part, value in seconds.items()}


IDLE = Clock(ticks=False)
