"""Progress of long work: a bar in JupyterLab, plain lines in batch, fewer of them the longer it takes."""

import os
import time
from typing import Self

from tqdm.auto import tqdm

FIRST_WAIT = 3.0  # seconds between two lines of a short job
SHARE = 0.05  # of the time so far is the wait in a long one: some 20 lines for every e-fold of its length


class Progress:
    """Work of `total` steps under one name: `with Progress("train", 100) as progress: progress.show(3)`."""

    def __init__(self, name: str, total: int | None = None):
        self.name, self.total = name, total
        self.started = self.shown = time.monotonic()
        self.bar = tqdm(total=total, desc=name) if "JPY_SESSION_NAME" in os.environ else None
        self.step, self.facts, self.pending = 0, {}, False

    def show(self, step: int, total: int | None = None, **facts: float | int | str) -> None:
        """`step` steps of `total` are done; `facts`, such as the loss, stand beside them."""
        self.step, self.facts, self.pending = step, facts, True
        self.total = total or self.total
        if self.bar is not None:
            self.bar.total = self.total
            self.bar.set_postfix({name: spelled(value) for name, value in facts.items()}, refresh=False)
            self.bar.update(step - self.bar.n)
            return
        now = time.monotonic()
        if now - self.shown >= max(FIRST_WAIT, SHARE * (now - self.started)):
            self.print_line()

    def print_line(self) -> None:
        """One plain line: name, steps, facts, seconds."""
        self.shown, self.pending = time.monotonic(), False
        steps = f"{self.step:,}/{self.total:,}" if self.total else f"{self.step:,}"
        facts = "".join(f"  {name} {spelled(value)}" for name, value in self.facts.items())
        print(f"{self.name} {steps}{facts}  {self.shown - self.started:.0f} s", flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.refresh()
            self.bar.close()
        elif self.pending:
            self.print_line()


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
