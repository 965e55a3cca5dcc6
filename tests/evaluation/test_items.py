"""Promises of the items: their mean or measure is mteb's score, for every type of task, subset and split."""

import mteb
import numpy as np
import polars as pl
import pytest
from datasets import Dataset, DatasetDict
from mteb._evaluators import SummarizationEvaluator
from mteb._evaluators.text.summarization_evaluator import DeprecatedSummarizationEvaluator
from mteb.abstasks import AbsTaskClustering, AbsTaskSTS
from mteb.abstasks.text.summarization import AbsTaskSummarization
from mteb.results import TaskResult
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.items import CELL, recorded, samples
from cpack_lib.evaluation.scores.running import evaluate, result_path
from cpack_lib.evaluation.tasks.local import LocalTask, local_tasks

ROUNDED = {"ndcg_at_10": 5.1e-6, "recall_at_10": 5.1e-6, "map_at_1000": 5.1e-6}  # mteb gives five decimals


def kept(model, task, folder):
    path = result_path(model, task, folder)
    return pl.read_parquet(path.with_suffix(".items.parquet")), TaskResult.from_disk(path).scores


def check(items, scores, metrics):
    for metric in metrics:
        found = samples(items, metric)
        theirs = {
            (one["hf_subset"], split): one[metric] for split, subsets in scores.items() for one in subsets
        }
        assert found.keys() == theirs.keys()
        for cell, sample in found.items():
            assert sample.score() == pytest.approx(theirs[cell], abs=ROUNDED.get(metric, 1e-6)), (
                metric,
                cell,
            )


METRICS = {
    "find": ["ndcg_at_10", "recall_at_10"],
    "order": ["map_at_1000", "ndcg_at_10"],
    "near": ["cosine_spearman"],
    "same": ["cosine_ap", "max_ap", "max_accuracy", "similarity_ap", "euclidean_accuracy", "manhattan_ap"],
    "kind": ["accuracy"],
    "group": ["v_measure"],
}


@pytest.mark.parametrize("name", ["encoder", "tfidf"])
def test_items_give_mtebs_score_on_every_type(name, data, encoder, tmp_path):
    (model,), tasks = open_models([str(encoder) if name == "encoder" else name]), local_tasks(data)
    tasks[4].samples_per_label = 1  # or this tiny set is answered without a fault
    evaluate([model], tasks, tmp_path / "results")
    for task in tasks:
        items, scores = kept(model, task, tmp_path / "results")
        check(items, scores, METRICS[task.metadata.name])


def test_every_item_is_there_once(data, tmp_path):
    (model,), tasks = open_models(["tfidf"]), local_tasks(data)
    tasks[4].samples_per_label = 1
    evaluate([model], tasks, tmp_path / "results")
    sizes = {}
    for task in tasks:
        items, _ = kept(model, task, tmp_path / "results")
        assert items.n_unique([*CELL, "item"]) == len(items)
        sizes[task.metadata.name] = len(items)
    assert sizes == {"find": 12, "order": 12, "near": 24, "same": 24, "kind": 16, "group": 2}
    items, _ = kept(model, tasks[4], tmp_path / "results")
    assert items.schema["accuracy"] == pl.Array(pl.Boolean, 10)
    assert items["accuracy"].to_numpy().std(axis=0).max() > 0  # not always right, nor always wrong


def test_what_these_items_do_not_hold_is_none(data, tmp_path):
    (model,), near = open_models(["tfidf"]), local_tasks(data)[2]
    evaluate([model], [near], tmp_path / "results")
    items, _ = kept(model, near, tmp_path / "results")
    assert samples(items, "manhattan_spearman") is None and samples(items, "v_measure") is None
    assert samples(items, "main_score") is None


class TwoSplits(LocalTask, AbsTaskSTS):
    """STS with two splits of different size."""

    kind, score = "STS", "cosine_spearman"

    def read(self):
        pairs = pl.read_parquet(self.path / "test.parquet")
        return DatasetDict(
            test=Dataset.from_dict(pairs.to_dict(as_series=False)),
            validation=Dataset.from_dict(pairs.head(13).to_dict(as_series=False)),
        )


def test_several_splits_are_kept_apart_and_averaged(data, tmp_path):
    (model,), task = open_models(["tfidf"]), TwoSplits(data / "sts/near")
    task.filter_eval_splits(["validation", "test"])
    table = evaluate([model], [task], tmp_path / "results")
    items, scores = kept(model, task, tmp_path / "results")
    check(items, scores, ["cosine_spearman"])
    mean = np.mean([scores[split][0]["cosine_spearman"] for split in ("validation", "test")])
    assert table["split"].to_list() == ["validation+test"] and table["score"][0] == pytest.approx(100 * mean)


class Summaries(LocalTask, AbsTaskSummarization):
    """Two human and three machine summaries of each text."""

    kind, score = "Summarization", "cosine_spearman"
    min_score, max_score = 0, 5

    def read(self):
        told = pl.read_parquet(self.path / "test.parquet")["positive"].to_list()
        pairs = list(zip(told, told[1:] + told[:1], strict=True))
        rows = {
            "text": ["".join(each) for each in told],
            "human_summaries": [each[:2] for each in told],
            "machine_summaries": [[each[0], each[3], other[1]] for each, other in pairs],
            "relevance": [[3.0, 1.5 + i % 3, 1.0] for i in range(len(told))],
        }
        return DatasetDict(test=Dataset.from_dict(rows))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("evaluator", [SummarizationEvaluator, DeprecatedSummarizationEvaluator])
def test_summaries_have_a_score_for_each_text(evaluator, data, encoder):
    task, plain = Summaries(data / "reranking/order"), SentenceTransformer(str(encoder))
    task.evaluator = evaluator
    with recorded(task) as record:
        found = mteb.evaluate(
            plain, task, cache=None, prediction_folder=record.folder, show_progress_bar=False
        )
        items = record.items(found.task_results[0])
    assert len(items) == 12 and items["cosine_spearman"].n_unique() > 1
    check(items, found.task_results[0].scores, ["cosine_spearman"])


class Levels(LocalTask, AbsTaskClustering):
    """mteb's newer clustering: one list of texts, drawn several times."""

    kind, score = "Clustering", "v_measure"
    max_fraction_of_documents_to_embed = None
    n_clusters, max_documents_per_cluster = 4, 20

    def read(self):
        rows = pl.read_parquet(self.path / "test.parquet").rename({"text": "sentences", "label": "labels"})
        return DatasetDict(test=Dataset.from_dict(rows.to_dict(as_series=False)))


def test_newer_clusterings_have_an_item_for_each_draw(data, encoder, tmp_path):
    (model,), task = open_models([str(encoder)]), Levels(data / "classification/kind")
    evaluate([model], [task], tmp_path / "results")
    items, scores = kept(model, task, tmp_path / "results")
    assert items["item"].to_list() == ["Level 0 0", "Level 0 1", "Level 0 2", "Level 0 3"]
    check(items, scores, ["v_measure"])
