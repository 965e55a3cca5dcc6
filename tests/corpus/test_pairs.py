"""Pages become pairs of four kinds, the same as a loop over their blocks would make."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.corpus import pages, pairs

BODY = "这是一段足够长的正文，用来说明这一节的内容。"


def frame(*blocks: tuple, title: str = "泡菜", document: int = 0) -> pl.DataFrame:
    rows = [(document, "书", title, kind, level, text) for kind, level, text in blocks]
    return pl.DataFrame(rows, schema=pages.COLUMNS, orient="row")


def sides(made: pl.DataFrame) -> list[tuple[str, str]]:
    return made.select("text_a", "text_b").rows()


def test_a_title_with_its_page_without_headings_and_questions():
    blocks = frame(
        ("heading", 1, "泡菜"),
        ("text", 0, BODY),
        ("heading", 2, "坛子"),
        ("question", 0, "问什么？"),
        ("answer", 0, BODY),
    )
    assert sides(pairs.title_body(blocks)) == [("泡菜", f"{BODY}\n{BODY}")]
    assert pairs.title_body(frame(("text", 0, BODY), title="")).is_empty()
    assert pairs.title_body(frame(("text", 0, "太短"))).is_empty()


def test_a_heading_with_its_section_under_the_title():
    blocks = frame(
        ("heading", 1, "泡菜"),
        ("text", 0, BODY),
        ("heading", 2, "坛子"),
        ("text", 0, BODY),
        ("text", 0, "晾干。"),
        ("heading", 2, "空的"),
        ("heading", 2, "什么盐好？"),
        ("text", 0, BODY),
    )
    assert sides(pairs.heading_section(blocks)) == [("泡菜：坛子", f"{BODY}\n晾干。")]
    assert sides(pairs.heading_section(blocks.with_columns(title=pl.lit(""))))[1] == (
        "坛子",
        f"{BODY}\n晾干。",
    )


def test_a_question_with_what_is_said_until_the_next():
    blocks = frame(
        ("heading", 1, "泡菜怎么做？"),
        ("text", 0, BODY),
        ("heading", 2, "用什么盐最好？"),
        ("text", 0, "井盐最好。"),
        ("question", 0, "水面起白膜怎么办？"),
        ("answer", 0, "加酒。"),
        ("text", 0, "撇去。"),
        ("question", 0, "为什么？"),
        ("answer", 0, "因为沾了油。"),
        title="泡菜怎么做？",
    )
    assert sides(pairs.question_answer(blocks)) == [
        ("用什么盐最好？", "井盐最好。"),
        ("水面起白膜怎么办？", "加酒。\n撇去。"),
    ]


@pytest.mark.parametrize(
    "line, name",
    [
        ("泡菜是一种用盐水发酵的蔬菜。", "泡菜"),
        ("银杏（学名 Ginkgo biloba），又称白果树，是落叶乔木。", "银杏"),
        ("《三体》是一部科幻小说，作者刘慈欣。", "三体"),
        ("海岸带保护规划是指对海岸的安排。", "海岸带保护规划"),
        ("Rust 是一门系统编程语言，注重安全。", "Rust"),
        ("月宫里的玉兔就是人们常说的兔子。", "月宫里的玉兔"),
    ],
)
def test_a_name_with_the_line_that_says_what_it_is(line, name):
    assert sides(pairs.entity_description(frame(("text", 0, line)))) == [(name, line)]


@pytest.mark.parametrize(
    "line",
    [
        "这是一种用盐水发酵的蔬菜。",
        "很多人认为一旦用过就是专家了。",
        "它就是我们说的那种坛子菜。",
        "李强是在会议结束之后抵达的。",
        "今年是一个丰收的好年景啊。",
        "泡菜是一种",
    ],
)
def test_a_line_about_something_unnamed_makes_no_pair(line):
    assert pairs.entity_description(frame(("text", 0, line))).is_empty()


KINDS = st.sampled_from([("heading", 1), ("heading", 2), ("text", 0), ("question", 0), ("answer", 0)])
BLOCK = st.tuples(KINDS, st.text("泡菜盐水？。", min_size=1, max_size=14)).map(
    lambda block: (*block[0], block[1])
)


def slow_sections(blocks: list[tuple], title: str, opens: set[str]) -> list[tuple[str, str, str]]:
    """(kind, first text, the lines after it) of every stretch, by a loop."""
    found: list[list] = []
    for kind, _, text in blocks:
        if kind in opens:
            found.append([kind, text, []])
        elif found:
            found[-1][2].append(text)
    return [(kind, text, "\n".join(lines)) for kind, text, lines in found]


@settings(max_examples=200, deadline=None)
@given(
    documents=st.lists(st.lists(BLOCK, max_size=8), min_size=1, max_size=3),
    title=st.sampled_from(["", "泡菜", "盐？"]),
)
def test_sections_and_questions_equal_those_of_a_loop(documents, title):
    blocks = pl.concat(frame(*rows, title=title, document=n) for n, rows in enumerate(documents))
    sections = [s for rows in documents for s in slow_sections(rows, title, {"heading"})]
    headed = [
        (f"{title}：{head}" if title else head, body)
        for _, head, body in sections
        if head != title and head[-1] != "？" and len(body) >= pairs.SHORTEST_BODY
    ]
    turns = [s for rows in documents for s in slow_sections(rows, title, {"heading", "question"})]
    asked = [
        (head, body)
        for kind, head, body in turns
        if (kind == "question" or (head[-1] == "？" and head != title))
        and len(head) >= pairs.SHORTEST_QUESTION
        and len(body) >= pairs.SHORTEST_ANSWER
    ]
    assert sides(pairs.heading_section(blocks)) == headed
    assert sides(pairs.question_answer(blocks)) == asked


@pytest.mark.parametrize(
    "text, short",
    [
        ("短。", "短。"),
        ("一二三四。六七八九十", "一二三四。"),
        ("一。三四五六七八九十一", "一。三四五六七"),
        ("一二三四五六七八九", "一二三四五六七"),
        ("一二三四\n六七八", "一二三四"),
    ],
)
def test_a_long_text_is_cut_at_the_end_of_a_sentence(text, short):
    assert pl.DataFrame({"t": [text]}).select(pairs.cut(pl.col("t"), 7)).item() == short


def test_only_the_kinds_that_are_asked_for_are_made_and_text_b_is_cut():
    blocks = frame(("heading", 2, "坛子"), ("text", 0, BODY * 40), title="泡菜")
    made = pairs.pairs_of(blocks, ["heading_section"], longest=100)
    assert made["kind"].to_list() == ["heading_section"] and made["text_b"].str.len_chars().max() <= 100
    assert set(pairs.pairs_of(blocks)["kind"]) == {"heading_section", "title_body"}
    assert set(pairs.MAKERS) == {"title_body", "heading_section", "question_answer", "entity_description"}


def test_a_shard_without_blocks_makes_no_pairs():
    assert pairs.pairs_of(frame()).is_empty()
