"""Promises of the found passages: the best ten in mteb's order, and the worst queries are the worst."""

import polars as pl
import pytest

from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.retrieved import ranked, worst_queries
from cpack_lib.evaluation.scores.running import evaluate, found_passages
from cpack_lib.evaluation.tasks.local import local_tasks


def test_ranks_follow_the_scores_and_equal_ones_the_ids():
    results = {"q": {"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.1}, "other": {"a": 1.0}}
    found = ranked(results, {"q": {"c": 2, "x": 1}}, depth=3)
    assert found.rows() == [("q", 1, "b", 0.9, 0), ("q", 2, "c", 0.5, 2), ("q", 3, "a", 0.5, 0)]


@pytest.mark.parametrize("name", ["tfidf", "bm25"])
def test_the_gains_of_what_was_found_are_the_score_of_the_task(name, data, tmp_path):
    find, (model,) = local_tasks(data)[0], open_models([name])
    scores = evaluate([model], [find], tmp_path / "results")
    found = found_passages(model, find, tmp_path / "results")
    gain = (pl.col("relevance") / (pl.col("rank") + 1).log(2)).sum()  # one answer each, so its best gain is 1
    gains = found.group_by("qid").agg(gain.alias("gain"))["gain"]
    assert len(gains) == 12 and 100 * gains.mean() == pytest.approx(scores["score"][0], abs=1e-2)


def test_worst_queries_come_with_what_was_found_instead(data, tmp_path):
    find, (model,) = local_tasks(data)[0], open_models(["tfidf"])
    evaluate([model], [find], tmp_path / "results")
    worst = worst_queries(found_passages(model, find, tmp_path / "results"), find, count=4)
    ranks = worst["rank_of_answer"].to_list()
    assert worst.columns == ["query", "answer", "found_instead", "rank_of_answer"]
    assert 1 not in ranks and ranks == sorted(ranks, key=lambda rank: -(rank or 99))
    assert (worst["answer"] != worst["found_instead"]).all()
