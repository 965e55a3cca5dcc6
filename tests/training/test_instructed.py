"""A model that is used otherwise than it was taught is found out, with a sentence that says how."""

import polars as pl
import pytest

from cpack_lib.corpus.labelled.instructions import INSTRUCTION, TASKS
from cpack_lib.model.instructions import WAYS, prompts
from cpack_lib.training.instructed import mismatches
from tests.training.conftest import random_texts

ASK = INSTRUCTION["zh"]
PLAIN = {"query": "", "document": ""}


def groups(before=None, share=1.0):
    """30 groups of each of three tasks, queries behind what is said before them."""
    texts, rows = random_texts(270), []
    for i in range(90):
        task = ("retrieval", "sts", "nli")[i % 3]
        begin = (before or {}).get(task, "") if i < 90 * share else ""
        rows.append((begin + texts[3 * i], texts[3 * i + 1 : 3 * i + 3], task))
    return pl.DataFrame(rows, schema=["query", "passages", "task"], orient="row")


@pytest.mark.parametrize("instructed", WAYS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_saved_by_the_settings_it_was_trained_with_fits(instructed, language):
    told = {"instructed": instructed, "language": language}
    assert mismatches(groups(), prompts(["retrieval", "sts", "nli"], **told), **told) == []


def test_written_instructions_fit_a_folder_that_says_them():
    assert mismatches(groups({"retrieval": ASK}), {"query": ASK, "document": ""}, instruction=ASK) == []
    assert mismatches(groups(), PLAIN) == []


def test_a_forgotten_prompt_is_found():
    assert mismatches(groups({"retrieval": ASK}), PLAIN) == [
        f"the queries of retrieval begin with {ASK!r} in 100% of the groups, "
        "but evaluation puts nothing there"
    ]


@pytest.mark.parametrize("share, told", [(0.0, "0%"), (0.5, "50%")])
def test_a_prompt_that_was_not_trained_or_not_always_is_found(share, told):
    found = mismatches(groups({"retrieval": ASK}, share), {"query": ASK, "document": ""}, instruction=ASK)
    assert found == [
        f"the queries of retrieval begin with {ASK!r} in {told} of the groups, but evaluation puts it before "
        "all of them"
    ]


@pytest.mark.parametrize("begin", ["找出意思相同的句子：", TASKS["sts"].instruction["en"]])
def test_an_instruction_that_nobody_told_of_is_found(begin):
    (found,) = mismatches(groups({"sts": begin}), PLAIN)
    assert found.startswith(f"the queries of sts begin with {begin!r} in 100% of the groups, but evaluation")


def test_an_own_short_instruction_is_known_from_the_settings():
    (found,) = mismatches(groups({"retrieval": "问："}, 0.5), PLAIN, instruction="问：")
    assert "begin with '问：' in 50% of the groups, but evaluation puts nothing there" in found


def test_other_settings_than_the_folder_was_saved_with_are_found():
    told = prompts(["retrieval", "sts", "nli"], "searches")
    found = mismatches(groups(), told, instructed="every task")
    assert [each.split(" were")[0] for each in found] == [
        "the queries of sts",
        "the passages of sts",
        "the queries of nli",
        "the passages of nli",
    ]
    assert all("but evaluation puts '' there" in each for each in found)
    (found,) = mismatches(groups(), told, instructed="searches", language="en")
    assert INSTRUCTION["en"] in found and ASK in found


def test_an_evaluation_that_reads_two_prompts_alone_is_found():
    told = prompts(["retrieval", "sts", "nli"], "every task")

    def two_only(kind, side):
        return told.get(side, "")

    found = mismatches(groups(), told, instructed="every task", used=two_only)
    assert len(found) == 4 and all("sts" in each or "nli" in each for each in found)


def test_tasks_that_nobody_evaluates_are_passed_over():
    riddles = groups({"retrieval": ASK}).with_columns(task=pl.lit("riddle"))
    assert mismatches(riddles, PLAIN) == []


def test_few_texts_that_begin_alike_are_no_instruction():
    rows = {
        "query": ["北京在哪里？", "北京在哪个省？"],
        "passages": [["甲"], ["乙"]],
        "task": ["retrieval"] * 2,
    }
    assert mismatches(pl.DataFrame(rows), PLAIN) == []
