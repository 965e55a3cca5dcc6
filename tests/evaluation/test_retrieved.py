"""Promises of the found passages: their gains are mteb's score, and the worst queries are the worst."""

import polars as pl
import pytest

from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.retrieved import gains_by_query, worst_queries
from cpack_lib.evaluation.scores.running import evaluate, found_passages
from cpack_lib.evaluation.tasks.local import local_tasks


@pytest.mark.parametrize("name", ["tfidf", "bm25"])
def test_the_mean_gain_of_the_queries_is_the_score_of_the_task(name, data, tmp_path):
    path = data / "retrieval/find/qrels.parquet"
    more = pl.read_parquet(path).with_columns(
        pid=pl.col("pid").str.head(-1) + "0", score=2
    )  # graded, more per query
    pl.concat([pl.read_parquet(path), more.cast({"score": pl.Int64})]).unique(["qid", "pid"]).write_parquet(
        path
    )
    find, (model,) = local_tasks(data)[0], open_models([name])
    scores = evaluate([model], [find], tmp_path / "results")
    gains = gains_by_query(found_passages(model, find, tmp_path / "results"), find)
    assert len(gains) == 12 and 100 * gains["ndcg"].mean() == pytest.approx(scores["score"][0], abs=1e-2)


def test_worst_queries_come_with_what_was_found_instead(data, tmp_path):
    find, (model,) = local_tasks(data)[0], open_models(["tfidf"])
    evaluate([model], [find], tmp_path / "results")
    worst = worst_queries(found_passages(model, find, tmp_path / "results"), find, count=4)
    ranks = worst["rank_of_answer"].to_list()
    assert worst.columns == ["query", "answer", "found_instead", "rank_of_answer"]
    assert 1 not in ranks and ranks == sorted(ranks, key=lambda rank: -(rank or 99))
    assert (worst["answer"] != worst["found_instead"]).all()
