"""JupyterLab as a person meets it: `make lab`, notebook 00 run by the menu, a question, a figure.

`python benchmarks/jupyterlab.py` does this with all notebooks.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpack_lib.work.files import ROOT
from tests.small_stages import finish_stages
from tests.work.lab import ask, jupyterlab, open_notebook, run_all

QUESTION = "泡过的黄豆磨成浆，煮到翻滚就能喝吗？"
FIGURE = "[...document.querySelectorAll('.jp-RenderedImage img')].find(each => each.naturalWidth > 300)"


@pytest.fixture
def home(tmp_path, runs) -> Path:
    """The notebook in a folder of its own: JupyterLab saves what it shows."""
    finish_stages("demo")
    (tmp_path / "home/notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks/00_tour.ipynb", tmp_path / "home/notebooks")
    return tmp_path / "home"


@pytest.fixture
def tour(home) -> Iterator[str]:
    """The address of notebook 00 in a JupyterLab of this test."""
    with jupyterlab(home) as address:
        yield address.replace("NAME", "00_tour.ipynb")


def test_a_person_runs_the_tour_in_jupyterlab_and_asks_a_question(tab, tour, runs, capsys):
    started = time.monotonic()
    painted, opened = open_notebook(tab, tour)
    ran = run_all(tab, runs / "demo/00_tour/manifest.json")
    answers = ask(tab, QUESTION)
    assert any("老周" in answer for answer in answers), answers  # of the tofu shop: characters are enough
    shown = tab.wait(
        f"(() => {{ const found = {FIGURE}; if (!found) return null; found.scrollIntoView();"
        "const box = found.getBoundingClientRect(); return [box.top, box.width]; })()"
    )
    assert 0 <= shown[0] < 1000 and shown[1] > 300
    tab.picture(runs / "figure.png")
    with capsys.disabled():
        print(f"\nJupyterLab: first paint {painted:.1f} s, notebook open {opened:.1f} s, ", end="")
        print(f"run to its end {ran:.1f} s, all {time.monotonic() - started:.1f} s", flush=True)
