"""Promises of the published rows: every mean that can be is computed again, and only known faults found."""

import polars as pl
import pytest

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from cpack_lib.evaluation.scores.reported import (
    CHINESE,
    DATASETS,
    ENGLISH,
    per_type,
    published_beside,
    read,
    recomputed,
    reported_datasets,
    reported_scores,
)
from tests.evaluation.scored import scored


def test_the_only_means_that_do_not_agree_are_those_told_in_the_data():
    found = recomputed()
    off = found.filter(~pl.col("agrees")).select("source", "model", "what", "reason")
    known = read("reported_disagreements").select("source", "model", "what", "reason")
    assert off.sort(pl.all()).equals(known.sort(pl.all())) and len(known) == 15
    assert found["reason"].is_null().eq(found["agrees"]).all()


def test_what_is_recomputed_is_all_that_can_be():
    found = recomputed()
    per = found.group_by("from", "what").len().filter(pl.col("what") == "average")
    assert dict(per.select("from", "len").rows()) == {"types": 46, "datasets": 3}
    types = found.filter((pl.col("from") == "datasets") & (pl.col("what") != "average"))
    assert len(types) == 26 and set(types["what"]) == set(DATASETS)
    ada = found.row(by_predicate=pl.col("model") == "OpenAI ada-002", named=True)
    assert ada["printed"] == 53.02 and ada["recomputed"] == pytest.approx(53.73, abs=0.005)


def test_averages_over_31_are_those_of_31_datasets():
    over_31 = recomputed().filter((pl.col("from") == "datasets") & (pl.col("what") == "average"))
    assert over_31["model"].to_list() == ["bge-large-zh", "bge-base-zh", "bge-small-zh"]
    assert over_31["agrees"].all()


def test_every_average_over_35_datasets_is_recomputed_to_a_hundredth():
    over_35 = reported_scores().filter(pl.col("average_over") == 35)
    assert len(over_35) == 20 and sum(DATASETS.values()) == 35
    assert (over_35["average"] - over_35["over_35"]).abs().max() < 0.011


def test_in_the_papers_table_only_ada_002_does_not_fit_its_columns():
    table = reported_scores().filter(pl.col("source").str.contains("table 2"))
    off = table.filter((pl.col("average") - pl.col("over_35")).abs() > 0.011)
    assert len(table) == 11 and off["model"].to_list() == ["OpenAI ada-002"]
    assert off["average_over"].to_list() == [31]  # printed 53.02, but 53.73 by its own columns


def test_every_row_names_its_source_protocol_and_what_its_average_runs_over():
    rows = read("reported")
    assert rows.select(pl.col("source", "suite", "model", "protocol").is_null().any()).row(0) == (False,) * 4
    assert rows["average"].is_null().eq(rows["average_over"].is_null()).all()
    assert rows.select("source", "model").is_duplicated().sum() == 0


def test_english_rows_have_their_own_types():
    assert sum(per_type(ENGLISH).values()) == 56 and per_type(ENGLISH)["Summarization"] == 1
    rows = reported_scores(ENGLISH)
    assert len(rows) == 12 and (rows["average"] - rows["over_56"]).abs().max() < 0.011
    assert "Summarization" not in reported_scores(CHINESE).columns


def test_single_datasets_are_named_as_mteb_names_them():
    names = {one.task for one in evaluation_sets(CHINESE)}
    rows = reported_datasets()
    assert set(rows["task"]) == names and rows.select("model", "task").is_duplicated().sum() == 0
    assert len(rows.filter(pl.col("model") == "bge-large-zh")) == 35


def test_all_that_is_published_for_the_35_compares_with_the_35():
    found = published_beside(scored(CHINESE))
    chinese = found.filter(pl.col("suite") == CHINESE)
    assert chinese["compares"].all() and set(chinese["model"]) >= set(reported_scores()["model"])
    english = found.filter(pl.col("what").eq("average") & pl.col("suite").eq(ENGLISH))
    assert not english["compares"].any() and english["why_not"][0].startswith(
        "56 of its 56 datasets were not scored here: "
    )


def test_the_reason_is_told_where_a_published_number_does_not_compare():
    def change(one):
        if one.task == "T2Retrieval":
            return {"task": "T2Retrieval.sample60"}
        if one.task == "Ocnli":
            return {"protocol": "today", "metric": "max_accuracy"}
        return {"revision": "0123456789abcdef"} if one.task == "STSB" else {}

    scores = scored(CHINESE, change)
    rows = published_beside(scores, "today").filter(pl.col("model") == "bge-large-zh")
    why = dict(rows.select("what", "why_not").rows())
    assert why["Retrieval"] == "T2Retrieval: only a sample of it was scored"
    assert why["PairClassification"] == "Ocnli: it was scored by max_accuracy on validation, not as published"
    assert why["STS"] == "STSB: its data are 0123456789ab and not e036defee8f1"
    assert (
        why["Classification"] is None and why["Cmnli"] is None and why["average"] == why["PairClassification"]
    )


def test_scores_of_some_datasets_compare_with_those_datasets():
    some = scored(CHINESE).filter(pl.col("task").is_in(["LCQMC", "Ocnli", "Cmnli"]))
    rows = published_beside(some).filter(pl.col("model") == "bge-base-zh")
    assert set(rows.filter(pl.col("compares"))["what"]) == {"LCQMC", "Ocnli", "Cmnli", "PairClassification"}
    why = dict(rows.select("what", "why_not").rows())
    assert why["STS"] == "7 of its 8 datasets were not scored here: AFQMC and 6 more"
    assert why["BQ"] == "BQ was not scored here"


def test_english_parts_make_the_whole():
    found = published_beside(scored(ENGLISH)).filter(pl.col("model") == "GTE-large")
    assert found["compares"].all() and len(found) == 8
    lacking = scored(ENGLISH).filter(pl.col("task") != "CQADupstackTexRetrieval")
    found = published_beside(lacking).filter(pl.col("model") == "GTE-large")
    assert set(found.filter(~pl.col("compares"))["what"]) == {"Retrieval", "average"}
