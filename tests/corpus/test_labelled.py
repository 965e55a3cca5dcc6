"""The eight public sets: small folders in the layouts they are published in, with faults planted."""

import gzip
import io
import json
import random
from pathlib import Path

import mteb
import numpy as np
import polars as pl
import pytest
from mteb.models.model_implementations.bge_models import bge_chinese_training_data

from cpack_lib.corpus.labelled import joining, lines
from cpack_lib.corpus.labelled.sets import INSTRUCTIONS, SETS, overview
from cpack_lib.corpus.read.schemas import columns_of
from cpack_lib.corpus.read.sources import open_table
from cpack_lib.training.negatives import Window, write_groups
from tests.hub.asking import ask
from tests.hub.server import Hub, Repository


def labelled_set(name: str, folder: Path, **options):
    return open_table(f"labelled:{name}@{folder}", "labelled", **options)


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def parquet(columns: dict[str, list]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def read(name: str, folder: Path) -> tuple[list[tuple], dict[str, int]]:
    """Query, pos, neg, source and task of all rows, and how many were set aside for which reason."""
    labelled = labelled_set(name, folder)
    frame = labelled.read()
    assert dict(frame.schema) == columns_of("labelled")
    assert labelled.counts["rows"] == frame.height
    assert labelled.counts["rejected"] == sum(labelled.counts["reasons"].values())
    return frame.rows(), dict(labelled.counts["reasons"])


def tsv(*rows: str) -> str:
    """Lines with tabs for the bars."""
    return "".join(row.replace("|", "\t") + "\n" for row in rows)


T2 = {
    "data/queries.train.tsv": tsv(
        "qid|query",
        *("10|谁写了红楼梦", "11|水的沸点", "12|", "13|没人回答", "14|答案丢了"),
        *("10|编号用过了", "编号|不是数字"),
    ),
    "data/qrels.retrieval.train.tsv": tsv(
        "qid|pid",
        *("10|2", "10|1", "11|3", "12|1", "14|99", "77|1", "10|1"),
        *("11|x", "", "11|0|3|2"),
    ),
    "data/qrels.train.tsv": tsv(
        "qid|-|pid|rel", "10|0|4|0", "10|0|5|1", "10|0|1|3", "11|0|6|0", "11|0|3|0", "11|0|7|0"
    ),
    "data/collection.tsv": tsv(
        "pid|passage", "3|一百度", "1|曹雪芹写了红楼梦", '2|作者是"曹雪芹', "4|施耐庵", "5|半对", "6| "
    ).encode()
    + b"7\t\xff\xfe\n",
}


def test_t2ranking(tmp_path):
    rows, reasons = read("t2ranking", write(tmp_path, T2))
    assert rows == [
        ("谁写了红楼梦", ['作者是"曹雪芹', "曹雪芹写了红楼梦"], ["施耐庵"], "t2ranking", "retrieval"),
        ("水的沸点", ["一百度"], [], "t2ranking", "retrieval"),
    ]
    assert reasons == {
        "number used before": 1,
        "no number and tab at its beginning": 1,
        "not 2 numbers": 2,
        "unknown query id": 1,
        "unknown passage id": 1,
        "passage is empty": 1,
        "passage is no UTF-8": 1,
        "query is empty": 1,
        "pos is empty": 2,
    }


def test_what_is_set_aside_is_kept_with_file_row_and_reason(tmp_path):
    write(tmp_path / "t2", T2)
    labelled = labelled_set("t2ranking", tmp_path / "t2", rejected=tmp_path / "aside.parquet")
    assert labelled.read().height == 2
    aside = pl.read_parquet(tmp_path / "aside.parquet")
    assert aside.height == labelled.counts["rejected"]
    told = {(file, row): (reason, excerpt) for file, row, reason, excerpt in aside.rows()}
    assert told["data/queries.train.tsv", 5] == ("pos is empty", "没人回答")
    assert told["data/qrels.retrieval.train.tsv", 7] == ("unknown query id", "query 77, passage 1")
    assert told["data/qrels.train.tsv", 5] == ("passage is empty", "query 11, passage 6")


MMARCO = {
    "data/google/queries/train/chinese_queries.train.tsv": "121\t什么是马\n9\t没有三元组\n122\t什么是鱼",
    "data/google/collections/chinese_collection.tsv": "\n".join(f"{i}\t段落{i}" for i in range(30)),
    "data/triples.train.ids.small.tsv": "".join(f"121\t{i % 2}\t{i + 10}\n" for i in range(12))
    + "122\t5\t1\n122\t5\t5\n122\t5\t1\n5\t5\t5\n122\t5\t1000\n",
}


def test_mmarco_keeps_each_positive_once_and_the_first_negatives(tmp_path):
    rows, reasons = read("mmarco", write(tmp_path, MMARCO))
    first = [f"段落{i}" for i in range(10, 10 + joining.NEGATIVES)]
    assert rows == [
        ("什么是马", ["段落0", "段落1"], first, "mmarco-zh", "retrieval"),
        ("什么是鱼", ["段落5"], ["段落1"], "mmarco-zh", "retrieval"),
    ]
    assert reasons == {"pos is empty": 1, "unknown query id": 2, "unknown passage id": 1}


@pytest.mark.parametrize("name, files", [("t2ranking", T2), ("mmarco", MMARCO)])
def test_the_size_of_batches_and_shards_changes_nothing(tmp_path, monkeypatch, name, files):
    whole = read(name, write(tmp_path, files))
    monkeypatch.setattr(lines, "LINES_PER_BATCH", 2)
    monkeypatch.setattr(lines, "LINES_PER_BLOCK", 2)
    monkeypatch.setattr(lines, "BLOCK", 7)
    monkeypatch.setattr(joining, "QUERIES_PER_SHARD", 1)
    assert max(map(len, labelled_set(name, tmp_path))) == 1
    assert read(name, tmp_path) == whole


@pytest.mark.parametrize("place", ["raw/", ""])
def test_cmedqa(tmp_path, place):
    files = {
        "question.csv": 'question_id,content\n1,"头疼，\n怎么办, 急"\n'
        "2,咳嗽\n3,测试题\nx,坏编号\n2,用过了\n4, \n",
        "answer.csv": 'ans_id,question_id,content\n7,1,"多喝水, 休息"\n8,2,吃药\n9,3,别的回答\n10,2,\n11,2\n',
        "train_candidates.txt": "\n".join(
            ["question_id,pos_ans_id,neg_ans_id", "1,7,8", "1,7,9", "2,8,10", "2,8,7", "4,8,7", "9,7,8"]
        ),
    }
    rows, reasons = read("cmedqa-v2", write(tmp_path, {place + name: text for name, text in files.items()}))
    assert rows == [
        ("头疼，\n怎么办, 急", ["多喝水, 休息"], ["吃药", "别的回答"], "cmedqa-v2", "retrieval"),
        ("咳嗽", ["吃药"], ["多喝水, 休息"], "cmedqa-v2", "retrieval"),
    ]
    assert reasons == {
        "question_id is no number": 1,
        "number used before": 1,
        "not 3 fields": 1,
        "unknown query id": 2,  # question 9, right and wrong
        "passage is empty": 1,
        "query is empty": 1,
    }


def test_multi_cpr_as_its_authors_publish_it(tmp_path):
    for number, domain in enumerate(("ecom", "medical", "video")):
        files = {
            "train.query.txt": f"1\t问题{number}\n2\t另一个\r\n",
            "corpus.tsv": f"100\t标题{number}\t正文\n200\t答案\r\n",
            "qrels.train.tsv": "1\t0\t100\t1\n2\t0\t200\t1\n2\t0\t100\t0\n1\t0\t300\t1\n",
        }
        write(tmp_path / "data" / domain, files)
    rows, reasons = read("multi-cpr", tmp_path)
    assert rows[2:4] == [
        ("问题1", ["标题1 正文"], [], "multi-cpr-medical", "retrieval"),
        ("另一个", ["答案"], ["标题1 正文"], "multi-cpr-medical", "retrieval"),
    ]
    assert [row[3] for row in rows[::2]] == ["multi-cpr-ecom", "multi-cpr-medical", "multi-cpr-video"]
    assert reasons == {"unknown passage id": 3}


def test_multi_cpr_as_the_hub_has_it(tmp_path):
    for domain in ("ecom", "medical", "video"):
        columns = {
            "query": [f"{domain}吗", "没有答案", ""],
            "positive": [["对"], [], ["对"]],
            "negative": [[f"错{i}" for i in range(20)], ["错"], []],
            "answers": [[], [], []],
        }
        write(tmp_path, {f"multi-cpr-{domain}/train-00000-of-00001.parquet": parquet(columns)})
    rows, reasons = read("multi-cpr", tmp_path)
    assert [row[0] for row in rows] == ["ecom吗", "medical吗", "video吗"]
    assert rows[0][2] == [f"错{i}" for i in range(joining.NEGATIVES)]
    assert reasons == {"pos is empty": 3, "query is empty": 3}


def passages(*texts: object) -> list[dict]:
    return [{"docid": str(i), "text": text} for i, text in enumerate(texts)]


def test_dureader(tmp_path):
    records = [
        {"query_id": "a", "query": "几点", "positive_passages": passages("九点", "九点", "九点整")}
        | {"negative_passages": passages("九点", *(f"错{i}" for i in range(20)))},
        {"query_id": "b", "query": "无", "positive_passages": [], "negative_passages": passages("错")},
        {"query_id": "c", "query": "坏", "positive_passages": passages("对", 3), "negative_passages": []},
        {"query_id": "d", "query": "缺", "positive_passages": passages("对")},
        {"query_id": "e", "query": 5, "positive_passages": passages("对"), "negative_passages": []},
    ]
    text = "\n".join([*(json.dumps(record, ensure_ascii=False) for record in records), "{", ""])
    rows, reasons = read("dureader", write(tmp_path, {"train.jsonl.gz": gzip.compress(text.encode())}))
    wrong = [f"错{i}" for i in range(joining.NEGATIVES)]
    assert rows == [("几点", ["九点", "九点整"], wrong, "dureader-retrieval", "retrieval")]
    assert reasons == {
        "pos is empty": 1,
        "positive_passages is no list of passages": 1,
        "negative_passages is no list of passages": 1,
        "query is no text": 1,
        "bad JSON": 1,
    }


PAIRS = [
    ("花呗怎么还", "如何还花呗", 1),
    ("花呗怎么还", "花呗怎么开", 0),
    ("借呗额度", "借呗利息", 0),  # nothing right for it
    ("花呗怎么还", "如何还花呗", 0),  # right above
    ("花呗怎么还", "怎样还花呗", 1),
    ("", "空", 1),
    ("空", " ", 1),
    ("没有标签", "没有标签吗", -1),
]
SCORED = [("一个人在跑", f"打分{label}", label) for label in (0, 1, 2, 3, 4, 5)]
PART_NAMES = ("ATEC", "BQ", "LCQMC", "PAWSX", "STS-B")


def nli_zh_parquet(part: str) -> dict[str, bytes]:
    first, second, label = zip(*(SCORED if part == "STS-B" else PAIRS), strict=True)
    columns = {"sentence1": [*first], "sentence2": [*second], "label": [*label]}
    return {f"{part}/train/0000.parquet": parquet(columns)}


def nli_zh_data(part: str) -> dict[str, str]:
    told = SCORED if part == "STS-B" else PAIRS
    return {f"{part}/{part}.train.data": "".join(f"{a}\t{b}\t{label}\n" for a, b, label in told)}


@pytest.mark.parametrize("layout", [nli_zh_parquet, nli_zh_data])
def test_nli_zh_takes_label_0_partners_as_negatives(tmp_path, layout):
    for part in PART_NAMES:
        write(tmp_path, layout(part))
    rows, reasons = read("nli-zh", tmp_path)
    same = ("花呗怎么还", ["如何还花呗", "怎样还花呗"], ["花呗怎么开"])
    assert rows[:4] == [(*same, f"nli-zh-{part.lower()}", "sts") for part in PART_NAMES[:4]]
    assert rows[4:] == [
        ("一个人在跑", ["打分4", "打分5"], ["打分0", "打分1", "打分2"], "nli-zh-sts-b", "sts")
    ]
    assert reasons == {
        "pos is empty": 4,
        "sentence1 is empty": 4,
        "sentence2 is empty": 4,
        "no label": 4,
        "label neither right nor wrong": 1,
    }


def test_a_line_without_three_fields_or_with_other_bytes_is_set_aside(tmp_path):
    for part in PART_NAMES:
        write(tmp_path, {f"{part}/{part}.train.data": b"a\tb\n\n\xff\tb\t1\r\na\tb\t1\r\na\tc\tlabel"})
    rows, reasons = read("nli-zh", tmp_path)
    assert [row[:3] for row in rows] == [("a", ["b"], [])] * 4  # a score of 1 is wrong in STS-B
    assert reasons == {"not 3 fields": 5, "invalid UTF-8": 5, "no label": 5, "pos is empty": 1}


CLUE = {
    "sentence1": ["他在睡觉"] * 4 + ["她在跑步", "", "下雨了"],
    "sentence2": ["他没醒", "他醒着", "他很累", "他闭着眼", "她坐着", "空", "地湿了"],
    "label": [1, 2, 0, 1, 2, 1, -1],
    "idx": [*range(7)],
}


@pytest.mark.parametrize("name", ["cmnli", "ocnli"])
def test_clue_pairs_entailment_with_contradiction(tmp_path, name):
    write(tmp_path, {f"{name}/train-00000-of-00001.parquet": parquet(CLUE)})
    rows, reasons = read(name, tmp_path)
    assert rows == [("他在睡觉", ["他没醒", "他闭着眼"], ["他醒着"], name, "nli")]
    assert reasons == {
        "label neither right nor wrong": 1,
        "pos is empty": 1,
        "sentence1 is empty": 1,
        "no label": 1,
    }


def test_a_partner_labelled_0_becomes_the_negative_of_a_group(tmp_path):
    write(tmp_path, {"ocnli/train-00000-of-00001.parquet": parquet(CLUE)})
    labels = labelled_set("ocnli", tmp_path).read()
    groups = tmp_path / "groups.parquet"
    write_groups(
        labels, lambda texts: np.eye(len(texts), 8, dtype=np.float32), groups, window=Window(count=1)
    )
    made = pl.read_parquet(groups)
    assert made["passages"].to_list() == [["他没醒", "他醒着"], ["他闭着眼", "他醒着"]]
    assert made["origins"].to_list() == [["given"]] * 2


@pytest.mark.parametrize("columns", [["sentence1"], ["sentence2"], ["label"]])
def test_a_file_without_its_columns_is_an_error(tmp_path, columns):
    kept = {name: values for name, values in CLUE.items() if name not in columns}
    write(tmp_path, {"ocnli/train-00000-of-00001.parquet": parquet(kept)})
    with pytest.raises(ValueError, match=f"train-00000-of-00001.parquet has no column '{columns[0]}'"):
        labelled_set("ocnli", tmp_path).read()


def test_a_missing_file_is_named_with_what_the_layout_needs(tmp_path):
    write(tmp_path, {name: text for name, text in T2.items() if "collection" not in name})
    with pytest.raises(
        ValueError, match=r"lacks data/collection.tsv; t2ranking needs data/queries.train.tsv, "
    ):
        labelled_set("t2ranking", tmp_path)
    with pytest.raises(ValueError, match="ocnli needs ocnli/train-.*clue/clue"):
        labelled_set("ocnli", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="'snli' is no public labelled set: use one of t2ranking, dureader"):
        labelled_set("snli", tmp_path)


@pytest.mark.parametrize("name, files", [("t2ranking", T2), ("mmarco", MMARCO)])
def test_empty_files_make_no_rows(tmp_path, name, files):
    assert read(name, write(tmp_path, dict.fromkeys(files, ""))) == ([], {})


@pytest.mark.parametrize("seed", range(6))
def test_numbered_texts_are_found_as_by_reading_line_by_line(tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    monkeypatch.setattr(lines, "BLOCK", chance.choice([5, 64, 1 << 20]))
    monkeypatch.setattr(lines, "LINES_PER_BLOCK", chance.choice([1, 7, 1 << 18]))
    written, expected = [], {}
    for _ in range(chance.choice([1, 40, 300])):
        number = chance.choice([str(chance.randrange(60)), str(10**11), "1" * 13, "", "x1", "-4", "007"])
        text = "".join(chance.choice(" \t字a\"'，") for _ in range(chance.randrange(9)))
        written.append(f"{number}\t{text}" if chance.random() < 0.9 else number)
        if number.isdigit() and len(number) <= lines.DIGITS and "\t" in written[-1]:
            expected.setdefault(int(number), text.replace("\t", " "))
    body = chance.choice(["\n", "\r\n"]).join(written) + chance.choice(["", "\n"])
    write(tmp_path, {"texts.tsv": chance.choice([b"", lines.BYTE_ORDER_MARK]) + body.encode()})
    texts = lines.NumberedTexts(tmp_path / "texts.tsv")
    asked = [*range(70), 10**11, -1, -4]
    found = texts.lookup(pl.Series(asked, dtype=pl.Int64))
    assert found["known"].to_list() == [number in expected for number in asked]
    assert found["text"].to_list() == [expected.get(number) for number in asked]
    rows, aside = texts.frame()
    assert dict(rows.select("number", "text").iter_rows()) == expected
    assert rows.height + len(aside) >= len(written) - 1 - written.count("")


def test_every_set_states_its_overlap_with_c_mteb():
    tasks = {task.metadata.name for task in mteb.get_benchmark("MTEB(cmn, v1)").tasks}
    assert len(SETS) == 8
    for each in SETS.values():
        assert each.overlap and set(each.overlap) <= tasks
        assert set(each.recorded) == set(each.overlap) & set(bge_chinese_training_data)
    assert {task for each in SETS.values() for task in each.recorded} == bge_chinese_training_data & tasks


def test_the_overview_has_a_row_for_each_set():
    table = overview()
    assert table["name"].to_list() == list(SETS)
    assert not any(table.null_count().row(0))
    assert (
        table.filter(name="multi-cpr")["overlap"].item() == "EcomRetrieval, MedicalRetrieval, VideoRetrieval"
    )
    instructed = table.filter(pl.col("instruction") != "")
    assert set(instructed["task"]) == {"retrieval"} and instructed.height == 5


def test_queries_of_retrieval_and_re_ranking_alone_are_instructed():
    assert {task for task, text in INSTRUCTIONS.items() if text} == {"retrieval", "search", "reranking"}
    assert {text for text in INSTRUCTIONS.values() if text} == {"为这个句子生成表示以用于检索相关文章："}


def test_a_set_is_downloaded_from_the_hub(tmp_path):
    files = {"ocnli/train-00000-of-00001.parquet": parquet(CLUE), "afqmc/train.parquet": b"not to be read"}
    code = """
from cpack_lib.corpus.read.sources import open_table
found = {"rows": open_table("labelled:ocnli", "labelled").read().rows()}
try:
    open_table("labelled:dureader", "labelled").read()
except ValueError as error:
    found["error"] = str(error)
"""
    with Hub([Repository("clue/clue", files)]) as hub:
        found = ask(code, hub.environment(tmp_path))
    assert found["rows"] == [["他在睡觉", ["他没醒", "他闭着眼"], ["他醒着"], "ocnli", "nli"]]
    assert hub.fetched == ["clue/clue/ocnli/train-00000-of-00001.parquet"]
    assert "zyznull/dureader-retrieval-ranking cannot be downloaded" in found["error"]
