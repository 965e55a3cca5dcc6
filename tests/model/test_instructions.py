"""Instructions: one table, what stands before a text by task, and names under which mteb finds the same."""

from types import SimpleNamespace

import pytest
from mteb.models.abs_encoder import AbsEncoder, get_prompt
from mteb.types import PromptType
from sentence_transformers import SentenceTransformer

from cpack_lib.corpus.labelled.instructions import INSTRUCTED, INSTRUCTION, LANGUAGES, TASKS
from cpack_lib.model.encoder import new_encoder, save_encoder, saved_instruction
from cpack_lib.model.instructions import WAYS, prompt_for, prompts, saved_prompts, sides

SIDES = {"": None, "query": PromptType.query, "document": PromptType.document}


@pytest.mark.parametrize("language", LANGUAGES)
def test_by_default_queries_of_searches_alone_are_instructed(language):
    for task in TASKS:
        before = sides(task, "searches", language=language)
        assert before == ((INSTRUCTION[language], "") if task in INSTRUCTED else ("", ""))
    assert INSTRUCTED == ("retrieval", "search", "reranking")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_task_may_have_its_own_on_both_sides_if_these_are_alike(language):
    texts = {task: sides(task, "every task", language=language) for task in TASKS}
    for task, (query, passage) in texts.items():
        assert query == TASKS[task].instruction[language] and passage == ("" if task in INSTRUCTED else query)
    others = [texts[task].query for task in TASKS if task not in INSTRUCTED]
    assert len({*others, INSTRUCTION[language]}) == len(others) + 1  # no two tasks share one


def test_as_written_nothing_is_put_but_what_is_told():
    assert sides("retrieval", "as written") == sides("sts", "as written", "问：") == ("", "")
    assert sides("reranking", "as written", "问：") == ("问：", "")


def test_an_own_instruction_takes_the_place_of_the_searches():
    assert sides("search", "searches", "问：") == sides("search", "every task", "问：") == ("问：", "")
    assert sides("sts", "every task", "问：").query == TASKS["sts"].instruction["zh"]


def test_a_task_that_the_table_does_not_have_gets_nothing_or_is_refused():
    assert sides("summary", "searches") == ("", "")
    with pytest.raises(
        ValueError, match="no instruction is known for the task 'summary'; choose from retrieval"
    ):
        sides("summary", "every task")


@pytest.mark.parametrize(
    "told, said",
    [
        ({"instructed": "some"}, "instructed is 'some'; choose one of as written, searches, every task"),
        ({"instructed": "searches", "language": "de"}, "language is 'de'; instructions are in zh, en"),
    ],
)
def test_what_there_is_not_is_refused(told, said):
    with pytest.raises(ValueError, match=said):
        sides("sts", **told)
    with pytest.raises(ValueError, match=said):
        prompts(["sts"], **told)


def test_a_folder_tells_what_was_trained_and_nothing_else():
    assert prompts(None, "as written", "问：") == {"query": "问：", "document": ""}
    assert prompts(["sts"], "searches") == {"query": "", "document": ""}  # no search was trained
    assert prompts(["sts", "search", None], "searches") == {"query": INSTRUCTION["zh"], "document": ""}
    every = prompts(["nli", "retrieval", "nli"], "every task", language="en")
    assert every == {
        "query": INSTRUCTION["en"],
        "document": "",
        "PairClassification": TASKS["nli"].instruction["en"],
    }


@pytest.mark.parametrize("instructed", WAYS)
@pytest.mark.parametrize("trained", [["retrieval"], ["sts", "nli"], list(TASKS)])
def test_mteb_finds_the_same_under_the_names_of_the_folder(instructed, trained):
    told = prompts(trained, instructed)
    assert AbsEncoder.validate_task_to_prompt_name(told) == told  # names that mteb takes
    kinds = {kind for task in TASKS.values() for kind in task.types}
    for kind in kinds | {"BitextMining"}:
        for side, type_ in SIDES.items():
            theirs = get_prompt(told, SimpleNamespace(name="SomeTask", type=kind), type_)
            assert prompt_for(told, kind, side) == (theirs or "")
    for task in trained:
        before = sides(task, instructed)
        for kind in TASKS[task].types:
            wanted = ("query", "document") if TASKS[task].search else ("", "")
            assert tuple(prompt_for(told, kind, side) for side in wanted) == before


def test_the_order_of_names_is_that_of_mteb():
    told = {"STS-query": "a", "STS": "b", "query": "c", "document": None}
    assert [prompt_for(told, "STS", side) for side in ("query", "document", "")] == ["a", "b", "b"]
    assert [prompt_for(told, "Retrieval", side) for side in ("query", "document", "")] == ["c", "", ""]


def test_prompts_are_saved_by_name_and_read_back(pieces, tmp_path):
    told = prompts(TASKS, "every task")
    encoder = new_encoder("nano", pieces)
    save_encoder(encoder, tmp_path / "encoder", prompts=told)
    assert saved_prompts(tmp_path / "encoder") == told
    assert saved_instruction(tmp_path / "encoder") == INSTRUCTION["zh"]
    released = SentenceTransformer(str(tmp_path / "encoder"), device="cpu")
    assert released.prompts == told
    alike = released.encode(["土豆"], prompt_name="STS")
    assert abs(alike - encoder.encode(["土豆"], prompt=told["STS"])).max() < 1e-5


def test_a_folder_without_prompts_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"has no config_sentence_transformers.json, so it tells no prompts"):
        saved_prompts(tmp_path)
