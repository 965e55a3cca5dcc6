"""Group files as they are read: cut, with scores and instructions, and what cannot be learnt from refused."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.labelled.instructions import INSTRUCTION, TASKS
from cpack_lib.model.tokens import token_ids
from cpack_lib.training.objectives.groups import Groups
from cpack_lib.training.objectives.tables import read_groups, stand_alone, with_instructions

ROWS = {
    "query": ["天地", "日月", "寒来", "秋收"],
    "passages": [["玄黄", "宇宙", "洪荒"], ["盈昃"], ["暑往", "冬藏"], ["辰宿", "列张", "宿列", "张"]],
    "source": ["诗", "文", "诗", "诗"],
    "task": ["retrieval", "sts", "sts", "nli"],
    "scores": [[0.9, 0.1, 0.2], [0.8], [0.7, 0.6], [1.0, 0.5, 0.4, 0.3]],
}


@pytest.fixture
def asked(settled, tmp_path):
    """A maker of settings for ROWS, some columns changed or left out."""

    def ask(columns=None, **changes):
        rows = {name: column for name, column in (ROWS | (columns or {})).items() if column is not None}
        pl.DataFrame(rows, strict=False).write_parquet(tmp_path / "groups.parquet")
        return settled(data=str(tmp_path / "groups.parquet"), **changes)

    return ask


@pytest.mark.parametrize("size", [0, 1, 2, 3, 9])
def test_a_group_is_cut_to_its_first_passages_and_never_filled(asked, size):
    table = read_groups(asked(group_size=size, distillation=0.5 if size != 1 else 0.0))
    wanted = [passages[: size or None] for passages in ROWS["passages"]]
    assert table.passages.to_list() == [text for passages in wanted for text in passages]
    assert table.lengths.tolist() == [len(passages) for passages in wanted]
    if size != 1:
        scores = [score for scores in ROWS["scores"] for score in scores[: size or None]]
        np.testing.assert_allclose(table.scores, scores, rtol=1e-6)


def test_memory_is_planned_for_the_passages_that_are_kept(asked, tokenizer, tmp_path):
    texts = {}
    for size in (1, 2, 3, 0):
        groups = Groups(asked(group_size=size), tmp_path / f"tokens-{size}", tokenizer)
        texts[size] = [groups.most_texts(rows) for rows in (1, 2, 4)]
    assert texts == {1: [2, 4, 8], 2: [3, 6, 11], 3: [4, 8, 13], 0: [5, 9, 14]}


def test_a_loss_needs_more_with_each_switch(asked, tokenizer, tmp_path):
    changes = [{}, {"group_size": 2}, {"distillation": 0.5}, {"widths": [32, 16]}]
    needed = [
        Groups(asked(**each), tmp_path / str(i), tokenizer).bytes_of_a_loss(4, 32)
        for i, each in enumerate(changes)
    ]
    plain, cut, taught, nested = needed
    assert cut < plain < taught and nested == plain + 4 * 14 * 48 * 5
    groups = Groups(asked(), tmp_path / "frozen", tokenizer)
    assert groups.bytes_of_a_loss(4, 32, frozen=10) == plain + 4 * 14 * 10 * 2


def test_scores_are_not_looked_at_unless_somebody_asks(asked):
    assert read_groups(asked({"scores": [["x"], None, [], ["y"]]})).scores is None


@pytest.mark.parametrize(
    "scores, bad",
    [
        ([[0.9, 0.1], [0.8], [0.7, 0.6], [1.0, 0.5, 0.4, 0.3]], 1),
        ([[0.9, 0.1, 0.2], None, [0.7, 0.6], [1.0, 0.5, None, 0.3]], 2),
        ([[0.9, 0.1, float("nan")], [float("inf")], [0.7, 0.6], [1.0, 0.5, 0.4, 0.3]], 2),
        ([[], [], [], []], 4),
    ],
)
def test_scores_that_are_not_one_number_for_each_passage_are_refused(asked, scores, bad):
    settings = asked({"scores": scores}, distillation=0.5)
    with pytest.raises(ValueError, match=f"{bad} of 4 rows of .*groups.parquet have other scores than one"):
        read_groups(settings)


def test_where_no_row_has_two_passages_there_is_nothing_to_distil(asked, start):
    pairs = {"passages": [["玄"]] * 4, "scores": [[1.0]] * 4}
    with pytest.raises(ValueError, match="no row of .*groups.parquet has two passages, so a teacher"):
        read_groups(asked(pairs, distillation=0.5))
    batch = {"distillation": 0.5, "teacher": str(start), "distilled": "batch"}
    assert read_groups(asked(pairs, **batch)).scores is None  # over the batch there is


@pytest.mark.parametrize("instructed", ["searches", "every task"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_texts_get_the_instruction_of_their_task_and_side(asked, instructed, language):
    settings = asked(instructed=instructed, language=language)
    queries, passages = with_instructions(read_groups(settings), settings)
    told = {name: task.instruction[language] for name, task in TASKS.items()}
    if instructed == "searches":
        told = dict.fromkeys(told, "") | {"retrieval": INSTRUCTION[language]}
    rows = list(zip(ROWS["query"], ROWS["passages"], ROWS["task"], strict=True))
    assert queries.to_list() == [told[task] + query for query, _, task in rows]
    before = told | {"retrieval": ""}
    assert passages.to_list() == [before[task] + text for _, texts, task in rows for text in texts]


def test_as_written_texts_stay_as_they_are(asked):
    settings = asked(instruction="问：")
    queries, passages = with_instructions(read_groups(settings), settings)
    assert queries.to_list() == ROWS["query"] and len(passages) == 10


def test_hashes_tell_texts_without_their_instruction(asked, tokenizer, tmp_path):
    plain, told = asked(), asked(instructed="every task", longest=64)
    groups = [Groups(settings, tmp_path / settings.instructed, tokenizer) for settings in (plain, told)]
    assert (groups[0].keys == groups[1].keys).all() and (groups[0].texts == groups[1].texts).all()
    written = token_ids(tokenizer, [INSTRUCTION["zh"] + "天地"], 64)[0].tolist()
    assert groups[1].queries[0].tolist() == written != groups[0].queries[0].tolist()


def test_an_instruction_is_not_put_twice(asked):
    settings = asked({"query": [INSTRUCTION["zh"] + "天地", "日月", "寒来", "秋收"]}, instructed="searches")
    with pytest.raises(
        ValueError, match="instructed is searches, but 1 texts of .* begin with their instruction"
    ):
        with_instructions(read_groups(settings), settings)


def test_a_task_without_an_instruction_is_named(asked):
    settings = asked({"task": ["retrieval", "sts", "riddle", "nli"]}, instructed="every task")
    with pytest.raises(ValueError, match="no instruction is known for the task 'riddle'"):
        with_instructions(read_groups(settings), settings)


@pytest.mark.parametrize("off", [[], ["sts"], ["sts", "nli"]])
def test_rows_of_some_tasks_stand_alone(asked, tokenizer, tmp_path, off):
    groups = Groups(asked(in_batch_off=off), tmp_path / "tokens", tokenizer)
    step = groups.step(np.asarray([3, 0, 2]))
    wanted = [ROWS["task"][row] in off for row in (3, 0, 2)]
    assert step.alone is None if not off else step.alone.tolist() == wanted
    assert groups.step(np.asarray([0])).alone is None  # a step without them is as if nothing were asked


@pytest.mark.parametrize(
    "off, columns, said",
    [
        (["st"], {}, "in_batch_off has 'st', but the tasks of .*groups.parquet are retrieval, sts, nli"),
        (
            ["nli"],
            {"passages": [["玄", "黄"]] * 3 + [["宇"]]},
            "'nli', but no row of it in .* has a negative",
        ),
    ],
)
def test_a_task_that_nothing_is_left_of_is_refused(asked, off, columns, said):
    settings = asked(columns, in_batch_off=off)
    with pytest.raises(ValueError, match=said):
        stand_alone(read_groups(settings), settings)


def test_pairs_may_have_tasks_as_well(settled, tmp_path):
    columns = {"text_a": ["天", "地"], "text_b": ["玄", "黄"], "source": ["诗", "文"], "task": ["sts", "nli"]}
    pl.DataFrame(columns).write_parquet(tmp_path / "pairs.parquet")
    table = read_groups(settled(data=str(tmp_path / "pairs.parquet")))
    assert table.tasks.to_list() == ["sts", "nli"] and table.passages.to_list() == ["玄", "黄"]
    assert read_groups(replace(settled(), group_size=3)).tasks is None
