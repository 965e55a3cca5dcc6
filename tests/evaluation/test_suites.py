"""Promises of open_tasks(): the data mteb pins, the paper's splits and protocol, samples that say so."""

import mteb
import pytest

from cpack_lib.corpus.read.evaluation_sets import SUITES, evaluation_sets, new_task
from cpack_lib.evaluation.tasks.suites import MINI_ROWS, chosen_tasks, open_tasks

BOARD = {task.metadata.name: task for task in mteb.get_benchmark("MTEB(cmn, v1)").tasks}
ENGLISH = {task.metadata.name: task for task in mteb.get_benchmark("MTEB(eng, v1)").tasks}


def names(suite: str) -> list[str]:
    return [one.task for one in evaluation_sets(suite)]


def test_the_papers_suite_has_four_sets_more_and_one_split_each():
    assert set(names("cmteb-35")) - set(BOARD) == {
        "AmazonReviewsClassification",
        "MassiveIntentClassification",
        "MassiveScenarioClassification",
        "STS22",
    }
    splits = {task.metadata.name: task.eval_splits for task in open_tasks("cmteb-35")}
    assert all(len(split) == 1 for split in splits.values())
    validation = {"AFQMC", "Ocnli", "Cmnli", "TNews", "IFlyTek", "MultilingualSentiment"}
    assert {name for name, split in splits.items() if split == ["validation"]} == validation


def test_english_mteb_runs_on_the_splits_and_subsets_of_its_board():
    tasks = {task.metadata.name: task for task in open_tasks("mteb-en-56")}
    for name in set(tasks) & set(ENGLISH):
        official = ENGLISH[name]
        assert (tasks[name].eval_splits, tasks[name].hf_subsets) == (
            list(official.eval_splits),
            official.hf_subsets,
        )


def test_classification_runs_by_the_papers_protocol():
    found = {}
    for task in open_tasks("cmteb-35:Classification"):
        regression = task.evaluator_model
        assert (type(regression).__name__, regression.max_iter) == ("LogisticRegression", 100)
        found[task.metadata.name] = (task.samples_per_label, task.n_experiments)
    of_mteb = ("AmazonReviewsClassification", "MassiveIntentClassification", "MassiveScenarioClassification")
    for name in of_mteb:
        assert found.pop(name) == (8, 10)
    assert found.pop("IFlyTek") == (32, 5)
    assert len(found) == 5 and set(found.values()) == {(32, 10)}


def test_searches_drop_what_the_paper_drops():
    same = {t.metadata.name for t in open_tasks("cmteb-35:Retrieval") if t.ignore_identical_ids}
    assert same == {f"{name}Retrieval" for name in ("T2", "MMarco", "Ecom", "Medical", "Video")}


@pytest.mark.parametrize(
    "name, chosen",
    [
        ("cmteb-35:Reranking,STS22", [*names("cmteb-35")[8:12], "STS22"]),
        ("cmteb-31: T2Retrieval , STSB", ["T2Retrieval", "STSB"]),
        ("cmteb-35:STSB,STS", ["STSB", *(n for n in names("cmteb-35:STS") if n != "STSB")]),
        ("mteb-en-56:CQADupstackRetrieval", [n for n in names("mteb-en-56") if n.startswith("CQA")]),
    ],
)
def test_a_choice_of_types_and_tasks(name, chosen):
    assert [task.metadata.name for task in open_tasks(name)] == chosen


@pytest.mark.parametrize(
    "name, sentence",
    [
        (
            "cmteb",
            "'cmteb' names nothing to evaluate on: write cmteb-35 .*; folder:PATH for sets of your own",
        ),
        ("cmteb-35:T3", "'T3' is no task of cmteb-35: name one of Retrieval, Reranking, .*, T2Retrieval, "),
        ("cmteb-31:STS22", "'STS22' is no task of cmteb-31: name one of"),
        ("world:evaluation", "has to be written before it is read: say made=FOLDER"),
    ],
)
def test_an_unknown_name_tells_what_exists(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        open_tasks(name)


def test_a_sample_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="a sample of 0 rows cannot be scored: say how many"):
        open_tasks("cmteb-35", rows=0)


def test_folders_and_the_world_come_through_the_same_door(data, tmp_path):
    assert [task.metadata.name for task in open_tasks(f"folder:{data}", rows=3)][0] == "find.sample3"
    world = open_tasks("world:evaluation", made=tmp_path / "world")
    assert len({task.metadata.type for task in world}) == 6


def test_types_and_names_choose_among_opened_tasks_in_their_own_order(data):
    tasks = open_tasks(f"folder:{data}", rows=3)
    assert chosen_tasks(tasks, []) == tasks
    chosen = chosen_tasks(tasks, ["same", "Retrieval"])
    assert [task.metadata.name for task in chosen] == ["find.sample3", "same.sample3"]
    with pytest.raises(ValueError, match="'Sts' chooses no task here: write some of .*STS"):
        chosen_tasks(tasks, ["find", "Sts"])


def test_mtebs_own_tasks_are_not_touched():
    before = {name: mteb.get_task(name).metadata.model_dump_json() for name in names("cmteb-35")}
    tasks = open_tasks("cmteb-mini")
    for task in tasks:
        task.metadata.dataset["path"] = "elsewhere"
    assert before == {name: mteb.get_task(name).metadata.model_dump_json() for name in before}
    assert new_task(evaluation_sets("cmteb-35:STSB")[0]).metadata.dataset["path"] == "mteb/STSB"


def test_what_is_unloaded_keeps_its_own_metadata():
    (task,) = open_tasks("cmteb-mini:STSB")
    task.dataset, task.data_loaded = {}, True
    task.unload_data()
    assert task.metadata.name == f"STSB.sample{MINI_ROWS}" and not task.data_loaded


def test_a_sample_differs_in_name_and_fingerprint():
    whole, sample, other = (open_tasks("cmteb-35:STSB", rows)[0] for rows in (None, 5, 6))
    assert [t.metadata.name for t in (whole, sample, other)] == ["STSB", "STSB.sample5", "STSB.sample6"]
    assert len({task.data_fingerprint for task in (whole, sample, other)}) == 3
    assert whole.data_fingerprint == whole.metadata.revision
    assert {task.rows for task in open_tasks("cmteb-mini")} == {MINI_ROWS}
    assert len(open_tasks("cmteb-mini")) == 35 == len(set(names("cmteb-mini")))
    assert set(SUITES) == {"cmteb-35", "cmteb-31", "cmteb-mini", "mteb-en-56"}
