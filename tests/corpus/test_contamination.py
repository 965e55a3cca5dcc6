"""Texts of the evaluation sets are known by their keys, and no row with one of them stays."""

import polars as pl
import pytest

from cpack_lib.corpus.contamination import Unseen, decontamination, evaluation_keys, keys_in
from cpack_lib.corpus.dedup import pair_keys, text_keys
from cpack_lib.work.files import ROOT


def write(folder, name: str, **columns):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns).write_parquet(folder / name)


def test_every_text_of_every_type_is_known_and_no_label_is(tmp_path):
    write(tmp_path, "retrieval/a/corpus.parquet", id=["d1"], text=["文档"])
    write(
        tmp_path,
        "reranking/a/test.parquet",
        query=["查询"],
        positive=[["正例"]],
        negative=[["负例一", "负例二"]],
    )
    write(tmp_path, "sts/a/test.parquet", sentence1=["句一"], sentence2=["句二"], score=[1.0])
    write(tmp_path, "clustering/a/test.parquet", sentences=[["标题"]], labels=[["体育"]])
    write(tmp_path, "classification/a/test.parquet", text=["评论"], label=["财经"])
    texts = ["文档", "查询", "正例", "负例一", "负例二", "句一", "句二", "标题", "评论"]
    assert keys_in(tmp_path).to_list() == sorted(text_keys(pl.Series(texts)))
    assert evaluation_keys(f"folder:{tmp_path}").equals(keys_in(tmp_path))
    assert [rule.stage for rule in decontamination(f"folder:{tmp_path}")] == ["set", "texts"]
    assert decontamination("") == []


def test_a_row_with_an_evaluation_text_on_either_side_goes(tmp_path):
    write(tmp_path, "sts/a/test.parquet", sentence1=["句 一"], sentence2=["句二"])
    seen = keys_in(tmp_path)
    pairs = pl.DataFrame(
        {"text_a": ["句一", "甲", "甲", "句一句二"], "text_b": ["乙", "句二\u200b", "乙", "丙"]}
    )
    assert Unseen("set", seen).judge(pair_keys(pairs)).to_list() == [False, False, True, True]
    texts = pl.DataFrame({"text_key": text_keys(pl.Series(["句一", "别的"]))})
    assert Unseen("texts", seen).judge(texts).to_list() == [False, True]


def test_the_worlds_evaluation_is_known():
    keys = evaluation_keys("world:evaluation")
    assert len(keys) > 1000 and keys.is_sorted()


@pytest.mark.parametrize(
    "name, message",
    [
        ("world:eval", "world:evaluation or|write world:evaluation"),
        ("folder:/no/place", "names no evaluation folder"),
    ],
)
def test_a_name_without_evaluation_is_an_error(name, message):
    with pytest.raises(ValueError, match=message):
        evaluation_keys(name)


def test_a_folder_without_texts_is_an_error(tmp_path):
    write(tmp_path, "a.parquet", label=["x"])
    with pytest.raises(ValueError, match="holds no evaluation texts.*sentence1"):
        keys_in(tmp_path)


@pytest.mark.skipif(not (ROOT / "../shared/data/eval").is_dir(), reason="../shared/data is not here")
def test_the_shared_evaluation_is_known():
    keys = evaluation_keys("folder:../shared/data/eval")
    corpus = pl.read_parquet(
        ROOT / "../shared/data/eval/retrieval/stard_law/corpus.parquet", columns=["text"]
    )
    assert text_keys(corpus["text"]).is_in(keys.implode()).all()
