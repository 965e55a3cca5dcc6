"""Promises of evaluate() and averages(): mteb's numbers, nothing run twice, means that compare."""

import json

import mteb
import polars as pl
import pytest
from mteb.models import SentenceTransformerEncoderWrapper
from mteb.results import TaskResult
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores import running
from cpack_lib.evaluation.scores.running import MAIN, averages, evaluate
from cpack_lib.evaluation.tasks.local import local_tasks


def main_scores(scores):
    rows = scores.filter(pl.col("metric") == pl.col("type").replace_strict(MAIN))
    return {(model, task): score for model, task, score in rows.select("model", "task", "score").iter_rows()}


def test_scores_are_those_of_mteb_with_a_plain_sentence_transformer(data, encoder, tmp_path):
    ours = main_scores(evaluate(open_models([str(encoder)]), local_tasks(data), tmp_path / "results"))
    plain = SentenceTransformerEncoderWrapper(SentenceTransformer(str(encoder)))
    for task in local_tasks(data):
        theirs = mteb.evaluate(plain, task, cache=None, co2_tracker=False, show_progress_bar=False)
        score = 100 * theirs.task_results[0].get_score(getter=lambda s, m=MAIN[task.metadata.type]: s[m])
        assert ours[str(encoder), task.metadata.name] == pytest.approx(score, abs=1e-2), task.metadata.name


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
    assert len(counted) == 6 and again["score"].to_list() == pytest.approx(first["score"].to_list(), abs=1e-3)

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


def test_a_run_that_was_killed_while_writing_is_not_believed(data, tmp_path, counted):
    evaluate(open_models(["bm25"]), local_tasks(data)[:1], tmp_path / "results")
    (mark,) = (tmp_path / "results").rglob("*.fingerprint")
    mark.unlink()
    evaluate(open_models(["bm25"]), local_tasks(data)[:1], tmp_path / "results")
    assert len(counted) == 2


def test_a_result_is_mtebs_own_json_with_a_fingerprint_beside_it(data, tmp_path):
    evaluate(open_models(["tfidf"]), local_tasks(data), tmp_path / "results")
    (path,) = (tmp_path / "results").rglob("same.json")
    result = TaskResult.from_disk(path)
    assert result.task_name == "same" and 0 < result.scores["test"][0]["cosine_ap"] <= 1
    mark = json.loads(path.with_suffix(".fingerprint").read_text("utf-8"))
    assert mark["data"] == result.dataset_revision and mark["weights"] == path.parent.name


def test_pair_classification_is_the_papers_average_precision_with_max_accuracy_beside_it(data, tmp_path):
    scores = evaluate(open_models(["tfidf"]), local_tasks(data), tmp_path / "results")
    pairs = scores.filter(pl.col("type") == "PairClassification")
    assert pairs["metric"].to_list() == ["cosine_ap", "max_accuracy"]


def test_averages_name_both_means_and_every_type():
    kinds = ["Retrieval", "Retrieval", "Retrieval", "STS"]
    rows = [
        ("a", f"task{i}", kind, MAIN[kind], score)
        for i, (kind, score) in enumerate(zip(kinds, [10, 20, 30, 60], strict=True))
    ]
    rows.append(("a", "task0", "Retrieval", "recall_at_10", 99))
    found = averages(pl.DataFrame(rows, schema=running.SCHEMA, orient="row")).row(0, named=True)
    assert found == {
        "model": "a",
        "mean_over_datasets": 30,
        "mean_over_task_types": 40,
        "Retrieval": 20,
        "STS": 60,
    }


def test_averages_refuse_models_with_different_tasks():
    rows = [("a", "x", "STS", "cosine_spearman", 1.0), ("b", "y", "STS", "cosine_spearman", 2.0)]
    with pytest.raises(ValueError, match="b was not scored on the same tasks as a"):
        averages(pl.DataFrame(rows, schema=running.SCHEMA, orient="row"))
