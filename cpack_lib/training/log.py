"""The log of a run: a JSON object a step, and TensorBoard's events beside it where they are asked for."""

import importlib
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TextIO


class Log:
    """`log.jsonl` in a folder, going on after the step of a checkpoint; what came later is cut off."""

    def __init__(self, folder: Path, done: int, tensorboard: bool = False):
        self.open = ExitStack()
        self.file = self.open.enter_context(opened(folder / "log.jsonl", done))
        self.events = None
        if tensorboard:
            writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
            self.events = writer(str(folder / "tensorboard"), purge_step=done + 1)
            self.open.callback(self.events.close)

    def write(self, line: dict[str, Any]) -> None:
        """Add one step; it is on its way to the disk when this returns."""
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        if self.events is not None:
            for name, value in line.items():
                if name not in ("step", "steps"):
                    self.events.add_scalar(name, value, line["step"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open.close()


def opened(path: Path, done: int) -> TextIO:
    """The log, open for more lines, without those that were written after the last checkpoint."""
    if path.exists():
        lines = [line for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]
        kept = [line for line in lines if json.loads(line)["step"] <= done]
        aside = path.with_name(f".{path.name}.new")
        aside.write_text("".join(kept), "utf-8")
        aside.rename(path)
    return path.open("a", encoding="utf-8")
