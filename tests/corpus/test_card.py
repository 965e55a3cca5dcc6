"""The data card: its numbers are the folder's, the hub's readers take it, and no text breaks it."""

import html
import re

import polars as pl
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from cpack_lib.corpus.card import write_card
from cpack_lib.corpus.card.markdown import escaped, plain, table
from cpack_lib.corpus.card.sections import licence_of
from cpack_lib.corpus.card.tally import drawn_pairs, quantiles
from cpack_lib.corpus.clean.contamination import decontamination
from cpack_lib.corpus.clean.funnel import ASIDE, COUNTS
from cpack_lib.corpus.clean.rules import RULES
from cpack_lib.corpus.copies.keys import copies
from cpack_lib.corpus.copies.near import near_copies
from cpack_lib.corpus.curate import curate
from cpack_lib.corpus.parts import PAIRS_WRITTEN, TEXTS_WRITTEN
from cpack_lib.corpus.read.sources import open_table

MARKDOWN = MarkdownIt("commonmark").enable("table")
HOSTILE = [
    "a|b|c\n| --- | --- |\n| x | y |",
    "<script>alert(1)</script><img src=x onerror=y>",
    "![p](http://example.com/p.png) [l](javascript:x) <http://example.com>",
    "`code` **bold** _slanted_ __init__ ~~gone~~ $x$ # head \\| &lt; &amp; {{ x }}",
    "---\nlicense: mit\n---\r\n\u2028- list\x0b1. one\x85two",
    "\u202egnirts\u202c\u200b\x00\x1b[31m www.example.com WWW.example.com a@example.com https://example.com",
    "",
    "   \n\t ",
    "||||",
    "\\",
    "字" * 500,
]


def folder_of(path, pairs=(), texts=(), rejected=(), steps=(), per_shard=3, **more):
    """A folder such as `curate` writes; rows as tuples in the order of the columns, `more` for all pairs."""
    for name, schema, rows in (
        ("pairs", PAIRS_WRITTEN, pairs),
        ("texts", TEXTS_WRITTEN, texts),
        ("rejected", ASIDE, rejected),
    ):
        frame = pl.DataFrame(list(rows), schema=schema, orient="row")
        frame = frame.with_columns(**more) if name == "pairs" else frame
        shards = list(frame.iter_slices(per_shard)) if len(frame) else [frame]
        (path / name).mkdir(parents=True)
        for number, shard in enumerate(shards):
            shard.write_parquet(path / name / f"train-{number:05}-of-{len(shards):05}.parquet")
    funnel = pl.DataFrame(list(steps), schema={"step": pl.Int64, **COUNTS}, orient="row")
    funnel.write_csv(path / "funnel.csv")
    return path


def rows_of_tables(text) -> dict[str, list[list[str]]]:
    """The cells of the tables below each heading, as a reader sees them, and nothing but text in them."""
    found, heading, tokens = {}, "", MARKDOWN.parse(DatasetCard(text).text)
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = tokens[number + 1].content
        elif token.type == "tr_open":
            found.setdefault(heading, []).append([])
        elif token.type == "inline" and tokens[number - 1].type in ("td_open", "th_open"):
            assert {child.type for child in token.children} <= {"text", "text_special"}, token.content
            found[heading][-1].append("".join(child.content for child in token.children))
        assert token.type != "html_block"
    return found


def pair(a="甲问", b="乙答", source="书", kind="qa", document=None, licence=None):
    return (a, b, source, kind, document, licence)


@pytest.fixture
def known(tmp_path):
    """A folder with numbers that can be counted by hand."""
    pairs = [pair("甲" * n, "乙" * (2 * n), "网", "title_body", f"{n}", "CC0-1.0") for n in range(1, 21)]
    pairs += [
        pair("問", "一 two words here", "书"),
        pair("how are you today", "你好吗", "书", licence="not stated"),
    ]
    texts = [("丙" * 30, "网", "1", "CC0-1.0"), ("丁" * 50, "书", None, "MIT")]
    found = [("pairs", "evaluation", "sts/a; sts/b", None, "书", "qa", "问", "答")] * 2
    found += [("texts", "evaluation runs", "sts/a", "7", "网", None, None, "答")]
    found += [("lines", "advert", None, "8", "店", None, "题", "买一送一")]
    steps = [
        (1, "sides", "masked", "网", 40, 40, 900, 890),
        (2, "pairs", "evaluation", "网", 30, 30, 800, 800),
        (2, "pairs", "evaluation", "书", 10, 8, 90, 70),
        (3, "pairs", "evaluation runs", "网", 30, 28, 800, 700),
        (3, "pairs", "evaluation runs", "书", 8, 8, 70, 70),
        (4, "set", "pair again", "网", 36, 27, 770, 600),
        (5, "set", "pair nearly again", "网", 27, 22, 600, 500),
        (6, "texts", "text again", "网", 4, 3, 200, 150),
    ]
    return folder_of(tmp_path / "known", pairs, texts, found, steps, page=pl.lit(3))


def test_the_numbers_are_those_of_the_folder(known):
    text = write_card(known, "集", {"same_text": "2"}).read_text("utf-8")
    tables = rows_of_tables(text)
    assert tables["What it holds"][1:] == [
        ["pairs", "22", "text_a, text_b, source, kind, document, licence, page"],
        ["texts", "2", "text, source, document, licence"],
        ["rejected", "4", "stage, rule, detail, document, source, kind, text_a, text_b"],
    ]
    assert tables["How it was made"][1:] == [["same_text", "2"]]
    assert tables["Sources"][1:] == [
        ["网", "20", "90.91", "1", "title_body", "CC0-1.0"],
        ["书", "2", "9.09", "1", "qa", "not stated (2), MIT (1)"],
    ]
    assert tables["Licences"][1:] == [["CC0-1.0", "20", "1"], ["not stated", "2", "0"], ["MIT", "0", "1"]]
    assert tables["Kinds and lengths"][1:3] == [
        ["title_body", "20", "1", "10", "19", "2", "20", "38"],
        ["qa", "2", "1", "1", "17", "3", "3", "16"],
    ]
    assert tables["Kinds and lengths"][3][:2] == ["all", "22"]
    assert tables["Kinds and lengths"][-1] == ["2", "30", "30", "50"]
    assert tables["What each rule set aside"][1:4] == [
        ["sides", "masked", "40", "40", "0.00", "900", "890"],
        ["pairs", "evaluation", "40", "38", "5.00", "890", "870"],
        ["pairs", "evaluation runs", "38", "36", "5.26", "870", "770"],
    ]
    assert tables["Evaluation texts"][1:] == [
        ["sts/a", "evaluation", "2"],
        ["sts/b", "evaluation", "2"],
        ["sts/a", "evaluation runs", "1"],
    ]
    for said in (
        "exact copies, width, case and white space aside: 9 of 36 pairs (25.00 %) and 1 of 4 texts (25.00 %)",
        "near copies, by the likeness of their character n-grams: 5 of 27 pairs (18.52 %);",
        "that enough pairs have already: not looked for",
        "4 of 40 pairs (10.00 %)",
        "The licence of 2 of 24 pairs and texts (8.33 %) is not stated",
        "No document is named for 2 of 22 pairs (9.09 %)",
        "1 of 4 rows set aside (25.00 %) are of sources without a row that stayed",
        "masked by patterns",
        "No model judged",
        "1 of 24 pairs and texts (4.17 %) have one",
    ):
        assert said in text


def test_the_front_matter_is_what_the_hub_reads(known):
    path = write_card(known, "集: C-MTP", {})
    card = DatasetCard.load(path)
    assert path == known / "README.md" and not (known / ".README.md").exists()
    data = card.data.to_dict()
    assert data["pretty_name"] == "集: C-MTP" and data["language"] == ["zh", "en"]
    assert data["task_categories"] == ["sentence-similarity", "feature-extraction"]
    assert data["size_categories"] == ["n<1K"] and data["license"] == "other"
    assert [(each["config_name"], each.get("default")) for each in data["configs"]] == [
        ("pairs", True),
        ("texts", None),
        ("rejected", None),
    ]


@pytest.mark.parametrize(
    "names, licence",
    [
        (["Apache-2.0"], {"license": "apache-2.0"}),
        (["CC-BY-SA-4.0"], {"license": "cc-by-sa-4.0"}),
        (["ODC-By 1.0"], {"license": "other", "license_name": "odc-by-1.0"}),
        (["自用"], {"license": "other", "license_name": "see-below"}),
        (["MIT", "not stated"], {"license": "other", "license_name": "several"}),
        (["not stated"], {"license": "unknown"}),
        ([], {"license": "unknown"}),
    ],
)
def test_a_licence_is_claimed_for_all_only_if_all_have_it(names, licence):
    assert licence_of(names) == licence


@pytest.mark.parametrize("name", ["pairs", "texts", "rejected", None])
def test_datasets_loads_each_set_by_its_name(known, tmp_path, name):
    write_card(known, "集", {})
    loaded = load_dataset(str(known), name, cache_dir=str(tmp_path / "cache"))["train"]
    written = pl.read_parquet(known / (name or "pairs") / "*.parquet")
    assert loaded.column_names == written.columns
    assert [tuple(row.values()) for row in loaded] == written.rows()


def test_without_what_was_set_aside_the_rest_still_loads(known, tmp_path):
    for file in (known / "rejected").iterdir():
        file.unlink()
    card = DatasetCard.load(write_card(known, "集", {}))
    assert [each["config_name"] for each in card.data.configs] == ["pairs", "texts"]
    assert "4 of 40 pairs (10.00 %)" in card.text
    assert len(load_dataset(str(known), "texts", cache_dir=str(tmp_path / "cache"))["train"]) == 2


def test_hostile_texts_are_shown_and_do_nothing(tmp_path):
    pairs = [pair(text, text[::-1], text, text, text, text) for text in HOSTILE]
    texts = [(text, text, text, text) for text in HOSTILE]
    found = [("pairs", "evaluation", text, text, text, text, text, text) for text in HOSTILE]
    steps = [(1, "pairs", "evaluation", text, 2, 1, 9, 3) for text in HOSTILE]
    folder = folder_of(tmp_path / "set [1]=*", pairs, texts, found, steps)
    text = write_card(folder, HOSTILE[4] + "\ud800", dict(zip(HOSTILE, HOSTILE, strict=True))).read_text(
        "utf-8"
    )
    card = DatasetCard(text)
    assert card.data.license == "other" and len(card.data.configs) == 3
    body = re.sub(r"```.*?```", "", card.text, flags=re.DOTALL)
    assert not re.search(r"<[a-z]|://|www\.|\w@\w|[\u202e\u200b\x00\x1b\x0b\x85\u2028]", body, re.IGNORECASE)
    tables = rows_of_tables(text)
    widths = {heading: {len(row) for row in rows} for heading, rows in tables.items()}
    assert widths.pop("Kinds and lengths") == {8, 4} and all(len(each) == 1 for each in widths.values())
    seen = {tuple(row) for row in tables["Samples"][1:]}
    sides = {(plain(text, 80).strip(), plain(text[::-1], 80).strip()) for text in HOSTILE}
    assert {(one.strip(), other.strip()) for _, one, other, _ in seen} == sides
    assert MARKDOWN.parse(card.text)[0].type == "heading_open"


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_escaped_reads_as_it_was(text):
    assert html.unescape(escaped(text)) == plain(text)
    [shown] = [
        token for token in MARKDOWN.parse(f"| h |\n| --- |\n| x{escaped(text)}y |") if "x" in token.content
    ]
    assert {child.type for child in shown.children} <= {"text", "text_special"}
    assert "".join(child.content for child in shown.children) == f"x{plain(text)}y"


def test_a_text_is_cut_and_says_so():
    assert plain("字" * 81, 80) == "字" * 80 + "…" and plain("字" * 80, 80) == "字" * 80
    assert plain("一 \r\n\n 二\t 三\u200b") == "一 / 二 三"
    assert plain("字" + " " * 10**7 + "尾", 80) == "字…"


def test_a_long_table_is_cut_and_says_so():
    long = table(["n"], ([n] for n in range(1, 1061)))
    assert long.endswith("and 1,010 more.") and long.count("\n|") == 51


@pytest.mark.parametrize("licence", [None, "not stated"])
def test_licences_that_nobody_told_are_counted(tmp_path, licence):
    folder = folder_of(tmp_path / "set", [pair(licence=licence), pair("丙", "丁")], [])
    text = write_card(folder, "集", {}).read_text("utf-8")
    assert DatasetCard(text).data.license == "unknown"
    assert "The licence of 2 of 2 pairs and texts (100.00 %) is not stated" in text
    assert rows_of_tables(text)["Licences"][1:] == [["not stated", "2", "0"]]


def test_an_empty_set_has_a_card(tmp_path):
    curate([], [], tmp_path / "nothing", list(RULES))
    for folder in (tmp_path / "nothing", folder_of(tmp_path / "empty")):
        text = write_card(folder, "空", {}).read_text("utf-8")
        card = DatasetCard(text)
        assert "configs" not in card.data.to_dict() and card.data.size_categories == ["n<1K"]
        assert rows_of_tables(text)["Kinds and lengths"][1] == ["all", *["0"] * 7]
        assert "may know the answers" in text and "nan" not in text.lower()


def test_a_folder_without_a_funnel_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"funnel.csv does not exist.*curate"):
        write_card(tmp_path, "集", {})


def test_samples_are_drawn_by_the_seed_from_all_shards(tmp_path):
    pairs = [pair(f"问{n}", f"答{n}", kind="ab"[n % 2]) for n in range(200)] + [pair("独", "一", kind="c")]
    folder = folder_of(tmp_path / "set", pairs, per_shard=7)
    files = sorted((folder / "pairs").iterdir())
    draws = [drawn_pairs(files, seed) for seed in range(20)]
    assert draws[3].equals(drawn_pairs(files, 3)) and not draws[3].equals(draws[4])
    for drawn in draws:
        assert drawn["kind"].to_list() == ["a"] * 3 + ["b"] * 3 + ["c"]
        assert set(drawn.select("text_a", "text_b", "source", "kind").rows()) <= {row[:4] for row in pairs}
        assert drawn["text_a"].is_unique().all()
    numbers = pl.concat(draws).filter(kind="a")["text_a"].str.slice(1).cast(pl.Int64)
    assert 70 < numbers.mean() < 130 and numbers.n_unique() > 35


def test_quantiles_are_the_smallest_lengths_that_enough_rows_do_not_exceed():
    lengths = pl.Series([(7 * n * n) % 101 for n in range(357)])
    rows = pl.DataFrame({"kind": "k", "text_a": [("字" * n) for n in lengths]}).lazy()
    for found in quantiles(rows, "text_a").iter_rows():
        for percent, length in zip((5, 50, 95), found[2:], strict=True):
            assert 100 * (lengths <= length).sum() >= percent * 357 > 100 * (lengths < length).sum()


def test_the_card_of_a_run_agrees_with_its_funnel(tmp_path):
    rules = [*RULES, *decontamination("world:evaluation", tmp_path / "known")]
    tables = [open_table(f"world:{kind}", kind, rows=500, seed=5) for kind in ("documents", "pairs")]
    funnel = curate(*tables, tmp_path / "run", rules, [*copies(2), *near_copies(0.7)])
    text = write_card(tmp_path / "run", "world", {"seed": "5"}).read_text("utf-8")
    shown = rows_of_tables(text)
    size = {row[0]: int(row[1].replace(",", "")) for row in shown["What it holds"][1:]}
    last = [row for row in shown["What each rule set aside"] if row[0] == "set"][-1]
    assert int(last[3].replace(",", "")) == size["pairs"] > 0
    lost = funnel.select(pl.col("rows_in").sum() - pl.col("rows_out").sum()).item()
    assert lost == size["rejected"]
    assert len(shown["What each rule set aside"]) == funnel["step"].n_unique() + 1
    assert write_card(tmp_path / "run", "world", {"seed": "5"}).read_text("utf-8") == text
