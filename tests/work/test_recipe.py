"""The whole recipe at its smallest: the profile smoke, from raw text to evaluation table and report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from cpack_lib.work.files import ROOT
from cpack_lib.work.notebooks import notebook_paths

LIMIT = 1500  # seconds for all notebooks, on a busy machine; they take some 200


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a profile that was run as a person runs it."""
    folder = tmp_path_factory.mktemp("recipe")
    cpack("run", "smoke", runs=folder)
    return folder


def cpack(*arguments: str, runs: Path) -> str:
    """What the command prints; the test fails with its output where the command fails."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [Path(sys.executable).with_name("cpack"), *arguments],
        env=environment | {"CPACK_RUNS": str(runs)},
        cwd=runs,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.mark.timeout(LIMIT)
def test_every_notebook_finishes(home):
    for path in notebook_paths(ROOT):
        manifest = json.loads((home / "smoke" / path.stem / "manifest.json").read_text("utf-8"))
        assert manifest["figures"] and manifest["files"], path.stem


@pytest.mark.timeout(LIMIT)
def test_a_second_start_makes_nothing_again(home):
    said = cpack("run", "smoke", runs=home)
    assert said.count(" reuse ") == len(notebook_paths(ROOT)) and "running" not in said


@pytest.mark.timeout(LIMIT)
def test_the_table_has_every_stage_and_baseline_on_all_six_types(home):
    table = pl.read_csv(home / "smoke" / "05_evaluate_cmteb" / "averages.csv")
    stages = {"smoke/02_pretrain_retromae", "smoke/03_contrast_pairs", "smoke/04_instruct_finetune"}
    assert stages | {"bm25", "tfidf", "random:nano"} <= set(table["model"])
    types = [name for name in table.columns if name not in ("model", "mean_over_datasets")]
    assert len(types) == 7 and table.select(types).null_count().sum_horizontal().item() == 0
    means = table.select(pl.mean_horizontal(name for name in types if name != "mean_over_task_types"))
    assert (means.to_series() - table["mean_over_task_types"]).abs().max() < 1e-6


@pytest.mark.timeout(LIMIT)
def test_a_browser_shows_the_report_of_it_whole(home, measure):
    cpack("report", "smoke", runs=home)
    page = home / "smoke" / "report.html"
    found = measure(page, 1200)
    assert found["chinese"] > 50 and not found["missing"] and not found["broken"] and not found["scripts"]
    assert found["images"] >= 4 and found["wide"] <= 1200
    assert "not made" not in found["text"] and "not finished" not in found["text"]
