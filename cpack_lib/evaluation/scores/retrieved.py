"""What a model found for each query: to read its mistakes."""

from collections.abc import Mapping
from heapq import nlargest

import polars as pl
from mteb.abstasks.retrieval import AbsTaskRetrieval

from cpack_lib.evaluation.tasks.texts import evaluated_splits, passage_texts

FOUND = {
    "qid": pl.String,
    "rank": pl.Int64,
    "pid": pl.String,
    "score": pl.Float64,
    "relevance": pl.Int64,
}


def ranked(
    results: Mapping[str, Mapping[str, float]], relevant: Mapping[str, Mapping[str, int]], depth: int = 10
) -> pl.DataFrame:
    """{qid: {pid: score}}, {qid: {pid: relevance}} -> the best `depth` per query.

    As (qid, rank, pid, score, relevance); equal scores by falling id, as trec_eval has them.
    """
    rows = []
    for qid, judged in relevant.items():
        best = nlargest(depth, results[qid].items(), key=lambda pair: (pair[1], pair[0]))
        rows += [(qid, rank, pid, score, judged.get(pid, 0)) for rank, (pid, score) in enumerate(best, 1)]
    return pl.DataFrame(rows, schema=FOUND, orient="row")


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
