"""Tables are opened by name, read in bounded shards, and every row is kept or set aside with its reason."""

import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpack_lib.corpus.read import columnar, records, sampling, schemas
from cpack_lib.corpus.read.sources import open_table, renamed

ROWS = [
    {"text_a": f"题目{i}", "text_b": f"正文{i}", "source": "书" if i % 3 else "报", "kind": "title_body"}
    for i in range(30)
]
GOOD = {"text": "一段好的文字", "id": "1", "source": "书", "licence": "CC0"}


def as_lines(rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows, path: Path) -> bytes:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path.read_bytes()


def read(path: Path, kind: str, **options) -> tuple[pl.DataFrame, dict, pl.DataFrame]:
    """(the rows that fit, the counts, the rows set aside)."""
    aside = path.parent / "rejected" / "rejected.parquet"
    table = open_table(f"folder:{path}", kind, rejected=aside, **options)
    return table.read(), table.counts, pl.read_parquet(aside)


@pytest.mark.parametrize(
    "name", ["a.parquet", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.csv.zst"]
)
def test_every_format_gives_the_same_rows(tmp_path, name):
    path = tmp_path / name
    plain = as_csv(ROWS, tmp_path / "plain") if ".csv" in name else as_lines(ROWS)
    if name.endswith(".parquet"):
        pl.DataFrame(ROWS).write_parquet(path)
    else:
        pack = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
        path.write_bytes(pack(plain))
    (tmp_path / "plain").unlink(missing_ok=True)
    frame, counts, aside = read(path, "pairs")
    assert frame.to_dicts() == ROWS
    assert counts["rows"] == len(ROWS) and counts["rejected"] == 0 and aside.is_empty()


@pytest.mark.parametrize(
    "line, reason",
    [
        (b'{"text": "half', "bad JSON"),
        (b"[" * 100_000, "bad JSON"),
        (b'["a list"]', "no JSON object"),
        (b'{"text": 3}', "text is no text"),
        (b'{"text": ["a"]}', "text is no text"),
        (b'{"other": "x"}', "text is missing"),
        (b'{"text": null}', "text is missing"),
        (b'{"text": "  \\u3000 \\n"}', "text is empty"),
        (b'{"text": "a\\u0000b"}', "text holds NUL bytes"),
        (b'{"text": "\\ud83d"}', "lone surrogate"),
        (b'{"text": "good", "extra": "\\udc00"}', "lone surrogate"),
        (b'{"text": "\xff\xfe"}', "invalid UTF-8"),
        (b'{"text": "' + "汉".encode()[:2] + b'"}', "invalid UTF-8"),
    ],
)
def test_a_json_line_that_does_not_fit_is_set_aside_with_its_reason(tmp_path, line, reason):
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines([GOOD]) + line + b"\n\n" + as_lines([GOOD]))
    frame, counts, aside = read(path, "documents")
    assert len(frame) == 2 and counts["reasons"] == {reason: 1}
    assert aside.select("file", "row", "reason").rows() == [("a.jsonl", 2, reason)]
    assert len(aside["excerpt"][0]) <= schemas.EXCERPT


@pytest.mark.parametrize(
    "line, reason",
    [
        (b'"never closed,1\n', "bad CSV"),
        (b'"closed" twice,1\n', "bad CSV"),
        (b"one field\n", "not 2 fields"),
        (b"one,two,three\n", "not 2 fields"),
        (b"\xd6\xd0\xce\xc4,1\n", "invalid UTF-8"),
        (b'" ",1\n', "text is empty"),
        (b"a\0b,1\n", "text holds NUL bytes"),
        (b'"' + b"x" * 200_000 + b'",1\n', "bad CSV"),
    ],
)
def test_a_csv_row_that_does_not_fit_is_set_aside_with_its_reason(tmp_path, line, reason):
    (tmp_path / "a.csv").write_bytes("\ufefftext,id\n好的一行,7\n".encode() + line)
    frame, counts, _ = read(tmp_path / "a.csv", "documents")
    assert frame["text"].to_list() == ["好的一行"] and frame["id"].to_list() == ["7"]
    assert counts["reasons"] == {reason: 1}


def test_invalid_utf8_in_parquet_costs_only_its_row(tmp_path):
    text = pa.array(["好的".encode(), b"\xff\xfe", b"fine"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": text, "list": pa.array([["a"], ["b"], ["c"]])}), tmp_path / "a.parquet")
    frame, counts, aside = read(tmp_path / "a.parquet", "documents")
    assert frame["text"].to_list() == ["好的", "fine"] and frame["list"].to_list() == [["a"], ["c"]]
    assert counts["reasons"] == {"invalid UTF-8": 1} and aside["row"].to_list() == [2]


def test_files_that_break_off_are_reported_and_the_others_go_on(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    rows = [GOOD | {"id": str(i), "text": np.random.default_rng(i).bytes(30).hex()} for i in range(3000)]
    pl.DataFrame(rows).write_parquet(folder / "a.parquet")
    (folder / "b.parquet").write_bytes((folder / "a.parquet").read_bytes()[:5000])
    for name, pack in (("c.jsonl.gz", gzip.compress), ("d.jsonl.zst", zstandard.compress)):
        packed = pack(as_lines(rows))
        (folder / name).write_bytes(packed[: len(packed) // 2])
    (folder / "e.jsonl").write_bytes(as_lines(rows))
    table = open_table(f"folder:{folder}", "documents", rejected=tmp_path / "rejected.parquet")
    frame, aside = table.read(), pl.read_parquet(tmp_path / "rejected.parquet")
    assert {"b.parquet", "c.jsonl.gz", "d.jsonl.zst"} <= set(aside["file"])
    assert aside["reason"].str.contains("unreadable|bad JSON").all()
    assert 2 * len(rows) < len(frame) == table.counts["rows"] < 4 * len(rows)


def test_a_column_that_is_missing_fails_at_once_with_file_column_and_remedy(tmp_path):
    for name, data in (("a.csv", b"question,answer\nq,a\n"), ("a.jsonl", as_lines([{"question": "q"}]))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=rf"{name} has no column 'text_a'.*'question'.*columns="):
            open_table(f"folder:{tmp_path / name}", "pairs")
    with pytest.raises(ValueError, match="no column 'frage', which `columns` renames"):
        open_table(f"folder:{tmp_path}/a.csv", "pairs", columns={"frage": "text_a"})
    with pytest.raises(ValueError, match="both 'answer' and 'question'"):
        open_table(f"folder:{tmp_path}/a.csv", "pairs", columns={"answer": "question"})


def test_a_parquet_column_of_another_type_fails_with_its_type(tmp_path):
    pl.DataFrame({"text_a": [1, 2], "text_b": ["x", "y"]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="'text_a' of a.parquet holds int64, not text"):
        open_table(f"folder:{tmp_path}", "pairs").read()


def test_a_change_that_renames_nothing_says_how_to_write_one():
    assert renamed(["问题=query", " a = pos "]) == {"问题": "query", "a": "pos"}
    for change in ("问题", "=query", "问题="):
        with pytest.raises(ValueError, match=f"'{change}' renames no column: write the name"):
            renamed([change])


def test_a_head_that_is_no_utf8_fails_at_once_and_says_how_to_save_it(tmp_path):
    for encoding in ("gb18030", "utf-16"):
        (tmp_path / "a.csv").write_text("问题,答案\n什么？,这个。\n", encoding=encoding)
        with pytest.raises(ValueError, match="at the head of .*a.csv are not UTF-8: save it anew as UTF-8"):
            open_table(f"folder:{tmp_path}/a.csv", "labelled", columns={"问题": "query", "答案": "pos"})


def test_a_cell_of_a_csv_is_a_list_of_one_text_where_a_list_is_wanted(tmp_path):
    lines = [
        "问题,答案,错",
        "什么是光？,看得见的电磁波。,",
        "什么是声？, ,",
        "什么是热？,粒子的运动。,一种颜色。",
    ]
    (tmp_path / "faq.csv").write_text("\n".join(lines), "utf-8-sig")
    columns = {"问题": "query", "答案": "pos", "错": "neg"}
    table = open_table(f"folder:{tmp_path}/faq.csv", "labelled", columns=columns)
    rows = table.read()
    assert rows["query"].to_list() == ["什么是光？", "什么是热？"]
    assert rows["pos"].to_list() == [["看得见的电磁波。"], ["粒子的运动。"]]
    assert rows["neg"].to_list() == [[], ["一种颜色。"]] and set(rows["task"]) == {"retrieval"}
    assert table.counts["reasons"] == {"pos is empty": 1}


def test_a_teachers_questions_and_answers_become_pairs(tmp_path):
    (tmp_path / "lesson.csv").write_text(
        "question,answer,week\n什么是光合作用？,植物用光造糖。,3\n", encoding="utf-8"
    )
    table = open_table(
        f"folder:{tmp_path}/lesson.csv", "pairs", columns={"question": "text_a", "answer": "text_b"}
    )
    assert table.read().to_dicts() == [
        {
            "text_a": "什么是光合作用？",
            "text_b": "植物用光造糖。",
            "source": "lesson",
            "kind": "pair",
            "week": "3",
        }
    ]
    assert table.counts["filled"] == {"source": 1, "kind": 1}


def test_labelled_rows_need_a_positive_and_may_lack_negatives(tmp_path):
    rows = [
        {"query": "q", "pos": ["p"], "task": "sts"},
        {"query": "q", "pos": []},
        {"query": "q", "pos": ["p", " "]},
        {"query": "q", "pos": "p"},
        {"query": "q", "pos": ["p"], "neg": [None]},
    ]
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    frame, counts, _ = read(tmp_path / "a.jsonl", "labelled")
    assert frame.rows() == [("q", ["p"], [], "a", "sts")]
    assert counts["reasons"] == {
        "pos is empty": 1,
        "pos holds an empty text or NUL bytes": 1,
        "pos is no list of texts": 1,
        "neg is no list of texts": 1,
    }


def test_other_columns_pass_through_with_their_types(tmp_path):
    rows = [
        GOOD | {"n": 1, "x": 0.5, "ok": True, "mixed": 1, "deep": {"a": [1]}},
        GOOD | {"n": None, "x": 2.5, "ok": False, "mixed": "one", "deep": None},
    ]
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    frame = open_table(f"folder:{tmp_path}", "documents").read()
    assert (
        frame.schema["n"] == pl.Int64 and frame.schema["x"] == pl.Float64 and frame.schema["ok"] == pl.Boolean
    )
    assert frame["mixed"].to_list() == ["1", '"one"'] and frame["deep"].to_list() == ['{"a": [1]}', None]


def test_a_line_of_fifty_megabytes_is_passed_without_being_held(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines([GOOD]) + b'{"text": "' + b"x" * 50_000_000 + b'"}\n' + as_lines([GOOD]))
    monkeypatch.setattr(records, "LONGEST_ROW", 2**20)
    tracemalloc.start()
    frame, counts, _ = read(path, "documents")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(frame) == 2 and counts["rejected"] == 1 and "longer than" in next(iter(counts["reasons"]))
    assert peak < 10 * 2**20


def test_a_csv_line_beyond_the_limit_is_set_aside_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "LONGEST_ROW", 100)
    (tmp_path / "a.csv").write_text("text,id\n好的一行,1\n" + "x" * 300 + ",2\n又一行,3\n", encoding="utf-8")
    frame, counts, _ = read(tmp_path / "a.csv", "documents")
    assert frame["id"].to_list() == ["1", "3"] and counts["reasons"] == {records.TOO_LONG_REASON: 1}


def test_a_text_beyond_the_limit_is_set_aside_in_parquet_too(tmp_path, monkeypatch):
    monkeypatch.setattr(schemas, "LONGEST_ROW", 10)
    pl.DataFrame([GOOD | {"text": "很长很长的文字"}, GOOD | {"text": "短"}]).write_parquet(
        tmp_path / "a.parquet"
    )
    frame, counts, _ = read(tmp_path / "a.parquet", "documents")
    assert len(frame) == 1 and counts["reasons"] == {"text is longer than 10 bytes": 1}


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_shards_are_bounded_by_rows_and_by_bytes(tmp_path, monkeypatch, name):
    for module in (columnar, records):
        monkeypatch.setattr(module, "ROWS_PER_SHARD", 100)
        monkeypatch.setattr(module, "BYTES_PER_SHARD", 20_000)
    rows = [GOOD | {"id": str(i), "text": ("字" if i < 250 else "长" * 300) + str(i)} for i in range(300)]
    if name.endswith("parquet"):
        pl.DataFrame(rows).write_parquet(tmp_path / name, row_group_size=50)
    else:
        (tmp_path / name).write_bytes(as_lines(rows))
    shards = list(open_table(f"folder:{tmp_path / name}", "documents"))
    assert pl.concat(shards)["id"].to_list() == [str(i) for i in range(300)]
    assert max(map(len, shards)) <= 100
    assert max(shard["text"].str.len_bytes().sum() for shard in shards) <= 2 * 20_000


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv"])
def test_a_row_keeps_its_number_across_shards(tmp_path, monkeypatch, name):
    for module in (columnar, records):
        monkeypatch.setattr(module, "ROWS_PER_SHARD", 10)
    rows = [GOOD | {"text": " " if i == 33 else "字"} for i in range(40)]
    if name.endswith("parquet"):
        pl.DataFrame(rows).write_parquet(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(
            as_lines(rows) if "jsonl" in name else as_csv(rows, tmp_path / "plain.txt")
        )
    assert read(tmp_path / name, "documents")[2]["row"].to_list() == [34 + name.endswith("csv")]


def test_rows_limits_and_no_file_is_read_beyond_it(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_bytes(as_lines(ROWS))
    table = open_table(f"folder:{tmp_path}", "pairs", rows=35)
    assert len(table.read()) == 35 == table.counts["rows"]
    (tmp_path / "b.jsonl").write_bytes(as_lines(ROWS) + b"not JSON\n")
    table = open_table(f"folder:{tmp_path}", "pairs", rows=30)
    assert len(table.read()) == 30 and table.counts["rejected"] == 0


def test_a_draw_per_source_is_exact_repeatable_and_keeps_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROWS_PER_SHARD", 7)
    (tmp_path / "a.jsonl").write_bytes(as_lines(ROWS) + b"not JSON\n")
    draws = [open_table(f"folder:{tmp_path}", "pairs", per_source=6, seed=seed) for seed in (1, 1, 2)]
    one, again, other = (table.read() for table in draws)
    assert one.equals(again) and not one.equals(other)
    assert dict(one.group_by("source").len().rows()) == {"书": 6, "报": 6}
    numbers = [int(text.removeprefix("题目")) for text in one["text_a"]]
    assert numbers == sorted(numbers) and draws[0].counts["rejected"] == 1
    everything = open_table(f"folder:{tmp_path}", "pairs", per_source=1000).read()
    assert len(everything) == len(ROWS)


def test_the_drawn_rows_are_those_with_the_lowest_lots():
    rng = np.random.default_rng(0)
    shards = [pl.DataFrame({"source": rng.choice(["a", "b", "c"], n), "i": range(n)}) for n in (50, 3, 80)]
    bounds = sampling.lowest_lots(shards, per_source=5, seed=4)
    drawn = pl.concat(sampling.drawn_rows(shards, bounds, seed=4))
    whole = pl.concat(shard.with_columns(sampling.lots(n, len(shard), 4)) for n, shard in enumerate(shards))
    for source in "abc":
        slow = sorted(whole.filter(pl.col("source") == source)["lot"])[:5]
        lots = whole.filter(pl.col("source") == source, pl.col("lot").is_in(slow))
        assert drawn.filter(pl.col("source") == source)["i"].to_list() == lots["i"].to_list()


def test_a_table_of_which_nothing_fits_says_why(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,id\n" + "中文,1\n".encode("gbk") * 3)
    with pytest.raises(ValueError, match="no row that fits a table of documents.*3 × invalid UTF-8.*UTF-8"):
        open_table(f"folder:{tmp_path}/a.csv", "documents").read()


@pytest.mark.parametrize(
    "name, kind, message",
    [
        ("folder:/no/such/place", "pairs", "does not exist"),
        ("world:pairs", "documents", "names no table of documents"),
        ("wrld:pairs", "pairs", "write world:pairs"),
        ("hub:only-a-name", "pairs", "no address of a dataset"),
        ("world:pairs", "pair", "no kind of table"),
    ],
)
def test_a_name_that_opens_nothing_is_an_error_with_a_remedy(name, kind, message):
    with pytest.raises(ValueError, match=message):
        open_table(name, kind)


def test_a_folder_without_tables_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match="holds no such file.*parquet"):
        open_table(f"folder:{tmp_path}", "pairs")


def test_an_empty_file_is_an_empty_table(tmp_path):
    (tmp_path / "a.jsonl").touch()
    frame, counts, aside = read(tmp_path / "a.jsonl", "pairs")
    assert frame.columns == ["text_a", "text_b", "source", "kind"] and frame.is_empty() and aside.is_empty()
    assert counts["rows"] == counts["rejected"] == 0


def test_the_embedded_world_is_a_table_like_any_other():
    table = open_table("world:documents", "documents", rows=40, seed=3)
    assert len(table.read()) == 40 and table.counts["rejected"] == 0
    assert not table.read().equals(open_table("world:documents", "documents", rows=40, seed=4).read())


LINE = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(str.encode),
    st.dictionaries(
        st.sampled_from(["text", "id", "more"]),
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=3),
        ),
        max_size=3,
    ).map(lambda record: json.dumps(record).encode()),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, max_size=8))
def test_of_any_bytes_every_line_is_kept_or_set_aside(tmp_path, lines):
    data = b"\n".join([as_lines([GOOD]).strip(), *lines])
    (tmp_path / "a.jsonl").write_bytes(data)
    frame, counts, aside = read(tmp_path / "a.jsonl", "documents")
    written = sum(bool(line.strip()) for line in data.split(b"\n"))
    assert len(frame) + len(aside) == written == counts["rows"] + counts["rejected"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_csv_that_is_read_to_its_end(tmp_path, data):
    (tmp_path / "a.csv").write_bytes(b"text,id\ngood,1\n" + data)
    frame, counts, aside = read(tmp_path / "a.csv", "documents")
    assert frame["text"][0] == "good" and len(frame) == counts["rows"] and len(aside) == counts["rejected"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.binary(max_size=12), min_size=1, max_size=10))
def test_any_bytes_in_parquet_are_kept_or_set_aside(tmp_path, texts):
    column = pa.array([b"good", *texts], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    frame, counts, aside = read(tmp_path / "a.parquet", "documents")
    assert len(frame) + len(aside) == len(texts) + 1 == counts["rows"] + counts["rejected"]
