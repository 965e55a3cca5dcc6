"""All 35 sets of C-MTEB from a hub on this machine through mteb's loading code, and again without a network.

The sets have a few rows each, in the layouts of the real ones (tests/hub/layouts.py says which are known).
Their scores mean nothing; that they come, and come again from copies, is what is shown.
"""

import json
import math
from pathlib import Path

import polars as pl
import pytest

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from tests.evaluation.test_fetch import FETCH
from tests.hub.asking import ask, evaluate_over, run
from tests.hub.layouts import cmteb_repositories
from tests.hub.server import Hub

ALL = {one.task: one for one in evaluation_sets("cmteb-35")}
ONE_OF_EACH = "cmteb-35:T2Retrieval,T2Reranking,STS22,Ocnli,MassiveIntentClassification,CLSClusteringS2S"
AGAINST_MTEB = """
import sys, mteb
from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.tasks.suites import open_tasks
found = {}
for ours in open_tasks(sys.argv[1]):
    (model,) = open_models(["tfidf"])
    model.prepare(ours)
    theirs = mteb.get_task(ours.metadata.name, eval_splits=ours.eval_splits, hf_subsets=ours.hf_subsets)
    results = [
        mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False).task_results[0]
        for task in (ours, theirs)
    ]
    scores = [result.scores[split][0]["main_score"] for result in results for split in ours.eval_splits]
    found[ours.metadata.name] = [*scores, *(result.dataset_revision for result in results)]
"""
LOAD = """
import sys
from cpack_lib.evaluation.tasks.suites import open_tasks
found = {}
for task in open_tasks(sys.argv[1]):
    try:
        task.load_data()
    except ValueError as error:
        found[task.metadata.name] = str(error)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("loopback")


@pytest.fixture(scope="module")
def hub():
    with Hub(cmteb_repositories(), page=3) as hub:
        yield hub


@pytest.fixture(scope="module")
def online(hub, place) -> dict:
    """Scores of BM25 on all 35, nothing cached before."""
    settings = hub.environment(place / "cache") | {"CPACK_EVALUATION": str(place / "nothing")}
    return evaluate_over(settings, ["bm25"], "cmteb-35", place / "online")


@pytest.fixture(scope="module")
def copies(hub, place) -> Path:
    """What `cpack fetch cmteb` makes."""
    folder = place / "copies"
    found = ask(FETCH, hub.environment(place / "other") | {"CPACK_EVALUATION": str(folder)}, "cmteb")
    assert found["code"] == 0 and len(found["lines"]) == 36, found
    return folder


@pytest.fixture(scope="module")
def offline(copies, place) -> dict[str, str]:
    """Settings without a hub, with copies, and with a cache that was never used."""
    return {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(place / "empty"),
        "HF_HUB_OFFLINE": "1",
        "CPACK_EVALUATION": str(copies),
    }


@pytest.fixture(scope="module")
def again(offline, place) -> dict:
    """The same scores, from copies."""
    return evaluate_over(offline, ["bm25"], "cmteb-35", place / "offline")


def main_scores(found: dict) -> dict[str, float]:
    """The first metric of each task."""
    return {task: score for _, task, _, score in reversed(found["scores"])}


def test_all_35_run_from_the_hub(hub, online, record_property):
    scores = main_scores(online)
    assert set(scores) == set(ALL) and all(math.isfinite(score) for score in scores.values())
    assert len({round(score, 6) for score in scores.values()}) > 25  # no set stands in for another
    asked = {path.removeprefix("/api/datasets/") for _, path in hub.asked}
    assert {f"{one.repo}/revision/{one.revision}" for one in ALL.values()} <= asked
    record_property("seconds", online["seconds"])
    print(f"35 tasks in {online['seconds']:.0f} s")


def test_fetched_copies_give_the_same_scores_without_a_network(online, again):
    assert [row[:3] for row in again["scores"]] == [row[:3] for row in online["scores"]]
    assert [row[3] for row in again["scores"]] == pytest.approx(
        [row[3] for row in online["scores"]], abs=1e-9
    )


def test_scores_from_the_hub_and_from_copies_are_told_apart(online, again, place):
    marks = {}
    for name in ("online", "offline"):
        (path,) = (place / name / "results").rglob("STSB.fingerprint")
        marks[name] = json.loads(path.read_text())["data"]
        (path,) = (place / name / "results").rglob("STSB.json")
        assert json.loads(path.read_text())["dataset_revision"] == ALL["STSB"].revision
    assert marks["online"] == ALL["STSB"].revision and len(marks["offline"]) == 16


def test_texts_are_compared_with_copies_too(offline):
    code = """
from cpack_lib.corpus.clean.evaluation_texts import evaluation_texts
found = {}
for task, texts in evaluation_texts("cmteb:T2Retrieval,Ocnli"):
    found.setdefault(task, []).append(len(texts))
"""
    found = ask(code, offline)
    assert sorted(found["T2Retrieval"]) == [12, 48, 48] and found["Ocnli"] == [24, 24]


def test_an_encoder_runs_on_every_type_and_a_sample_says_so(offline, encoder, place):
    found = evaluate_over(offline, [str(encoder)], ONE_OF_EACH.replace("-35", "-mini"), place / "encoder")
    scores = main_scores(found)
    assert len(set(scores.values())) == 6
    assert set(scores) == {f"{name}.sample64" for name in ONE_OF_EACH.partition(":")[2].split(",")}


def test_what_stands_before_mtebs_class_changes_no_score(hub, place):
    settings = hub.environment(place / "cache") | {"CPACK_EVALUATION": str(place / "nothing")}
    found = ask(AGAINST_MTEB, settings, ONE_OF_EACH)
    assert len(found) == 6
    for name, (ours, theirs, *revisions) in found.items():
        assert ours == pytest.approx(theirs, abs=1e-9) and set(revisions) == {ALL[name].revision}, name


def test_a_set_that_is_nowhere_gives_one_sentence(offline, place):
    found = ask(LOAD, offline | {"CPACK_EVALUATION": str(place / "nothing")}, ONE_OF_EACH)
    assert len(found) == 6
    for task, told in found.items():
        assert told.startswith(
            f"{task} needs {ALL[task].address}, which is not in {place / 'nothing'} and did"
        )
        assert f"run `cpack fetch {task}` where there is a network" in told


def test_a_hub_that_lacks_the_set_gives_the_same_sentence(place):
    with Hub([]) as hub:
        settings = hub.environment(place / "fresh") | {"CPACK_EVALUATION": str(place / "nothing")}
        found = ask(LOAD, settings, "cmteb-35:STSB,T2Retrieval")
    assert "(DatasetNotFoundError): run `cpack fetch STSB`" in found["STSB"]
    assert "run `cpack fetch T2Retrieval`" in found["T2Retrieval"]


def test_notebook_05_evaluates_a_folder_on_public_sets(hub, place, encoder):
    given = {"models": [str(encoder)], "baselines": ["bm25"], "evaluation": ONE_OF_EACH, "draws": 50}
    (place / "given.yaml").write_text(json.dumps(given), "utf-8")
    settings = hub.environment(place / "cache") | {"CPACK_EVALUATION": str(place / "nothing")}
    settings |= {"CPACK_RUNS": str(place / "runs")}
    notebook = ["notebooks/05_evaluate_cmteb.ipynb", str(place / "executed.ipynb")]
    done = run(["-m", "papermill", *notebook, "-f", str(place / "given.yaml")], settings)
    assert done.returncode == 0, done.stderr[-3000:]
    scores = pl.read_csv(place / "runs/demo/05_evaluate_cmteb/scores.csv")
    assert scores.select("model", "type").n_unique() == 2 * 6
