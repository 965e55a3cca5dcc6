"""What all tests share: run folders of their own, one thread, small notebooks made on the spot."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that stands for runs/, here and in every process started from here."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("CPACK_RUNS", str(folder))
    return folder


@pytest.fixture
def write_notebook() -> Callable[..., Path]:
    """A maker of notebooks: path and code cells in, the one that holds annotations tagged `parameters`."""

    def write(path: Path, parameters: str, *cells: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        sources = [("code", parameters, ["parameters"]), *[("code", cell, []) for cell in cells]]
        path.write_text(json.dumps(notebook(sources), ensure_ascii=False), "utf-8")
        return path

    return write


def notebook(sources: list[tuple[str, str, list[str]]]) -> dict:
    """The JSON of a notebook with empty outputs from (kind, source, tags)."""
    cells = []
    for number, (kind, source, tags) in enumerate(sources):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {"tags": tags}, "source": source}
        cells.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
