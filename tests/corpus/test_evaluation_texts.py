"""Every text of every task is read under its task's name, from folders and from tables as mteb holds them."""

import gzip
import json
from types import SimpleNamespace

import polars as pl
import pytest
from datasets import Dataset, DatasetDict

from cpack_lib.corpus.clean import evaluation_texts as module
from cpack_lib.corpus.clean.evaluation_texts import cmteb_tasks, evaluation_texts, task_texts


def write(folder, name: str, **columns):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns).write_parquet(folder / name)


def by_task(texts) -> dict[str, list[str]]:
    found = {}
    for task, some in texts:
        found.setdefault(task, []).extend(some)
    return {task: sorted(some) for task, some in found.items()}


def test_every_text_of_every_type_is_read_and_no_label_is(tmp_path):
    write(tmp_path, "retrieval/a/corpus.parquet", id=["d1"], text=["文档"], title=["题目"])
    write(tmp_path, "retrieval/a/queries.parquet", id=["q1"], text=["问题"])
    negatives = [["负例一", None, "负例二"]]
    write(tmp_path, "reranking/a/test.parquet", query=["查询"], positive=[["正例"]], negative=negatives)
    write(
        tmp_path, "sts/a/test.parquet", sentence1=["句一", None], sentence2=["句二", "句三"], score=[1.0, 0]
    )
    write(tmp_path, "clustering/a/test.parquet", sentences=[["标题"]], labels=[["体育"]])
    write(tmp_path, "classification/a/test.parquet", text=["评论"], label=["财经"])
    assert by_task(evaluation_texts(f"folder:{tmp_path}")) == {
        "retrieval/a": sorted(["文档", "题目", "问题"]),
        "reranking/a": sorted(["查询", "正例", "负例一", "负例二"]),
        "sts/a": sorted(["句一", "句二", "句三"]),
        "clustering/a": ["标题"],
        "classification/a": ["评论"],
    }


def test_tasks_come_one_after_the_other_and_json_lines_are_read(tmp_path):
    write(tmp_path, "a/b.parquet", text=["一"])
    write(tmp_path, "a/inner/c.parquet", text=["二"])
    (tmp_path / "a/z.jsonl").write_text(json.dumps({"query": "三"}) + "\n")
    (tmp_path / "own.jsonl.gz").write_bytes(gzip.compress(json.dumps({"sentence1": "四"}).encode()))
    assert [task for task, _ in evaluation_texts(f"folder:{tmp_path}")] == ["own", "a", "a", "a/inner"]


def test_the_worlds_evaluation_is_read():
    found = by_task(evaluation_texts("world:evaluation"))
    assert len(found) == 9 and min(map(len, found.values())) > 500


@pytest.mark.parametrize("name", ["world:eval", "folder:/no/place", "cmtebs"])
def test_a_name_without_evaluation_is_an_error(name):
    with pytest.raises(ValueError, match=f"{name}.*names no evaluation texts.*or cmteb"):
        list(evaluation_texts(name))


def test_a_folder_without_texts_is_an_error(tmp_path):
    write(tmp_path, "a.parquet", label=["x"])
    with pytest.raises(ValueError, match="holds no evaluation texts.*sentence1"):
        list(evaluation_texts(f"folder:{tmp_path}"))


def search(*passages: str) -> dict:
    """One split of a search as mteb holds it."""
    return {
        "corpus": Dataset.from_dict(
            {"id": ["d"] * len(passages), "title": [""] * len(passages), "text": passages}
        ),
        "queries": Dataset.from_dict({"id": ["q"], "text": ["查询"]}),
        "relevant_docs": {"q": {"d": 1}},
        "top_ranked": None,
    }


@pytest.mark.parametrize(
    "dataset, texts",
    [
        ({"default": {"dev": search("甲", "乙")}}, ["", "", "乙", "查询", "甲"]),
        ({"zh": DatasetDict(test=Dataset.from_dict({"text": ["评论"], "label": [3]}))}, ["评论"]),
        (
            DatasetDict(
                test=Dataset.from_dict({"sentences": [["甲", "乙"], ["丙"]], "labels": [[0, 1], [0]]})
            ),
            "丙乙甲",
        ),
        (
            DatasetDict(
                test=Dataset.from_dict({"sentence1": [["甲"]], "sentence2": [["乙"]], "labels": [[1]]})
            ),
            "乙甲",
        ),
        (DatasetDict(train=Dataset.from_dict({"text": ["甲"] * 3}).select([1])), ["甲"]),
    ],
)
def test_texts_are_found_in_mtebs_nests(dataset, texts):
    found = [text for some in task_texts(SimpleNamespace(dataset=dataset)) for text in some]
    assert sorted(found) == sorted(texts)


def test_tasks_of_cmteb_are_loaded_and_read_in_batches(monkeypatch):
    class Task:
        metadata = SimpleNamespace(name="T2Retrieval")

        def load_data(self):
            self.dataset = {"default": {"dev": search("甲", "乙", "丙")}}

        def unload_data(self):
            self.dataset = None

    task = Task()
    monkeypatch.setattr(module, "cmteb_tasks", lambda names: [task] * (names == "T2Retrieval"))
    monkeypatch.setattr(module, "BATCH", 2)
    assert by_task(evaluation_texts("cmteb:T2Retrieval")) == {
        "T2Retrieval": ["", "", "", "丙", "乙", "查询", "甲"]
    }
    assert task.dataset is None


def test_cmteb_has_its_35_tasks():
    kinds = pl.Series([task.metadata.type for task in cmteb_tasks("")]).value_counts().sort("")
    assert dict(kinds.iter_rows()) == {
        "Classification": 9,
        "Clustering": 4,
        "PairClassification": 2,
        "Reranking": 4,
        "Retrieval": 8,
        "STS": 8,
    }
    assert [task.metadata.name for task in cmteb_tasks("STS22, TNews")] == ["STS22", "TNews"]
    assert cmteb_tasks("MassiveIntentClassification")[0].hf_subsets == ["zh-CN"]
    with pytest.raises(ValueError, match="'T3' is no task of cmteb-35: name one of Retrieval"):
        cmteb_tasks("TNews,T3")
