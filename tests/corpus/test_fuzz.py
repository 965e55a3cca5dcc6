"""Whatever lies in a file of pages: nothing crashes, and every line is kept, set aside or counted."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpack_lib.corpus.clean.rules import RULES
from cpack_lib.corpus.copies.keys import copies
from cpack_lib.corpus.copies.near import near_copies
from cpack_lib.corpus.curate import curate
from cpack_lib.corpus.read.sources import open_table

SENTENCE = "泡菜是一种用盐水发酵的蔬菜，四川人家家都有一个坛子。"
PIECES = [
    *("<p>", "</div>", "<table><tr><td>", "<h2", "&nbsp;&#0;", "<!--", "]]>", "<script>", "<?xml ?><book>"),
    *("# 题\n", "---\n", "```", "|a|b|\n|-|-|\n", "问：", "答：", "{", "[[", "\n\n", "1 +++$+++ a +++$+++ "),
    *("\u200b" * 50, "\u202e", "\u2066", "\ufeff", "\u0000", "\ud800", "\udfff", "\U0010ffff", "\x1b[2J"),
    *(
        "電話13800138000",
        "QQ：123456",
        "哈" * 30,
        "\u0301" * 40,
        "Ａ１",
        SENTENCE,
        SENTENCE[:9] + "，" + SENTENCE[9:],
    ),
]
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=12).map("".join)
FIELDS = st.sampled_from(["甲", "乙"])
PAGE = st.fixed_dictionaries({"id": st.text(max_size=4), "text": TEXT, "source": FIELDS, "licence": FIELDS})
PAIR = st.fixed_dictionaries({"text_a": TEXT, "text_b": TEXT, "source": FIELDS, "kind": FIELDS})


def lines_of(record: st.SearchStrategy[dict]) -> st.SearchStrategy[list[bytes]]:
    """Lines of a file: records, cut records, and bytes that mean nothing."""
    whole = record.map(lambda fields: json.dumps(fields).encode())
    cut = st.tuples(whole, st.integers(0, 40)).map(lambda both: both[0][: -both[1] or None])
    random = st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b""))
    return st.lists(whole | whole | cut | random, max_size=12)


def table(folder: Path, kind: str, lines: list[bytes]):
    """The lines as a table of this kind; None where not one of them is a row of it."""
    path = folder / f"{kind}.jsonl"
    path.write_bytes(b"\n".join(lines))
    try:
        found = open_table(f"folder:{path}", kind, rejected=folder / f"unfit_{kind}.parquet")
        found.read()
    except ValueError:  # a whole file without a row, or without the columns, is refused in one sentence
        return None
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(pages=lines_of(PAGE), pairs=lines_of(PAIR))
def test_every_line_is_accounted_for(pages, pairs):
    with TemporaryDirectory() as name:
        folder = Path(name)
        tables = [table(folder, "documents", pages), table(folder, "pairs", pairs)]
        for found, lines in zip(tables, (pages, pairs), strict=True):
            filled = [line for line in lines if line.strip()]
            assert found is None or found.counts["rows"] + found.counts["rejected"] == len(filled)
        rules = [*copies(2), *near_copies(0.7)]
        funnel = curate(tables[0] or [], tables[1] or [], folder / "run", RULES, rules)
        kept, texts, gone = (
            sum(len(frame) for frame in read(folder, name)) for name in ("pairs", "texts", "rejected")
        )
        lost = funnel.filter(~pl.col("stage").is_in(["pages", "sides"]))
        assert (lost["rows_in"] - lost["rows_out"]).sum() == gone
        ends = funnel.filter(pl.col("step") == pl.col("step").max().over("stage")).group_by("stage")
        left = dict(ends.agg(pl.col("rows_out").sum()).rows())
        assert kept == left.get("set", 0) and texts == left.get("texts", 0)
        first = funnel.filter(pl.col("step") == 1)["rows_in"].sum()
        assert first == (tables[0].counts["rows"] if tables[0] else 0)


def read(folder: Path, name: str) -> list[pl.DataFrame]:
    """The shards of one of the three sets."""
    return [pl.read_parquet(path) for path in sorted((folder / "run" / name).iterdir())]
