"""Promises of the table of public sets: it is what mteb pins, counts and shows on its board."""

import mteb
import pytest

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets, new_task, sets_folder
from cpack_lib.work.files import ROOT

BOARD = {task.metadata.name: task for task in mteb.get_benchmark("MTEB(cmn, v1)").tasks}
ENGLISH = {task.metadata.name: task for task in mteb.get_benchmark("MTEB(eng, v1)").tasks}


@pytest.mark.parametrize("suite", ["cmteb-35", "mteb-en-56"])
def test_the_table_is_what_mteb_pins(suite):
    for one in evaluation_sets(suite):
        official = mteb.get_task(one.task)
        assert (one.kind, one.repo, one.revision) == (
            official.metadata.type,
            official.metadata.dataset["path"],
            official.metadata.revision,
        ), one.task
        assert (one.subset is not None) == official.metadata.is_multilingual, one.task
        assert one.subset is None or one.subset in official.hf_subsets, one.task


@pytest.mark.parametrize("suite", ["cmteb-35", "cmteb-31", "mteb-en-56"])
def test_its_sizes_are_those_mteb_counted(suite):
    for one in evaluation_sets(suite if suite != "cmteb-31" else "cmteb-35"):
        statistics = mteb.get_task(one.task).metadata.descriptive_stats
        told = [statistics[split] for split in one.splits]
        if one.subset:
            told = [split["hf_subset_descriptive_stats"][one.subset] for split in told]
        sides = 2 if one.kind in ("STS", "PairClassification") else 1
        assert one.texts == sides * sum(split["num_samples"] for split in told), one.task
        assert one.characters == sum(characters(split) for split in told), one.task


def characters(statistics: dict) -> int:
    """Of all texts of a split."""
    if "number_of_characters" in statistics:
        return statistics["number_of_characters"]
    return statistics["text_statistics"]["total_text_length"]


def test_the_boards_suite_is_the_boards():
    assert {one.task: list(one.splits) for one in evaluation_sets("cmteb-31")} == {
        name: list(task.eval_splits) for name, task in BOARD.items()
    }


def test_english_mteb_has_its_56_sets_and_one_of_them_twelve_forums():
    sets = evaluation_sets("mteb-en-56")
    assert {one.part_of or one.task for one in sets} == set(ENGLISH) and len(ENGLISH) == 56
    forums = [task.metadata.name for task in ENGLISH["CQADupstackRetrieval"].metadata.tasks]
    assert sorted(one.task for one in sets if one.part_of) == sorted(forums)


def test_an_unknown_suite_tells_which_there_are():
    with pytest.raises(ValueError, match="'hub' names no suite: write one of cmteb-35 .*cmteb-35:Retrieval"):
        evaluation_sets("hub")


def test_mtebs_own_metadata_are_not_touched():
    before = mteb.get_task("STS22").metadata.model_dump_json()
    task = new_task(evaluation_sets("cmteb-35:STS22")[0])
    task.metadata.dataset["path"] = "elsewhere"
    assert mteb.get_task("STS22").metadata.model_dump_json() == before
    assert (task.eval_splits, task.hf_subsets) == (("test",), ["zh"])


def test_copies_lie_beside_the_runs_or_where_a_variable_says(monkeypatch, tmp_path):
    monkeypatch.delenv("CPACK_EVALUATION", raising=False)
    monkeypatch.delenv("CPACK_RUNS", raising=False)
    assert sets_folder() == ROOT / "evaluation"
    monkeypatch.setenv("CPACK_RUNS", str(tmp_path / "runs"))
    assert sets_folder() == tmp_path / "evaluation"
    monkeypatch.setenv("CPACK_EVALUATION", "data/cmteb")
    assert sets_folder() == ROOT / "data/cmteb"
    (one,) = evaluation_sets("cmteb-35:STSB")
    assert one.folder == ROOT / "data/cmteb/mteb__STSB-e036defee8f1" and not one.is_fetched
