"""Progress of long work: a bar in JupyterLab, plain lines in batch, fewer of them the longer it takes."""

import os
import time
from typing import Self

from tqdm.auto import tqdm

FIRST_WAIT = 3.0  # seconds between two lines of a short job
SHARE = 0.05  # of the time so far is the wait in a long one: some 20 lines for every e-fold of its length
BESIDE = 3  # facts beside a bar, the first ones: more of them leave it no room on the page; logs have all
LARGEST = 99.5  # seconds told as such, and minutes: two digits


class Progress:
    """Work of `total` steps under one name: `with Progress("train", 100) as progress: progress.show(3)`.

    The first step that is shown is where this program began: a resumed run may have done thousands before, in
    no time of ours. The time that is left is told from the steps after it.
    """

    def __init__(self, name: str, total: int | None = None):
        self.name, self.total = name, total
        self.started = self.shown = time.monotonic()
        self.bar: tqdm | None = None
        self.begun: tuple[int, float] | None = None  # the first step shown, and when
        self.step, self.facts, self.pending = 0, {}, False

    def show(self, step: int, total: int | None = None, **facts: float | int | str) -> None:
        """`step` steps of `total` are done; `facts`, such as the loss, stand beside them."""
        self.step, self.facts, self.pending = step, facts, True
        self.total = total or self.total
        now = time.monotonic()
        self.begun = self.begun or (step, now)
        if "JPY_SESSION_NAME" in os.environ:
            self.move_bar()
        elif now - self.shown >= max(FIRST_WAIT, SHARE * (now - self.started)):
            self.print_line()

    def move_bar(self) -> None:
        """The bar at this step, drawn first where this program began."""
        if self.bar is None:
            self.bar = tqdm(total=self.total, desc=self.name, initial=self.step, dynamic_ncols=True)
        self.bar.total = self.total
        beside = list(self.facts.items())[:BESIDE]
        self.bar.set_postfix({name: spelled(value) for name, value in beside}, refresh=False)
        self.bar.update(self.step - self.bar.n)

    def print_line(self) -> None:
        """One plain line: name, steps, facts, time so far and time left."""
        self.shown, self.pending = time.monotonic(), False
        steps = f"{self.step:,}/{self.total:,}" if self.total else f"{self.step:,}"
        facts = "".join(f"  {name} {spelled(value)}" for name, value in self.facts.items())
        left = self.seconds_left(self.shown)
        ahead = "" if left is None else f", {duration(left)} left"
        print(f"{self.name} {steps}{facts}  {duration(self.shown - self.started)}{ahead}", flush=True)

    def seconds_left(self, now: float) -> float | None:
        """What the steps that are left will take, if they go on as they did; None where nobody can know."""
        if self.begun is None or not self.total or self.step >= self.total:
            return None
        first, since = self.begun
        if self.step <= first or now <= since:
            return None
        return (now - since) / (self.step - first) * (self.total - self.step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.refresh()
            self.bar.close()
        elif self.pending:
            self.print_line()


def duration(seconds: float) -> str:
    """A time as a person says it: 40 s, 12 min, 3.1 h."""
    if seconds < LARGEST:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < LARGEST else f"{minutes / 60:.1f} h"


def spelled(value: float | int | str) -> str:
    """A fact in few characters."""
    return (
        f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def told(figures: dict[str, float]) -> str:
    """Named numbers on one line: "pairs 110,288 · loss 0.3973"."""
    plain = {
        name: f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}" for name, value in figures.items()
    }
    return " · ".join(f"{name} {value}" for name, value in plain.items())
