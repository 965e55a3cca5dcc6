"""Promises of write_search(): each held-out question among all answers, judged by every row that asks it."""

import polars as pl
import pytest

from cpack_lib.evaluation.held_out import write_search
from cpack_lib.evaluation.tasks.local import local_tasks

ROWS = [
    ("猫吃什么？", ["鱼。"], []),
    ("狗吃什么？", ["骨头。"], ["木头。"]),
    ("猫 吃什么？", ["老鼠。", "鱼。"], []),
    ("ＵＳＢ是什么？", ["一种接口。"], []),
]


@pytest.fixture
def labelled():
    return pl.DataFrame(ROWS, schema=["query", "pos", "neg"], orient="row")


def test_questions_are_judged_by_all_rows_that_ask_them(labelled, tmp_path):
    folder = tmp_path / "retrieval" / "held_out"
    assert write_search(labelled[[0, 3, 2]], labelled, folder) == {"corpus": 5, "queries": 2, "qrels": 3}
    (task,) = local_tasks(tmp_path)
    task.load_data()
    split = task.dataset["default"]["test"]
    text_of = dict(zip(split["corpus"]["id"], split["corpus"]["text"], strict=True))
    asked = dict(zip(split["queries"]["id"], split["queries"]["text"], strict=True))
    judged = {asked[qid]: {text_of[pid] for pid in found} for qid, found in split["relevant_docs"].items()}
    assert judged == {"猫吃什么？": {"鱼。", "老鼠。"}, "ＵＳＢ是什么？": {"一种接口。"}}
    assert set(text_of.values()) == {"鱼。", "骨头。", "木头。", "老鼠。", "一种接口。"}


def test_questions_that_nothing_answers_are_refused(labelled, tmp_path):
    stranger = pl.DataFrame([("鸟吃什么？", ["虫。"], [])], schema=labelled.schema, orient="row")
    with pytest.raises(ValueError, match="none of the 1 held-out questions has an answer among the 4"):
        write_search(stranger, labelled, tmp_path / "no")
    assert not (tmp_path / "no").exists()
