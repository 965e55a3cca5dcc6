"""Promises of the averages: named by what they run over, whole or absent; doubted where numbers differ."""

import polars as pl
import pytest

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from cpack_lib.evaluation.scores.averages import Incomparable, averages, doubts, join_parts
from cpack_lib.evaluation.scores.protocols import MAIN, SCHEMA
from cpack_lib.evaluation.scores.reported import reported_datasets, reported_scores


def table(*rows, **shared):
    """Scores from (model, task, type, score), all else alike unless said otherwise."""
    filled = []
    for row in rows:
        model, task, kind, score = row[:4]
        given = {"model": model, "task": task, "type": kind, "score": float(score), "metric": MAIN[kind]}
        alike = {
            "subset": "default",
            "split": "test",
            "protocol": "paper+today",
            "revision": "r",
            "data": "d",
        }
        filled.append(alike | given | shared | (row[4] if len(row) > 4 else {}))
    return pl.DataFrame(filled, schema=SCHEMA)


def of_suite(suite, scores, model="a"):
    rows = [
        (model, one.task, one.kind, scores(one), {"subset": one.subset or "default"})
        for one in evaluation_sets(suite)
    ]
    return table(*rows)


def test_averages_name_both_means_and_every_type():
    kinds = ["Retrieval", "Retrieval", "Retrieval", "STS"]
    rows = [
        ("a", f"task{i}", kind, score)
        for i, (kind, score) in enumerate(zip(kinds, [10, 20, 30, 60], strict=True))
    ]
    rows.append(("a", "task0", "Retrieval", 99, {"metric": "recall_at_10", "protocol": ""}))
    assert averages(table(*rows)).row(0, named=True) == {
        "model": "a",
        "mean_over_datasets": pytest.approx(30),
        "mean_over_task_types": pytest.approx(40),
        "Retrieval": pytest.approx(20),
        "STS": pytest.approx(60),
    }


def test_whole_benchmarks_have_an_average_only_if_all_of_it_is_there():
    scores = of_suite("cmteb-35", lambda one: len(one.task))
    board = {one.task for one in evaluation_sets("cmteb-31")}
    found = averages(scores).row(0, named=True)
    assert found["mean_over_cmteb_35"] == pytest.approx(scores["score"].mean()) == found["mean_over_datasets"]
    on_board = scores.filter(pl.col("task").is_in(list(board)))
    assert found["mean_over_cmteb_31"] == pytest.approx(on_board["score"].mean())
    assert found["mean_over_cmteb_31"] != pytest.approx(found["mean_over_cmteb_35"])
    without = averages(scores.filter(pl.col("task") != "STS22")).columns
    assert "mean_over_cmteb_31" in without and "mean_over_cmteb_35" not in without
    assert not {"mean_over_cmteb_31", "mean_over_cmteb_35"} & set(averages(scores.head(30)).columns)


def test_the_published_datasets_give_the_published_averages():
    single = reported_datasets().filter(pl.col("model") == "bge-large-zh")
    published = dict(single.select("task", "score").rows())
    found = averages(of_suite("cmteb-35", lambda one: published[one.task]))
    printed = reported_scores().filter(pl.col("model").is_in(["bge-large-zh", "BGE-large"]))
    averages_of = dict(printed.select("average_over", "average").rows())
    assert found["mean_over_cmteb_35"][0] == pytest.approx(averages_of[35], abs=0.0101)
    assert found["mean_over_cmteb_31"][0] == pytest.approx(averages_of[31], abs=0.0101)


def test_a_dataset_in_parts_counts_once():
    scores = of_suite("mteb-en-56", lambda one: 100 if one.part_of else 0)
    assert len(scores) == 67
    found = averages(scores).row(0, named=True)
    assert found["mean_over_mteb_en_56"] == pytest.approx(100 / 56) == found["mean_over_datasets"]
    assert found["Retrieval"] == pytest.approx(100 / 15)
    assert found["mean_over_task_types"] == pytest.approx(100 / 15 / 7)
    joined = join_parts(scores)
    assert len(joined) == 56 and "CQADupstackRetrieval" in joined["task"]
    some = scores.filter(pl.col("task") != "CQADupstackGisRetrieval")
    assert "CQADupstackRetrieval" not in join_parts(some)["task"]
    assert "mean_over_mteb_en_56" not in averages(some).columns


def test_chinese_and_english_subsets_of_a_task_are_two_datasets():
    both = pl.concat([of_suite(suite, lambda one: len(one.repo)) for suite in ("cmteb-35", "mteb-en-56")])
    found = averages(both).row(0, named=True)
    alone = averages(of_suite("cmteb-35", lambda one: len(one.repo))).row(0, named=True)
    assert found["mean_over_cmteb_35"] == pytest.approx(alone["mean_over_cmteb_35"])
    assert (
        len(join_parts(both)) == 35 + 56
        and doubts(pl.concat([both, both.with_columns(model=pl.lit("b"))])) == []
    )
    english = of_suite("mteb-en-56", lambda one: 1).filter(pl.col("task") == "STS22")
    lacking = of_suite("cmteb-35", lambda one: 1).filter(pl.col("task") != "STS22")
    assert "mean_over_cmteb_35" not in averages(pl.concat([lacking, english])).columns


def test_averages_refuse_models_with_different_tasks():
    with pytest.raises(ValueError, match=r"b was not scored on the same tasks as a \(x\)"):
        averages(table(("a", "x", "STS", 1), ("b", "y", "STS", 2)))


DIFFERENT = {
    "metric": ("max_accuracy", "different protocols"),
    "split": ("validation", "different splits"),
    "subset": ("en", "different subsets"),
    "data": ("other", "the data were not the same"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_numbers_measured_otherwise_are_doubted(what):
    value, why = DIFFERENT[what]
    scores = table(("a", "x", "PairClassification", 1), ("b", "x", "PairClassification", 2, {what: value}))
    (told,) = doubts(scores)
    assert why in told and "of a stands beside" in told and f"{value} of b" in told
    assert doubts(scores.head(1)) == []
    with pytest.warns(Incomparable, match=why):
        averages(scores)


def test_a_sample_beside_the_whole_and_other_lists_are_doubted():
    (told,) = doubts(table(("a", "x", "STS", 1), ("b", "x.sample60", "STS", 2, {"data": "other"})))
    assert "x: x of a stands beside x.sample60 of b; one is a sample" in told
    (told,) = doubts(table(("a", "x", "STS", 1), ("a", "y", "STS", 1), ("b", "x", "STS", 2)))
    assert told == "b has scores of other datasets than a (1 and 2 of them): their averages do not compare"


def test_equal_measurements_are_not_doubted():
    assert doubts(table(("a", "x", "STS", 1), ("b", "x", "STS", 2), ("c", "x", "STS", 2))) == []
