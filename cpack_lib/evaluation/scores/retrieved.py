"""What a model found for each query: to read its mistakes, and to compare two models query by query."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from mteb.abstasks.retrieval import AbsTaskRetrieval

from cpack_lib.evaluation.tasks.texts import evaluated_splits, passage_texts


def ranked(found: Mapping[str, Mapping[str, float]], task: AbsTaskRetrieval, depth: int = 10) -> pl.DataFrame:
    """{qid: {pid: score}} -> the best `depth` per query as (qid, rank, pid, score, relevance)."""
    rows = []
    for split in evaluated_splits(task):
        for qid, relevant in split["relevant_docs"].items():
            best = sorted(found[qid].items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:depth]
            for rank, (pid, score) in enumerate(best, 1):
                rows.append((qid, rank, pid, score, relevant.get(pid, 0)))
    return pl.DataFrame(rows, schema=["qid", "rank", "pid", "score", "relevance"], orient="row")


def gains_by_query(found: pl.DataFrame, task: AbsTaskRetrieval, depth: int = 10) -> pl.DataFrame:
    """nDCG at `depth` of every judged query -> (qid, ndcg); its mean is the task's score."""
    hits = (
        found.filter(pl.col("rank") <= depth)
        .group_by("qid", maintain_order=True)
        .agg((pl.col("relevance") / (pl.col("rank") + 1).log(2)).sum().alias("gain"))
    )
    gains = dict(hits.iter_rows())
    rows = [
        (qid, gains.get(qid, 0.0) / best)
        for split in evaluated_splits(task)
        for qid, relevant in split["relevant_docs"].items()
        if (best := ideal_gain(relevant, depth)) > 0
    ]
    return pl.DataFrame(rows, schema={"qid": pl.String, "ndcg": pl.Float64}, orient="row")


def ideal_gain(relevant: Mapping[str, int], depth: int) -> float:
    """The discounted gain of the judged passages in their best order."""
    best = sorted(relevant.values(), reverse=True)[:depth]
    return float(sum(relevance / np.log2(rank + 1) for rank, relevance in enumerate(best, 1)))


def worst_queries(found: pl.DataFrame, task: AbsTaskRetrieval, count: int = 10) -> pl.DataFrame:
    """Queries whose answer lies deepest -> (query, answer, found_instead, rank_of_answer).

    A rank of null means that the answer is not among the found at all.
    """
    first = dict(found.filter(pl.col("rank") == 1).select("qid", "pid").iter_rows())
    answered = found.filter(pl.col("relevance") > 0)
    places = dict(answered.group_by("qid").agg(pl.col("rank").min()).iter_rows())
    rows = []
    for split in evaluated_splits(task):
        queries = dict(zip(split["queries"]["id"], split["queries"]["text"], strict=True))
        passages = dict(zip(split["corpus"]["id"], passage_texts(split["corpus"]), strict=True))
        for qid, relevant in split["relevant_docs"].items():
            answer = max(relevant, key=relevant.get)
            rows.append((queries[qid], passages[answer], passages[first[qid]], places.get(qid)))
    names = {"query": pl.String, "answer": pl.String, "found_instead": pl.String, "rank_of_answer": pl.Int64}
    wrong = pl.DataFrame(rows, schema=names, orient="row").filter(pl.col("rank_of_answer").ne_missing(1))
    return wrong.sort("rank_of_answer", descending=True, nulls_last=False, maintain_order=True).head(count)
