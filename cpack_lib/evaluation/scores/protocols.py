"""Which number of a result is the score: as in the paper, or as on mteb's board today; both from one result.

`paper` is C-Pack's (docs/paper.md 1.3): nDCG@10, MAP over positives and negatives, Spearman and average
precision of the cosine, accuracy, V-measure, on the splits of 2023. `today` is mteb's main score and the
board's splits: the best accuracy for pairs, and two splits of MultilingualSentiment. A table of scores holds

    model, task, type         what was scored
    subset, split             of the data; several are joined by "+", and averaged
    metric, score             mteb's name of it, times 100
    protocol                  "paper", "today", "paper+today", or "" for what stands beside them
    revision, data            of the data: what mteb's result says, and what stands for the rows themselves
    result                    the kept result, below the folder of results, without its ending
"""

from collections.abc import Sequence

import polars as pl
from mteb.abstasks.abstask import AbsTask
from mteb.results import TaskResult

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from cpack_lib.evaluation.tasks.local import LocalTask

PAPER, TODAY = PROTOCOLS = ("paper", "today")
MAIN = {  # the paper's column per type, under mteb's name for it
    "Retrieval": "ndcg_at_10",
    "Reranking": "map_at_1000",
    "STS": "cosine_spearman",
    "PairClassification": "cosine_ap",
    "Classification": "accuracy",
    "Clustering": "v_measure",
    "Summarization": "cosine_spearman",
}
EXCEPTIONS = {"MindSmallReranking": "max_over_subqueries_map_at_1000"}  # its queries are lists
TODAYS = MAIN | {"PairClassification": "max_accuracy"}  # of local folders, which mteb does not know
BESIDE = {"Retrieval": ("recall_at_10",)}
SUITES = {PAPER: ("cmteb-35", "mteb-en-56"), TODAY: ("cmteb-31", "mteb-en-56")}  # that say which splits
SCHEMA = {
    "model": pl.String,
    "task": pl.String,
    "type": pl.String,
    "subset": pl.String,
    "split": pl.String,
    "metric": pl.String,
    "protocol": pl.String,
    "score": pl.Float64,
    "revision": pl.String,
    "data": pl.String,
    "result": pl.String,
}


def asked(task: AbsTask, protocol: str) -> tuple[str, Sequence[str]]:
    """The metric and the splits by which a protocol scores a task."""
    name, kind = published_name(task.metadata.name), task.metadata.type
    if kind not in MAIN:
        raise ValueError(f"{name} is a task of {kind}: known are {', '.join(MAIN)}")
    local = isinstance(task, LocalTask)
    if protocol == PAPER:
        metric = EXCEPTIONS.get(name, MAIN[kind])
    else:
        metric = TODAYS[kind] if local else task.metadata.main_score
    return metric, task.eval_splits if local else splits_of(
        name, task.hf_subsets, protocol
    ) or task.eval_splits


def splits_of(name: str, subsets: Sequence[str], protocol: str) -> Sequence[str]:
    """The splits of a public set that a protocol scores; none for a set that it does not know."""
    for suite in SUITES[protocol]:
        for one in evaluation_sets(suite):
            if one.task == name and [one.subset or "default"] == list(subsets):
                return one.splits
    return ()


def published_name(task: str) -> str:
    """A task's name without the mark of a sample."""
    return task.partition(".sample")[0]


def score_rows(model: str, task: AbsTask, result: TaskResult, data: str, place: str) -> list[dict]:
    """The rows of one result: each protocol's score, and those kept beside it; times 100.

    A protocol that asks for a split which was not run has no row.
    """
    rows: dict[tuple, dict] = {}
    wanted = [(protocol, *asked(task, protocol)) for protocol in PROTOCOLS]
    wanted += [("", metric, wanted[0][2]) for metric in BESIDE.get(task.metadata.type, ())]
    for protocol, metric, splits in wanted:
        found = [(split, scores) for split in splits for scores in result.scores.get(split, [])]
        if {split for split, _ in found} != set(splits) or not all(metric in scores for _, scores in found):
            continue
        row = rows.setdefault(
            (metric, *splits),
            {
                "model": model,
                "task": task.metadata.name,
                "type": task.metadata.type,
                "subset": "+".join(dict.fromkeys(scores["hf_subset"] for _, scores in found)),
                "split": "+".join(splits),
                "metric": metric,
                "protocol": "",
                "score": 100 * sum(scores[metric] for _, scores in found) / len(found),
                "revision": result.dataset_revision,
                "data": data,
                "result": place,
            },
        )
        row["protocol"] = "+".join(filter(None, (row["protocol"], protocol)))
    return list(rows.values())


def under(scores: pl.DataFrame, protocol: str = PAPER) -> pl.DataFrame:
    """The rows that are a protocol's score of their task, one per model and task."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"{protocol!r} names no protocol: write one of {', '.join(PROTOCOLS)}")
    return scores.filter(pl.col("protocol").str.split("+").list.contains(protocol))
