"""Parameters of the labelled stage: what cannot be meant fails before anything is read."""

import pytest

from cpack_lib.corpus.labelled.instructions import INSTRUCTION
from cpack_lib.training.finetuning import before_texts, check_parameters, check_tasks, loop_settings
from cpack_lib.training.settings import Settings
from cpack_lib.work.files import ROOT
from cpack_lib.work.parameters import declared

NOTEBOOK = {
    name: line.default for name, line in declared(ROOT / "notebooks/04_instruct_finetune.ipynb").items()
}


def test_what_the_notebook_declares_is_sound():
    check_parameters(NOTEBOOK)
    check_tasks(NOTEBOOK, ["retrieval", "sts"])


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"strategy": "hardest"}, "strategy is 'hardest'; choose one of rank window, positive aware"),
        ({"first_rank": 20, "last_rank": 10}, "ranks 20 to 10 cannot be chosen"),
        ({"negatives": -1}, "-1 negatives of ranks"),
        ({"refresh_every": -5}, "cannot be cut every -5 steps"),
        ({"instructed": "always"}, "instructed is 'always'; choose one of no task, searches, every task"),
        ({"instructed": "no task", "merged": True}, "merged averages with an encoder trained without"),
        ({"mining_guide": "demo/02"}, "strategy is 'rank window', which asks nobody; leave the guide out"),
        ({"labelled_rows": -1}, "labelled_rows is -1; it has to be 0 or more"),
        ({"probes": 1}, "probes is 1; it has to be 2 or more"),
        ({"mixing": "one text"}, "mixing is 'one text'; choose one of mixed, one source, one task"),
        ({"sampling_power": 2.0}, "sampling_power is 2.0; it has to be from 0 to 1"),
        ({"group_size": -1}, "group_size is -1"),
        ({"teacher": "demo/03_contrast_pairs"}, "distillation is 0; give it a share"),
        ({"distillation": 0.5, "distilled": "batch"}, "name a teacher"),
        ({"widths": [64, 64]}, "write each width once"),
        ({"watch_rows": 1}, "watch_rows is 1; it has to be from 2"),
        ({"steps": 0}, "0 steps cannot be cut"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(changes, said):
    with pytest.raises(ValueError, match=said):
        check_parameters(NOTEBOOK | changes)


def test_tasks_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="'nli', which no labelled row has; choose from sts"):
        check_tasks(NOTEBOOK | {"in_batch_off": ["nli"]}, ["sts"])
    with pytest.raises(ValueError, match="no instruction is known for the task 'poems'"):
        check_tasks(NOTEBOOK | {"instructed": "every task"}, ["poems"])
    check_tasks(NOTEBOOK, ["poems"])


def test_the_loop_is_told_what_it_knows_by_the_same_name():
    told = loop_settings(NOTEBOOK)
    assert {"run_name", "labelled", "strategy", "merged"}.isdisjoint(told)
    settings = Settings(start="", data="", **{"watch": ""} | told)
    assert settings.steps == NOTEBOOK["steps"] and settings.sampling_power == NOTEBOOK["sampling_power"]
    assert (settings.instructed, settings.instruction) == ("searches", INSTRUCTION["zh"])


@pytest.mark.parametrize("instructed, query, like", [("no task", "", ""), ("searches", "检索：", "")])
def test_what_stands_before_texts(instructed, query, like):
    told = before_texts(NOTEBOOK | {"instructed": instructed, "instruction": "检索："}, ["retrieval", "sts"])
    assert told["retrieval"] == (query, "") and told["sts"] == (like, like)
    assert (
        loop_settings(NOTEBOOK | {"instructed": instructed, "instruction": "检索："})["instruction"] == query
    )
