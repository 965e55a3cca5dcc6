"""Every form of document becomes the same kind of page, and nothing that is written breaks the reading."""

import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpack_lib.corpus.structure import pages
from cpack_lib.corpus.structure.markup import (
    ABSTRACT,
    ACCEPTED,
    ANSWER,
    CODE,
    HEADING,
    LEAD,
    PASSAGE,
    QUERY,
    QUESTION,
    TEXT,
    Block,
)
from cpack_lib.corpus.structure.pages import blocks_of, form_of, read_page, without_site

HTML = """<!DOCTYPE html><html><head><title>怎么做泡菜 - 美食网</title><style>p {}</style></head><body>
<ul class="nav"><li><a href="/">首页</a></li><li><a href="/a">菜谱</a></li></ul>
<h1>怎么做泡菜</h1><p>泡菜是用<b>盐水</b>发酵的<a href="/s">蔬菜</a>。<br>四川人家家都有。</p>
<h2>准备&nbsp;坛子</h2><ul><li>盐 50 克</li><li>花椒</li></ul><pre>salt = 50</pre>
<div class="ad">买一送一</div><p><a href="/1">更多</a> <a href="/2">菜谱</a></p>
<p><strong>小提示：</strong></p><p>别沾油
。</p><table><tr><th>料</th><th>量</th></tr><tr><td>盐</td><td>50</td></tr></table>
<script>alert("<p>不是文字</p>")</script><!-- 注释 --><div id="footer">版权所有</div></body></html>"""
PAGE = [
    Block(HEADING, "怎么做泡菜", 1),
    Block(TEXT, "泡菜是用盐水发酵的蔬菜。"),
    Block(TEXT, "四川人家家都有。"),
    Block(HEADING, "准备 坛子", 2),
    Block(TEXT, "盐 50 克"),
    Block(TEXT, "花椒"),
    Block(CODE, "salt = 50"),
    Block(HEADING, "小提示", 6),
    Block(TEXT, "别沾油 。"),
    Block(TEXT, "料 | 量"),
    Block(TEXT, "盐 | 50"),
]


def test_html_gives_its_content_without_menus_adverts_scripts_and_footers():
    assert read_page(HTML) == ("html", "怎么做泡菜", PAGE)


def test_markdown_gives_the_same_blocks_with_html_front_matter_and_directives_in_it():
    text = (
        "---\ntitle: '怎么做泡菜'\ntags:\n  - 菜\n---\n\n# <a name=\"how\"></a>怎么做泡菜\n\n"
        "[!include [banner](../x.md)]\n\n泡菜是用**盐水**发酵的[蔬菜](http://x.y)。\n<!-- more -->\n\n"
        "![图](a.png)\n\n准备坛子\n------\n\n* 盐 50 克\n* 花椒\n\n<p>别沾油。</p>\n\n```\nsalt = 50\n```\n\n"
        "[查看原文](http://x.y)\n\n| 料 | 量 |\n|---|---|\n| 盐 | 50 |\n"
    )
    assert read_page(text) == (
        "markdown",
        "怎么做泡菜",
        [
            PAGE[0],
            PAGE[1],
            Block(HEADING, "准备坛子", 2),
            PAGE[4],
            PAGE[5],
            Block(TEXT, "别沾油。"),
            PAGE[6],
            PAGE[9],
            PAGE[10],
        ],
    )


def test_docbook_gives_its_names_titles_and_paragraphs():
    text = """<?xml version="1.0" encoding="utf-8"?><!-- $Revision$ -->
    <refentry xmlns="http://docbook.org/ns/docbook"><refnamediv>
    <refname>lcg_value</refname>
    <refpurpose>随机数</refpurpose></refnamediv>
    <refsect1 role="description">&reftitle.description;
    <methodsynopsis><type>float</type></methodsynopsis>
    <constructorsynopsis><modifier>public</modifier></constructorsynopsis>
    <para><function>lcg_value</function> 返回 (0, 1)
      的数 &lt; 1，或 &null;&nbsp;&mdash;&note.no-remote;</para></refsect1>
      <refsect1><title>示例</title><para>见下。</para>
      <programlisting><![CDATA[<?php echo 1; ?>]]></programlisting></refsect1>
      <refsect1 role="seealso">&reftitle.seealso;<para>mt_rand</para></refsect1></refentry>"""
    form, title, blocks = read_page(text)
    assert (form, title) == ("docbook", "lcg_value")
    assert [(block.kind, block.text) for block in blocks] == [
        (HEADING, "lcg_value"),
        (TEXT, "随机数"),
        (HEADING, "说明"),
        (CODE, "float"),
        (CODE, "public"),
        (TEXT, "lcg_value 返回 (0, 1) 的数 < 1，或 null —"),
        (HEADING, "示例"),
        (TEXT, "见下。"),
        (CODE, "<?php echo 1; ?>"),
    ]


def test_plain_text_has_its_title_and_headings_at_the_heads():
    text = (
        "认识银杏\n\n银杏是一种落叶乔木。\n\n生长环境\n银杏喜光，\n耐寒。\n\n"
        "一、用途\n观赏。\n\n只是短\n\n银杏什么时候结果？\n秋天。"
    )
    assert [(block.level, block.text) for block in read_page(text).blocks] == [
        (1, "认识银杏"),
        (0, "银杏是一种落叶乔木。"),
        (2, "生长环境"),
        (0, "银杏喜光，"),
        (0, "耐寒。"),
        (2, "一、用途"),
        (0, "观赏。"),
        (0, "只是短"),
        (2, "银杏什么时候结果？"),
        (0, "秋天。"),
    ]


def test_a_record_asks_its_question_before_its_body():
    text = json.dumps(
        {"question": "盐放多少", "title": "泡菜的盐_百度知道", "text": "五十克。\n- 少放\n"},
        ensure_ascii=False,
    )
    assert read_page(text) == (
        "record",
        "泡菜的盐",
        [Block(QUERY, "盐放多少"), Block(PASSAGE, "五十克。"), Block(TEXT, "少放")],
    )
    assert form_of('{"other": "x"}') == form_of("{not JSON}") == "plain"


def test_a_forums_dump_asks_with_even_numbers_and_answers_with_odd_ones():
    text = (
        "前文的尾巴\n\n5 +++$+++ 甲 +++$+++ 先看文档\n6 +++$+++ 乙 +++$+++ 怎么删除对象\n"
        "7 +++$+++ 丙 +++$+++ 用这个：\nremove()\n\n8 +++$+++ 丁 +++$+++ \n"
    )
    assert read_page(text).blocks == [
        Block(ANSWER, "先看文档"),
        Block(QUESTION, "怎么删除对象"),
        Block(ANSWER, "用这个： remove()"),
    ]


def kinds_of(text: str, title: str = "") -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in read_page(text, title).blocks]


def test_a_record_has_an_abstract_a_summary_answers_and_passages_in_their_order():
    record = {
        "headline": "泡菜\n丰收",
        "summary": "坛子不够用了。",
        "abstract": "一。\n二。",
        "query": "盐放\n多少",
        "answers": [{"text": "五十克。"}, {"text": "看坛子。"}, 3, None],
        "best_answer": "五十克，够了。",
        "passages": ["甲段。\n第二行。", {"passage": "乙段。"}, [["太深"]]],
        "id": 7,
    }
    assert kinds_of(json.dumps(record)) == [
        (ABSTRACT, "一。"),
        (ABSTRACT, "二。"),
        (LEAD, "坛子不够用了。"),
        (QUESTION, "盐放 多少"),
        (ACCEPTED, "五十克，够了。"),
        (ANSWER, "五十克。"),
        (ANSWER, "看坛子。"),
        (QUERY, "盐放 多少"),
        (PASSAGE, "甲段。"),
        (TEXT, "第二行。"),
        (PASSAGE, "乙段。"),
    ]
    assert read_page(json.dumps(record)).title == "泡菜 丰收"


@pytest.mark.parametrize("name", ["class", "id", "itemprop"])
def test_html_says_which_answer_was_accepted(name):
    text = (
        '<html><h1>水面起白膜怎么办</h1><div>坛子才三天。</div><div class="answers">'
        f'<div {name}="answer"><div class="vote-count">15</div><p>撇掉。</p><p>加盐。</p></div>'
        f'<div {name}="accepted-answer answer"><div class="answer-body"><p>加白酒。</p>'
        "<p>别沾油。</p></div></div>"
        f'<p>还有 <b {name}="answer">四十二</b> 条。</p></div></html>'
    )
    assert kinds_of(text)[1:] == [
        (TEXT, "坛子才三天。"),
        (ANSWER, "撇掉。"),
        (TEXT, "加盐。"),
        (ACCEPTED, "加白酒。"),
        (TEXT, "别沾油。"),
        (TEXT, "还有 四十二 条。"),
    ]


def test_a_line_says_that_the_next_one_is_the_accepted_answer():
    chosen = "被提问者采纳\n五十克。\n其他回答（2）\n都行。\n最佳答案：六十克。\n推荐答案在下面的人"
    assert kinds_of(f"先说一句。\n问：盐放多少？\n看口味。\n{chosen}")[2:] == [
        (TEXT, "看口味。"),
        (ACCEPTED, "五十克。"),
        (ANSWER, "都行。"),
        (ACCEPTED, "六十克。"),
        (TEXT, "推荐答案在下面的人"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "# 泡菜\n\n## 摘 要\n\n本文讲盐。\n\n关键词：盐\n\n## 引言\n\n从前。",
        "<h1>泡菜</h1><p>【摘要】本文讲盐。</p><p>关键词：盐</p><h2>引言</h2><p>从前。</p>",
        "泡菜\n\n内容提要：本文讲盐。\n关键词：盐\n\n引言\n从前。",
        "泡菜\n\n摘要：本文讲盐。 关键词：盐\n\n引言\n从前。",
    ],
)
def test_what_stands_under_or_behind_the_word_abstract_is_the_abstract(text):
    assert kinds_of(text)[1:] == [
        (ABSTRACT, "本文讲盐。"),
        (TEXT, "关键词：盐"),
        (HEADING, "引言"),
        (TEXT, "从前。"),
    ]


def test_a_later_section_of_that_name_is_a_section():
    text = "# 泡菜\n\n## 历史\n\n从前。\n\n## 概要\n\n到此为止。"
    assert kinds_of(text)[-2:] == [(HEADING, "概要"), (TEXT, "到此为止。")]
    assert kinds_of("# 泡菜\n\n摘要写得很短。") == [(HEADING, "泡菜"), (TEXT, "摘要写得很短。")]


def test_a_short_cell_is_one_value_and_a_long_one_a_part_of_the_page():
    row = "<tr><td><p>盐</p><p>粗</p></td><td><ul><li>五十克</li></ul></td></tr>"
    layout = f"<tr><td><p>{'长' * 60}</p><p>{'久' * 60}</p></td><td><h2>坛子</h2><p>洗净。</p></td></tr>"
    assert kinds_of(f"<html><table>{row}{layout}</table></html>") == [
        (TEXT, "盐 粗 | 五十克"),
        (TEXT, "长" * 60),
        (TEXT, "久" * 60),
        (HEADING, "坛子"),
        (TEXT, "洗净。"),
    ]


def test_exponents_are_kept_and_references_are_not():
    cited = "泡菜<sup>[12]</sup>很酸<sup><a>[注 3]</a></sup>，1<sup>st</sup>"
    text = f"<html><p>1 &lt;= n &lt;= 10<sup>5</sup>，x<sup>-1</sup>，{cited}</p>"
    assert kinds_of(text) == [(TEXT, "1 <= n <= 10^5，x^-1，泡菜很酸，1st")]


def test_the_title_of_a_book_without_a_name_is_its_first_heading():
    text = """<?xml version="1.0"?><reference xmlns="http://docbook.org/ns/docbook"><title>坛子类</title>
    <titleabbrev>坛</titleabbrev><section>&reftitle.intro;<para>坛子装泡菜。</para></section></reference>"""
    assert read_page(text).title == "坛子类"
    assert kinds_of(text) == [(HEADING, "坛子类"), (HEADING, "简介"), (TEXT, "坛子装泡菜。")]


def test_a_forums_tags_and_code_are_no_text():
    code = "[mw_shl_code=js,true]a[0] = 1;[/mw_shl_code]"
    post = f"用这个：{code}[color=red]加[b]粗[/b][/color][attach]12[/attach] x[0]"
    text = f"2 +++$+++ 甲 +++$+++ 怎么加粗\n3 +++$+++ 乙 +++$+++ {post}\n5 +++$+++ 丙 +++$+++ [code]x = 1"
    assert kinds_of(text) == [(QUESTION, "怎么加粗"), (ANSWER, "用这个： 加粗 x[0]")]


def test_sections_and_turns_are_counted_in_each_document():
    texts = ["问：盐呢？\n答：有。\n多。\n答：没有。\n问：水呢？\n答：有。", "一行文字。"]
    blocks = blocks_of(pl.DataFrame({"text": texts, "source": ["s", "s"]}))
    assert blocks.select("document", "section", "turn").rows() == [
        (0, 1, 0),
        (0, 1, 1),
        (0, 1, 1),
        (0, 1, 2),
        (0, 2, 0),
        (0, 2, 1),
        (1, 0, 0),
    ]


@pytest.mark.parametrize(
    "line, kinds",
    [
        ("问：水起白膜怎么办？", [(QUESTION, "水起白膜怎么办？")]),
        ("A: 加一点白酒。", [(ANSWER, "加一点白酒。")]),
        ("Q1：为什么？答：因为沾了油。", [(QUESTION, "为什么？"), (ANSWER, "因为沾了油。")]),
        ("问题是没有盐", [(TEXT, "问题是没有盐")]),
    ],
)
def test_a_line_that_says_who_speaks(line, kinds):
    assert [(block.kind, block.text) for block in read_page(f"开头的一句话。\n{line}").blocks[1:]] == kinds


@pytest.mark.parametrize(
    "title, short",
    [
        ("泡菜怎么做_美食网", "泡菜怎么做"),
        ("泡菜怎么做 - 菜谱 - 美食网", "泡菜怎么做"),
        ("收费多少?-3158财富湖南", "收费多少?"),
        ("COVID-19 的传播", "COVID-19 的传播"),
        ("甲_乙", "甲_乙"),
        ("", ""),
    ],
)
def test_a_title_without_its_site(title, short):
    assert without_site(title) == short


def test_a_stated_title_comes_before_one_that_is_found():
    documents = pl.DataFrame(
        {"text": ["# 甲\n\n一行", "两行\n文字"], "title": ["乙", None], "source": ["s", "s"]}
    )
    assert blocks_of(documents).select("document", "title", "text").rows() == [
        (0, "乙", "甲"),
        (0, "乙", "一行"),
        (1, "两行", "两行"),
        (1, "两行", "文字"),
    ]


def test_markdown_beyond_its_limit_is_read_as_plain_lines(monkeypatch):
    monkeypatch.setattr(pages, "LONGEST_MARKDOWN", 10)
    assert form_of("# 泡菜\n\n短") == "markdown" and form_of("# 泡菜\n\n" + "长" * 10) == "plain"


def test_a_line_that_repeats_the_title_is_a_heading():
    page = read_page("【转载】来自网络\n怎么做泡菜\n泡菜要用盐水。", "怎么做泡菜")
    assert [block.kind for block in page.blocks] == [HEADING, HEADING, TEXT]


def test_a_shard_without_documents_has_no_blocks():
    assert blocks_of(pl.DataFrame(schema={"text": pl.String, "source": pl.String})).is_empty()


PIECES = [
    "<p>",
    "</div>",
    "<h1",
    "<!--",
    "]]>",
    "<![CDATA[",
    "&nbsp;",
    "&#xD800;",
    "&#0;",
    "&bad",
    "# ",
    "\n",
    "```",
    "- ",
    "> ",
    "[a](b)",
    "![",
    "**",
    "问：",
    "答：",
    "---\n",
    "title: x\n",
    '{"text": "',
    '"}',
    "0 +++$+++ a +++$+++ ",
    "<?xml version='1.0'?>",
    "<book xmlns='docbook'>",
    "\u200b",
    "\x00",
    "<a|b>",
    "<svg/onload=>",
    "<table><tr>",
    "　",
    "第一章 总则",
    "摘要：",
    "最佳答案",
    "<td>",
    "<sup>",
    '<div class="accepted-answer">',
    '{"query": "甲\\n", "passages": ["',
    '"]}',
    "[code]",
    "\ufffd",
    "<html>",
    "<script>",
    "|",
]
MARKUP = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=25).map("".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.one_of(
        MARKUP, st.text(max_size=80), st.binary(max_size=60).map(lambda data: data.decode("latin-1"))
    )
)
def test_whatever_is_written_is_read_as_lines(text):
    page = read_page(text)
    for block in page.blocks:
        assert (
            block.text
            and (block.kind == CODE or "\n" not in block.text)
            and (block.level > 0) == (block.kind == HEADING)
        )
    frame = blocks_of(pl.DataFrame({"text": [text], "source": ["s"]}))
    assert len(frame) == len(page.blocks)


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 20_000,
        "<html>" + "<b>" * 20_000,
        "> " * 20_000,
        "[" * 20_000,
        "# x\n" + "![" * 20_000,
        "\u200b" * 100_000,
        '{"a":' + "[" * 50_000,
        '{"text":' * 900 + '"x"' + "}" * 900,
        "<html><table>" + "<tr><td>x</td>" * 20_000,
        "<table><tr><td>" * 20_000,
        "摘要：\n" + "最佳答案\n字\n" * 20_000,
        "1 +++$+++ a +++$+++ " + "[code]" * 5_000,
        "# 字\n" + "字" * 1_000_000,
    ],
)
def test_hostile_pages_are_read_too(text):
    read_page(text)
