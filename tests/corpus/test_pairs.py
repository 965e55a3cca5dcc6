"""Pages become pairs of seven kinds, the same as a loop over their blocks would make."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.corpus.structure import pages, pairs

BODY = "这是一段足够长的正文，用来说明这一节的内容。"


def frame(*blocks: tuple, title: str = "泡菜", document: int = 0) -> pl.DataFrame:
    rows = [(document, "书", title, kind, level, text) for kind, level, text in blocks]
    read = list(pages.COLUMNS.items())[:-2]
    return pages.numbered(pl.DataFrame(rows, schema=dict(read), orient="row"))


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


def test_a_page_that_answers_its_title_makes_questions_and_no_title_with_a_page():
    blocks = frame(
        ("heading", 1, "盐放多少才够"),
        ("text", 0, "坛子不大。"),
        ("answer", 0, BODY),
        ("text", 0, "再多也行。"),
        ("accepted", 0, f"五十克。{BODY}"),
        title="盐放多少才够",
    )
    answers = [("盐放多少才够", f"五十克。{BODY}"), ("盐放多少才够", f"{BODY}\n再多也行。")]
    for page in (blocks, pages.numbered(blocks[1:])):  # with the title in the text, and above it only
        assert sides(pairs.question_answer(page)) == answers
        assert pairs.title_body(page).is_empty()


def test_a_title_with_what_sums_the_page_up_which_is_not_in_its_body():
    blocks = frame(
        ("heading", 1, "泡菜"), ("abstract", 0, BODY), ("abstract", 0, BODY), ("text", 0, f"正文：{BODY}")
    )
    assert sides(pairs.title_abstract(blocks)) == [("泡菜", f"{BODY}\n{BODY}")]
    assert sides(pairs.title_body(blocks)) == [("泡菜", f"正文：{BODY}")]
    assert pairs.title_abstract(frame(("abstract", 0, BODY), title="")).is_empty()
    assert sides(pairs.headline_summary(frame(("lead", 0, BODY), ("text", 0, BODY)))) == [("泡菜", BODY)]


STORY = "今年各地的泡菜大丰收，家家户户忙着晾坛子，菜价比去年同期低了一成，农户说盐水不够用了。"


@pytest.mark.parametrize(
    "dateline, lead, rest, made",
    [
        ("央视网消息（新闻联播）：", STORY, STORY * 2, True),
        ("新华社北京5月3日电（记者张三）", STORY, STORY * 2, True),
        ("本报讯 ", STORY, STORY * 2, True),
        ("【人民网北京5月3日电】", STORY, STORY * 2, True),
        ("", STORY, STORY * 2, False),
        ("本网子报表的", STORY, STORY * 2, False),
        ("央视网消息：", STORY, STORY, False),
        ("央视网消息：", "太短。", STORY * 2, False),
        ("央视网消息：", STORY * 5, STORY * 20, False),
    ],
)
def test_a_headline_with_the_first_paragraph_of_its_story(dateline, lead, rest, made):
    blocks = frame(
        ("heading", 1, "晚报"),
        ("heading", 2, "泡菜丰收"),
        ("text", 0, dateline + lead),
        ("text", 0, rest),
        title="晚报",
    )
    assert sides(pairs.headline_summary(blocks)) == ([("泡菜丰收", lead)] if made else [])
    alone = frame(("text", 0, dateline + lead), ("text", 0, rest), title="泡菜丰收")
    assert sides(pairs.headline_summary(alone)) == ([("泡菜丰收", lead)] if made else [])
    assert not set(sides(pairs.headline_summary(alone))) & set(sides(pairs.title_body(alone)))


def test_a_query_with_each_of_its_passages():
    blocks = frame(
        ("query", 0, "泡菜盐"),
        ("passage", 0, BODY),
        ("text", 0, "第二行。"),
        ("passage", 0, f"另一段。{BODY}"),
        ("passage", 0, "太短。"),
    )
    assert sides(pairs.query_passage(blocks)) == [
        ("泡菜盐", f"{BODY}\n第二行。"),
        ("泡菜盐", f"另一段。{BODY}"),
    ]
    assert pairs.question_answer(blocks).is_empty() and pairs.heading_section(blocks).is_empty()


def test_what_followed_a_lost_heading_or_question_makes_no_pair():
    blocks = frame(
        ("question", 0, "盐放多少才够？"),
        ("answer", 0, "五十克。"),
        ("question", 0, "我的电话是多少？"),
        ("answer", 0, "不告诉你。"),
        ("heading", 2, "联系"),
        ("text", 0, BODY),
    )
    kept = blocks.filter(~pl.col("text").is_in(["我的电话是多少？", "联系"]))
    assert sides(pairs.question_answer(kept)) == [("盐放多少才够？", "五十克。")]
    assert pairs.heading_section(kept).is_empty()


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
        "由于泡菜是一种发酵的蔬菜，所以它会变酸。",
        "泡菜主要是一种用盐水发酵的蔬菜。",
        "泡菜是一种",
    ],
)
def test_a_line_about_something_unnamed_makes_no_pair(line):
    assert pairs.entity_description(frame(("text", 0, line))).is_empty()


KINDS = st.sampled_from(
    [("heading", 1), ("heading", 2)]
    + [(kind, 0) for kind in ("text", "question", "answer", "accepted", "query", "passage")]
)
BLOCK = st.tuples(KINDS, st.text("泡菜盐水？。", min_size=1, max_size=14)).map(
    lambda block: (*block[0], block[1])
)


def slow_sections(blocks: list[tuple], title: str) -> list[tuple[str, str, list[list[tuple]]]]:
    """(opener, head, its turns as lists of (kind, text)) of every section, by a loop."""
    found: list[tuple[str, str, list[list[tuple]]]] = [("heading", title, [[]])]
    for kind, _, text in blocks:
        if kind in pages.OPENING:
            found.append((kind, text, [[]]))
        elif kind in pages.TURNING:
            found[-1][2].append([(kind, text)])
        else:
            found[-1][2][-1].append((kind, text))
    return found


def slow_pairs(blocks: list[tuple], title: str) -> dict[str, list[tuple[str, str]]]:
    """The pairs of three kinds that a document makes."""
    made: dict[str, list] = {"heading_section": [], "question_answer": [], "query_passage": []}
    for place, (opener, head, turns) in enumerate(slow_sections(blocks, title)):
        bodies = ["\n".join(text for _, text in turn) for turn in turns]
        whole = "\n".join(text for turn in turns for _, text in turn)
        if place and opener == "heading" and head[-1] != "？" and head != title and len(whole) >= 20:
            made["heading_section"].append((f"{title}：{head}" if title else head, whole))
        if opener == "query":
            made["query_passage"] += [(head, body) for body in bodies[1:] if len(body) >= 20]
        answered = len(turns) > 1
        asked = answered if head == title else head.endswith("？")
        if (opener == "question" or (opener == "heading" and asked)) and len(head) >= 6:
            order = range(1, len(turns)) if answered else [0]
            order = sorted(order, key=lambda turn: ("accepted" not in dict(turns[turn]), turn))
            made["question_answer"] += [(head, bodies[turn]) for turn in order if len(bodies[turn]) >= 4]
    return made


@settings(max_examples=300, deadline=None)
@given(
    documents=st.lists(st.lists(BLOCK, max_size=10), min_size=1, max_size=3),
    title=st.sampled_from(["", "泡菜", "盐水泡菜怎么做？"]),
)
def test_sections_questions_and_queries_equal_those_of_a_loop(documents, title):
    blocks = pl.concat(frame(*rows, title=title, document=n) for n, rows in enumerate(documents))
    for kind in ("heading_section", "question_answer", "query_passage"):
        by_loop = [pair for rows in documents for pair in slow_pairs(rows, title)[kind]]
        assert sides(pairs.MAKERS[kind](blocks)) == by_loop


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
    assert len(pairs.MAKERS) == 7


def test_a_shard_without_blocks_makes_no_pairs():
    assert pairs.pairs_of(frame()).is_empty()
