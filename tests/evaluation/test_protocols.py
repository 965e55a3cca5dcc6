"""Promises of the protocols: the paper's number and today's, of the right splits, from one result."""

import polars as pl
import pytest
from mteb.results import TaskResult

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from cpack_lib.evaluation.scores.protocols import MAIN, SCHEMA, asked, score_rows, under
from cpack_lib.evaluation.tasks.local import local_tasks
from cpack_lib.evaluation.tasks.suites import open_tasks


@pytest.fixture(scope="module")
def public():
    """mteb's tasks of C-MTEB and some of English MTEB, without data."""
    tasks = [
        *open_tasks("cmteb-35"),
        *open_tasks("mteb-en-56:PairClassification,MindSmallReranking,SummEval"),
    ]
    return {task.metadata.name: task for task in tasks}


def rows_of(task, scores):
    """The table of a result whose splits hold these numbers: {split: {metric: score}}."""
    subset = task.hf_subsets[0]
    result = TaskResult.from_task_results(
        task,
        {split: {subset: held | {"main_score": 0.0}} for split, held in scores.items()},
        evaluation_time=1.0,
    )
    return pl.DataFrame(score_rows("m", task, result, "hash", "m/r/t"), schema=SCHEMA, orient="row")


def test_each_of_the_35_has_the_papers_metric_and_one_split(public):
    for one in evaluation_sets("cmteb-35"):
        metric, splits = asked(public[one.task], "paper")
        assert (metric, list(splits)) == (MAIN[one.kind], list(one.splits)) and len(splits) == 1


def test_todays_metric_is_mtebs_and_differs_for_pairs_alone(public):
    today = {one.task: asked(public[one.task], "today") for one in evaluation_sets("cmteb-35")}
    paper = {one.task: asked(public[one.task], "paper") for one in evaluation_sets("cmteb-35")}
    assert {name for name in today if today[name][0] != paper[name][0]} == {"Ocnli", "Cmnli"}
    assert {name for name in today if list(today[name][1]) != list(paper[name][1])} == {
        "MultilingualSentiment"
    }
    assert today["Ocnli"][0] == "max_accuracy"
    assert list(today["MultilingualSentiment"][1]) == ["validation", "test"]


def test_english_pairs_and_the_one_reranking_of_lists(public):
    assert asked(public["TwitterURLCorpus"], "paper")[0] == "cosine_ap"
    assert asked(public["TwitterURLCorpus"], "today")[0] == "max_ap"
    for protocol in ("paper", "today"):
        assert asked(public["MindSmallReranking"], protocol)[0] == "max_over_subqueries_map_at_1000"
        assert asked(public["SummEval"], protocol)[0] == "cosine_spearman"


def test_both_protocols_come_from_one_result(public):
    rows = rows_of(public["Ocnli"], {"validation": {"cosine_ap": 0.7, "max_accuracy": 0.6, "max_ap": 0.9}})
    assert rows.select("metric", "protocol", "score").rows() == [
        ("cosine_ap", "paper", pytest.approx(70)),
        ("max_accuracy", "today", pytest.approx(60)),
    ]
    rows = rows_of(
        public["MultilingualSentiment"], {"validation": {"accuracy": 0.6}, "test": {"accuracy": 0.8}}
    )
    assert rows.select("split", "protocol", "score").rows() == [
        ("validation", "paper", pytest.approx(60)),
        ("validation+test", "today", pytest.approx(70)),
    ]
    assert under(rows, "paper")["score"].to_list() == [pytest.approx(60)]


def test_a_protocol_whose_split_was_not_run_has_no_row(public):
    rows = rows_of(public["MultilingualSentiment"], {"validation": {"accuracy": 0.6}})
    assert rows["protocol"].to_list() == ["paper"]


def test_equal_numbers_stand_in_one_row_and_the_subset_is_named(public):
    rows = rows_of(public["STS22"], {"test": {"cosine_spearman": 0.5}})
    assert rows.select("subset", "split", "metric", "protocol").row(0) == (
        "zh",
        "test",
        "cosine_spearman",
        "paper+today",
    )
    rows = rows_of(public["STSB"], {"test": {"cosine_spearman": 0.5}, "validation": {"cosine_spearman": 0.9}})
    assert rows["split"].to_list() == ["test"] and rows["score"][0] == pytest.approx(50)


def test_a_local_folder_has_both_protocols_on_its_own_split(data):
    by_name = {task.metadata.name: task for task in local_tasks(data)}
    assert asked(by_name["same"], "paper") == ("cosine_ap", ["test"])
    assert asked(by_name["same"], "today") == ("max_accuracy", ["test"])
    assert asked(by_name["order"], "today") == ("map_at_1000", ["test"])


def test_an_unknown_protocol_is_told():
    with pytest.raises(ValueError, match="'2023' names no protocol: write one of paper, today"):
        under(pl.DataFrame(schema=SCHEMA), "2023")
