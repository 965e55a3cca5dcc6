"""What stands behind a score, item by item: kept while mteb's own evaluator runs, read back as samples.

One table per task, with `subset`, `split`, `item` and then, by type:
    searches         one row per query; ndcg_at_10, recall_at_10, map_at_1000 as mteb has them per query
    STS, pairs       one row per pair; label, and its `cosine` and other scores (higher is closer)
    classification   one row per text; accuracy: right or wrong in each of mteb's draws of training texts
    clustering       one row per bag; v_measure
    summarization    one row per text; cosine_spearman over its summaries
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from mteb.abstasks import AbsTaskClassification, AbsTaskPairClassification, AbsTaskRetrieval, AbsTaskSTS
from mteb.abstasks.abstask import AbsTask
from mteb.results import TaskResult

from cpack_lib.evaluation.scores import weighed
from cpack_lib.evaluation.scores.intervals import Mean, Ranked, Sample
from cpack_lib.evaluation.scores.retrieved import ranked

CELL = ("subset", "split")  # a task's score is the mean over these
OF_QUERY = {  # ours and mteb's name of a query's score, trec_eval's name of it
    "ndcg_at_10": "ndcg_cut_10",
    "recall_at_10": "recall_10",
    "map_at_1000": "map_cut_1000",
}
OF_PAIR = {  # mteb's name of a pair's scores, its sign if higher is to be closer
    "cosine": ("cosine_scores", 1),
    "similarity": ("similarity_scores", 1),
    "manhattan": ("manhattan_distances", -1),
    "euclidean": ("euclidean_distances", -1),
    "dot": ("dot_scores", 1),
}
MEASURES = {
    "spearman": weighed.spearman,
    "ap": weighed.average_precision,
    "accuracy": weighed.best_accuracy,
}


class Record:
    """What one run of a task leaves behind. `folder` is for mteb's predictions, None for searches."""

    def __init__(self, task: AbsTask, folder: Path | None):
        self.task, self.folder = task, folder
        self.searches: dict[tuple[str, str], tuple[dict, dict, dict]] = {}

    def keep_search(
        self, scores: dict, qrels: dict, results: dict, hf_split: str, hf_subset: str
    ) -> dict[str, float]:
        """mteb's hook for further scores of a search, which is given every query's."""
        self.searches[hf_subset, hf_split] = scores, qrels, results
        return type(self.task).task_specific_scores(
            self.task, scores, qrels, results, hf_split=hf_split, hf_subset=hf_subset
        )

    def found(self, depth: int = 10) -> pl.DataFrame | None:
        """The best passages of every query -> (subset, split, qid, rank, pid, score, relevance), or None."""
        if not isinstance(self.task, AbsTaskRetrieval):
            return None
        return pl.concat(
            ranked(results, qrels, depth).select(*in_cell(subset, split), pl.all())
            for (subset, split), (_, qrels, results) in self.searches.items()
        )

    def items(self, result: TaskResult) -> pl.DataFrame | None:
        """The table of items, or None for a type of task that has none."""
        parts = []
        for split, subsets in result.scores.items():
            for scores in subsets:
                columns = self.columns(scores["hf_subset"], split, scores)
                if columns is None:
                    return None
                parts.append(pl.DataFrame(columns).select(*in_cell(scores["hf_subset"], split), pl.all()))
        return pl.concat(parts)

    def columns(self, subset: str, split: str, scores: Mapping[str, Any]) -> dict[str, Any] | None:
        """`item` and what is known of each, for one subset and split."""
        if isinstance(self.task, AbsTaskRetrieval):
            return of_queries(self.searches[subset, split][0])
        if "v_measures" in scores:
            return of_bags(scores["v_measures"])
        path = self.folder / self.task.prediction_file_name
        if not path.is_file():
            return None
        predicted = json.loads(path.read_text("utf-8"))[subset][split]
        if self.task.metadata.type == "Summarization":
            return of_summaries(predicted, self.task.evaluator)
        if not isinstance(self.task, AbsTaskClassification | AbsTaskPairClassification | AbsTaskSTS):
            return None
        labels = labels_of(self.task, subset, split)
        if isinstance(self.task, AbsTaskClassification):
            return of_texts(predicted, labels)
        return of_pairs(predicted, labels, ["cosine"] if isinstance(self.task, AbsTaskSTS) else list(OF_PAIR))


@contextmanager
def recorded(task: AbsTask) -> Iterator[Record]:
    """Watch a task while mteb evaluates it: `record.folder` is to be given to mteb as its prediction folder.

    A search's predictions are not written (a thousand passages per query), but kept as mteb passes them on.
    """
    if isinstance(task, AbsTaskRetrieval):
        record = Record(task, None)
        task.task_specific_scores = record.keep_search
        try:
            yield record
        finally:
            del task.task_specific_scores
    else:
        with TemporaryDirectory() as folder:
            yield Record(task, Path(folder))


def in_cell(subset: str, split: str) -> list[pl.Expr]:
    """The columns that say which part of a task a row belongs to."""
    return [pl.lit(subset).alias("subset"), pl.lit(split).alias("split")]


def labels_of(task: AbsTask, subset: str, split: str) -> list:
    """The labels of the evaluated rows, in their order."""
    rows = task.dataset.get(subset, task.dataset)[split]
    if isinstance(task, AbsTaskSTS):
        return list(rows["score"])
    if isinstance(task, AbsTaskPairClassification) and len(rows) == 1:  # one row of lists, as on the hub
        return list(rows[0][task.label_column_name])
    return list(rows[task.label_column_name])


def of_queries(scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """{qid: {trec_eval's name: score}} in the order of the ids."""
    qids = sorted(scores)
    known = {ours: theirs for ours, theirs in OF_QUERY.items() if theirs in scores[qids[0]]}
    return {"item": qids} | {ours: [scores[qid][theirs] for qid in qids] for ours, theirs in known.items()}


def of_pairs(
    predicted: Mapping[str, list[float]], labels: Sequence[float], names: Sequence[str]
) -> dict[str, Any]:
    """The named scores of the pairs, and the labels."""
    scores = {name: OF_PAIR[name][1] * np.array(predicted[OF_PAIR[name][0]]) for name in names}
    return {"item": range(len(labels)), "label": np.array(labels, dtype=np.float64)} | scores


def of_texts(predicted: list[list], labels: list) -> dict[str, Any]:
    """The predicted labels (D lists of N) and the true ones -> right or wrong, (N, D)."""
    right = np.array([[a == b for a, b in zip(one, labels, strict=True)] for one in predicted]).T
    kind = pl.Array(pl.Boolean, len(predicted))
    return {"item": range(len(labels)), "accuracy": pl.Series(right, dtype=kind)}


def of_bags(measured: list[float] | Mapping[str, list[float]]) -> dict[str, Any]:
    """mteb's V-measures of the bags, by level where there are levels."""
    levels = measured if isinstance(measured, Mapping) else {"bag": measured}
    names = [f"{level} {number}" for level, values in levels.items() for number in range(len(values))]
    return {"item": names, "v_measure": [value for values in levels.values() for value in values]}


def of_summaries(predicted: Mapping[str, list], evaluator: type) -> dict[str, Any]:
    """The score of each text by mteb's own arithmetic, of which SummEval keeps an older kind."""
    texts = [
        {name: [values[row]] for name, values in predicted.items()}
        for row in range(len(predicted["human_scores"]))
    ]
    scores = [evaluator._calculate_metrics(None, text)["cosine_spearman"] for text in texts]
    return {"item": range(len(scores)), "cosine_spearman": scores}


def samples(items: pl.DataFrame, metric: str) -> dict[tuple[str, str], Sample] | None:
    """What a metric is computed from, per (subset, split); None if these items do not hold it."""
    if metric in items.columns:
        return {
            cell: Mean(np.asarray(rows[metric].to_numpy(), dtype=np.float64).reshape(len(rows), -1))
            for cell, rows in items.group_by(CELL, maintain_order=True)
        }
    of, _, measure = metric.rpartition("_")
    orders = [name for name in OF_PAIR if name in items.columns and of in (name, "max")]
    if not orders or measure not in MEASURES:
        return None
    return {
        cell: Ranked(
            [weighed.places_of(rows[name].to_numpy()) for name in orders],
            rows["label"].to_numpy(),
            MEASURES[measure],
        )
        for cell, rows in items.group_by(CELL, maintain_order=True)
    }
