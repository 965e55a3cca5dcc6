"""Promises of evaluate(): mteb's numbers, nothing run twice, nothing lost, files that mteb reads."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mteb
import polars as pl
import pytest
from mteb.models import SentenceTransformerEncoderWrapper
from mteb.results import TaskResult
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models.lexical import BM25
from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores import running
from cpack_lib.evaluation.scores.protocols import under
from cpack_lib.evaluation.scores.running import Unfinished, evaluate, fingerprint, found_passages
from cpack_lib.evaluation.tasks.local import local_tasks


def main_scores(scores):
    return {(m, task): score for m, task, score in under(scores).select("model", "task", "score").iter_rows()}


def test_scores_are_those_of_mteb_with_a_plain_sentence_transformer(data, encoder, tmp_path):
    ours = evaluate(open_models([str(encoder)]), local_tasks(data), tmp_path / "results")
    assert ours["protocol"].to_list().count("paper+today") == 5
    plain = SentenceTransformerEncoderWrapper(SentenceTransformer(str(encoder)))
    for task in local_tasks(data):
        theirs = mteb.evaluate(plain, task, cache=None, co2_tracker=False, show_progress_bar=False)
        for metric, score in (
            ours.filter(pl.col("task") == task.metadata.name).select("metric", "score").rows()
        ):
            of_mteb = 100 * theirs.task_results[0].get_score(getter=lambda s, m=metric: s[m])
            assert score == pytest.approx(of_mteb, abs=1e-2), (task.metadata.name, metric)


def test_the_scores_are_not_trivial(data, encoder, tmp_path):
    scores = main_scores(
        evaluate(open_models([str(encoder), "tfidf"]), local_tasks(data), tmp_path / "results")
    )
    assert scores["tfidf", "find"] > scores[str(encoder), "find"] > 0
    assert len(set(scores.values())) > 8


@pytest.fixture
def counted(monkeypatch):
    """The tasks that are really run from here on."""
    ran, run_task = [], running.run_task

    def count(model, task, folder):
        ran.append((model.name, task.metadata.name))
        return run_task(model, task, folder)

    monkeypatch.setattr(running, "run_task", count)
    return ran


def test_finished_results_are_reused_until_data_or_weights_or_protocol_change(data, tmp_path, counted):
    first = evaluate(open_models(["bm25"]), local_tasks(data), tmp_path / "results")
    assert len(counted) == 6
    again = evaluate(open_models(["bm25"]), local_tasks(data), tmp_path / "results")
    assert len(counted) == 6 and again.equals(first)

    path = data / "sts/near/test.parquet"
    pl.read_parquet(path).with_columns(score=pl.col("score") + 1).write_parquet(path)
    evaluate(open_models(["bm25"]), local_tasks(data), tmp_path / "results")
    assert counted[6:] == [("bm25", "near")]

    (model,), tasks = open_models(["bm25"]), local_tasks(data)
    model.fingerprint = "other weights"
    tasks[4].samples_per_label = 2
    evaluate([model], tasks[:1], tmp_path / "results")
    evaluate(open_models(["bm25"]), tasks[4:5], tmp_path / "results")
    assert counted[7:] == [("bm25", "find"), ("bm25", "kind")]


def test_results_of_another_mteb_or_other_splits_are_not_believed(data, tmp_path, counted, monkeypatch):
    tasks = local_tasks(data)[2:3]
    evaluate(open_models(["bm25"]), tasks, tmp_path / "results")
    monkeypatch.setattr(mteb, "__version__", "2.0.0")
    evaluate(open_models(["bm25"]), tasks, tmp_path / "results")
    monkeypatch.undo()
    (mark,) = (tmp_path / "results").rglob("*.fingerprint")
    assert json.loads(mark.read_text("utf-8"))["mteb"] == "2.0.0" and len(counted) == 2
    before = fingerprint(BM25(), tasks[0])
    tasks[0].filter_eval_splits(["validation"])
    assert fingerprint(BM25(), tasks[0]) != before


def test_another_prompt_is_another_model(data, encoder, tmp_path, counted):
    evaluate(open_models([str(encoder)]), local_tasks(data)[:1], tmp_path / "results")
    path = encoder / "config_sentence_transformers.json"
    settings = json.loads(path.read_text("utf-8"))
    settings["prompts"]["query"] = "问："
    path.write_text(json.dumps(settings), "utf-8")
    evaluate(open_models([str(encoder)]), local_tasks(data)[:1], tmp_path / "results")
    assert len(counted) == 2 and len(list((tmp_path / "results").rglob("find.json"))) == 2


def test_half_precision_is_another_result_beside_the_first(data, encoder, tmp_path):
    whole, half = (open_models([str(encoder)], precision=of)[0] for of in ("float32", "bfloat16"))
    for model in (whole, half):
        evaluate([model], local_tasks(data)[2:3], tmp_path / "results")
    found = sorted((tmp_path / "results").rglob("near.json"))
    assert len(found) == 2 and any("experiments" in path.parts for path in found)
    cache = mteb.ResultCache(tmp_path)
    assert len(cache.load_results().model_results) == 1  # the experiment only where it is asked for
    assert len(cache.load_results(load_experiments="match_name").model_results) == 2


def test_a_run_that_was_killed_while_writing_is_not_believed(data, tmp_path, counted):
    evaluate(open_models(["bm25"]), local_tasks(data)[:1], tmp_path / "results")
    (mark,) = (tmp_path / "results").rglob("*.fingerprint")
    mark.unlink()
    evaluate(open_models(["bm25"]), local_tasks(data)[:1], tmp_path / "results")
    assert len(counted) == 2


KILLED = """
import sys, time
from pathlib import Path
from cpack_lib.evaluation.models.lexical import BM25
from cpack_lib.evaluation.scores.running import evaluate
from cpack_lib.evaluation.tasks.local import local_tasks

class Slow(BM25):
    def prepare(self, task):
        if task.metadata.name == "near":
            Path(sys.argv[2], "waiting").touch()
            time.sleep(600)
        super().prepare(task)

evaluate([Slow()], local_tasks(sys.argv[1]), Path(sys.argv[2], "results"))
"""


def test_killed_in_the_middle_it_goes_on_with_what_is_missing(data, tmp_path, counted):
    killed = subprocess.Popen([sys.executable, "-c", KILLED, str(data), str(tmp_path)])
    deadline = time.monotonic() + 300
    while not (tmp_path / "waiting").exists() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    scores = evaluate(open_models(["bm25"]), local_tasks(data), tmp_path / "results")
    assert [task for _, task in counted] == ["near", "same", "kind", "group"]
    alone = evaluate(open_models(["bm25"]), local_tasks(data), tmp_path / "alone" / "results")
    assert scores.equals(alone)


def test_a_failing_task_is_told_at_the_end_and_stops_no_other(data, tmp_path, counted):
    tasks = local_tasks(data)
    (data / "sts/near/test.parquet").unlink()
    with pytest.raises(
        Unfinished, match=r"(?s)2 of 12 evaluations failed; the other 10 are kept.*near"
    ) as told:
        evaluate(open_models(["tfidf", "bm25"]), tasks, tmp_path / "results")
    assert {(f.model, f.task) for f in told.value.failures} == {("tfidf", "near"), ("bm25", "near")}
    assert under(told.value.scores).height == 10 and told.value.__cause__ is told.value.failures[0].error
    ran = len(counted)
    rest = [task for task in tasks if task.metadata.name != "near"]
    again = evaluate(open_models(["tfidf", "bm25"]), rest, tmp_path / "results")
    assert again.equals(told.value.scores)
    assert len(counted) == ran


def test_mteb_reads_the_folder_back(data, encoder, tmp_path):
    scores = evaluate(open_models([str(encoder), "tfidf"]), local_tasks(data), tmp_path / "results")
    cache = mteb.ResultCache(tmp_path)
    results = {result.model_name: result for result in cache.load_results().model_results}
    assert set(cache.get_task_names()) == set(scores["task"]) and len(results) == 2
    (found,) = [r for r in results["local/tfidf"].task_results if r.task_name == "same"]
    assert found.scores["test"][0]["cosine_ap"] * 100 == pytest.approx(
        main_scores(scores)["tfidf", "same"], abs=1e-3
    )
    (settings,) = (tmp_path / "results/local__tfidf").rglob("run_settings.jsonl")
    lines = [json.loads(line) for line in settings.read_text("utf-8").splitlines()]
    assert {line["task"] for line in lines} == set(scores["task"]) and lines[0]["version"][
        "mteb"
    ] == mteb.__version__


def test_a_result_has_a_fingerprint_beside_it(data, tmp_path):
    evaluate(open_models(["tfidf"]), local_tasks(data), tmp_path / "results")
    (path,) = (tmp_path / "results").rglob("same.json")
    mark = json.loads(path.with_suffix(".fingerprint").read_text("utf-8"))
    assert mark["data"] == TaskResult.from_disk(path).dataset_revision and mark["weights"] == path.parent.name
    assert {path.name for path in path.parent.glob("find.*")} == {
        "find.json",
        "find.fingerprint",
        "find.items.parquet",
        "find.found.parquet",
    }


def test_what_a_search_found_is_kept(data, tmp_path):
    find, (model,) = local_tasks(data)[0], open_models(["bm25"])
    evaluate([model], [find], tmp_path / "results")
    found = found_passages(model, find, tmp_path / "results")
    assert found.columns == ["subset", "split", "qid", "rank", "pid", "score", "relevance"]
    assert found.group_by("qid").len()["len"].to_list() == [10] * 12 and found["relevance"].sum() > 0


def test_a_folder_that_mteb_would_not_find_is_refused(data, tmp_path):
    with pytest.raises(Unfinished, match="name it"):
        evaluate(open_models(["tfidf"]), local_tasks(data)[:1], Path(tmp_path / "scores"))
