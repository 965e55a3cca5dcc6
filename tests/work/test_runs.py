"""Promises of cpack_lib.work.runs, kept with real processes where a process dies."""

import json
import signal
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import polars as pl
import pytest

from cpack_lib.work import lock
from cpack_lib.work.runs import finished_run, open_run, read_manifest, run_identity

WRITER = """
import sys, time
from cpack_lib.work.runs import open_run
run = open_run("03_contrast_pairs", "demo", {"texts": 4})
(run.folder / "half.bin").write_text("half")
print("opened", flush=True)
time.sleep(60)
"""


def make(run_name="demo", notebook="01_curate_pairs", parameters=None, inputs=None, content="pairs"):
    run = open_run(notebook, run_name, parameters or {"rows": 10}, inputs)
    if not run.finished:
        (run.folder / "pairs.txt").write_text(content)
        run.finish(rows=10)
    return run


@pytest.fixture
def writer(runs):
    process = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "opened\n"
    yield process
    process.kill()
    process.wait()


def test_run_json_says_what_was_asked_before_anything_is_made(runs):
    run = open_run("01_curate_pairs", "demo", {"rows": 10, "seed": 3})
    record = json.loads((runs / "demo/01_curate_pairs/run.json").read_text())
    assert record["parameters"] == {"rows": 10, "seed": 3} and record["seed"] == 3
    assert {"commit", "dirty", "versions", "device", "inputs", "opened"} <= record.keys()
    assert record["versions"]["polars"] == pl.__version__
    assert not run.finished and not (run.folder / "manifest.json").exists()


def test_a_finished_equal_run_is_reused_and_never_written_again(runs):
    make()
    again = make(content="other")
    assert again.finished
    before = (again.folder / "manifest.json").read_text()
    again.table(pl.DataFrame({"a": [1]}), "scores")
    again.figure(plt.figure(), "empty")
    again.finish(rows=11)
    assert (again.folder / "manifest.json").read_text() == before
    assert sorted(path.name for path in again.folder.iterdir()) == [
        "manifest.json", "pairs.txt", "run.json", "run.lock",
    ]  # fmt: skip


def test_the_manifest_lists_files_and_figures(runs):
    run = open_run("05_evaluate_cmteb", "demo", {"rows": 1})
    run.table(pl.DataFrame({"model": ["a"], "score": [0.5]}), "scores")
    run.figure(plt.figure(), "curve")
    (run.folder / "05_evaluate_cmteb.ipynb").write_text("{}")
    run.finish(score=0.5)
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {"run.json", "scores.csv", "figures/curve.png", "figures/curve.svg"}
    assert manifest["figures"] == {"score": 0.5} and manifest["peak_gib"] > 0 and manifest["minutes"] >= 0


def test_a_finished_run_keeps_no_checkpoint(runs):
    run = open_run("03_contrast_pairs", "demo", {"rows": 1})
    for name in (
        "contrast/checkpoint-0000050/weights.safetensors",
        "contrast/log.jsonl",
        "encoder/checkpoint",
    ):
        (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / name).write_text("1")
    run.finish()
    assert set(read_manifest(run.folder)["files"]) == {"run.json", "contrast/log.jsonl", "encoder/checkpoint"}
    assert not list(run.folder.glob("contrast/checkpoint-*"))


def test_unequal_parameters_are_refused_with_the_difference_and_the_remedy(runs):
    make()
    with pytest.raises(ValueError, match=r"rows was 10, now 20\. Choose another run_name.*--fresh"):
        make(parameters={"rows": 20})
    with pytest.raises(ValueError, match="seed was None, now 1"):
        make(parameters={"rows": 10, "seed": 1})


def test_an_unfinished_run_goes_on_with_equal_parameters_only(runs):
    first = open_run("03_contrast_pairs", "demo", {"texts": 4})
    (first.folder / "checkpoint").write_text("step 10")
    lock.release(first.folder)
    with pytest.raises(ValueError, match="texts was 4, now 8"):
        open_run("03_contrast_pairs", "demo", {"texts": 8})
    second = open_run("03_contrast_pairs", "demo", {"texts": 4})
    assert not second.finished and (second.folder / "checkpoint").exists()
    assert len(json.loads((second.folder / "run.json").read_text())["opened"]) == 2


def test_the_same_kernel_may_open_a_run_again(runs):
    open_run("03_contrast_pairs", "demo", {"texts": 4})
    with pytest.raises(ValueError, match="texts was 4, now 8"):
        open_run("03_contrast_pairs", "demo", {"texts": 8})
    open_run("03_contrast_pairs", "demo", {"texts": 4}).finish()
    assert not lock.is_held(runs / "demo/03_contrast_pairs")


def test_inputs_are_finished_runs_and_their_content_counts(runs):
    make()
    downstream = make(notebook="02_pretrain", inputs={"curated": "demo/01_curate_pairs"})
    assert downstream.inputs == {"curated": runs / "demo/01_curate_pairs"}
    assert make(notebook="02_pretrain", inputs={"curated": "demo/01_curate_pairs"}).finished
    (runs / "demo/01_curate_pairs").rename(runs / "old")
    make(content="more pairs")
    with pytest.raises(ValueError, match="input curated demo/01_curate_pairs holds other files than it did"):
        make(notebook="02_pretrain", inputs={"curated": "demo/01_curate_pairs"})


def test_an_input_made_again_with_the_same_content_is_equal(runs):
    make()
    before = run_identity("demo/01_curate_pairs")
    (runs / "demo/01_curate_pairs").rename(runs / "old")
    time.sleep(1.1)  # run.json now tells another second
    make()
    assert run_identity("demo/01_curate_pairs") == before


def test_a_table_in_a_folder_is_an_input_by_content(runs, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").write_text("{}")
    tables = {"documents": f"folder:{tmp_path}/data", "labelled": "world:labelled"}
    assert make(inputs=tables).inputs == {}
    assert make(inputs=tables).finished
    (tmp_path / "data/a.jsonl").write_text("[]")
    with pytest.raises(ValueError, match="input documents .* holds other files"):
        make(inputs=tables)
    with pytest.raises(ValueError, match="does not exist"):
        make(inputs={"documents": f"folder:{tmp_path}/none"})


@pytest.mark.parametrize("name", ["demo/nothing", "demo", "demo/../x", "a/b/c", ""])
def test_what_is_not_finished_cannot_be_read(runs, name):
    with pytest.raises(ValueError, match="does not exist|names no run"):
        finished_run(name)


def test_an_unfinished_input_says_what_to_run(runs):
    open_run("01_curate_pairs", "demo", {})
    with pytest.raises(ValueError, match="is not finished .*cpack run demo --only 01_curate_pairs"):
        finished_run("demo/01_curate_pairs")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".aside"])
def test_a_run_name_cannot_leave_the_runs_folder(runs, name):
    with pytest.raises(ValueError, match="cannot name a run folder"):
        open_run("01_curate_pairs", name, {})


@pytest.mark.parametrize("file", ["run.json", "manifest.json"])
@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: "", lambda text: "[]"])
def test_a_damaged_file_is_a_clear_sentence(runs, file, damage):
    path = make().folder / file
    path.write_text(damage(path.read_text()))
    with pytest.raises(
        ValueError, match=rf"{file} is damaged .*; move .*01_curate_pairs away and run it again"
    ):
        make()


def test_a_lost_or_cut_file_is_noticed(runs):
    folder = make().folder
    (folder / "pairs.txt").write_text("pa")
    with pytest.raises(ValueError, match="pairs.txt has changed since demo/01_curate_pairs finished"):
        finished_run("demo/01_curate_pairs")
    (folder / "pairs.txt").unlink()
    with pytest.raises(ValueError, match="pairs.txt is gone"):
        make()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "high", True, None])
def test_a_figure_that_is_no_finite_number_does_not_finish_a_run(runs, value):
    run = open_run("01_curate_pairs", "demo", {})
    with pytest.raises(ValueError, match="finite numbers"):
        run.finish(recall=value)
    assert not (run.folder / "manifest.json").exists()


def test_an_empty_file_does_not_finish_a_run(runs):
    run = open_run("01_curate_pairs", "demo", {})
    (run.folder / "pairs.parquet").touch()
    (run.folder / "stderr.log").touch()
    with pytest.raises(ValueError, match=r"pairs\.parquet is empty"):
        run.finish()


def test_two_processes_cannot_write_one_run(writer):
    with pytest.raises(ValueError, match=f"is being written by process {writer.pid}"):
        open_run("03_contrast_pairs", "demo", {"texts": 4})


def test_a_killed_process_leaves_an_unlocked_unfinished_run(writer, runs):
    assert lock.is_held(runs / "demo/03_contrast_pairs")
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert not lock.is_held(runs / "demo/03_contrast_pairs")
    with pytest.raises(ValueError, match="is not finished"):
        finished_run("demo/03_contrast_pairs")
    run = open_run("03_contrast_pairs", "demo", {"texts": 4})
    assert not run.finished and (run.folder / "half.bin").exists()


def test_asking_for_a_lock_does_not_stop_the_one_who_opens(runs):
    folder = make().folder
    asking = "import sys; from pathlib import Path; from cpack_lib.work import lock\n"
    asking += "while True: lock.is_held(Path(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", asking, str(folder)])
    try:
        time.sleep(0.5)
        for _ in range(50):
            lock.take(folder)
            lock.release(folder)
    finally:
        process.kill()
        process.wait()
