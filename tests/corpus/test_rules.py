"""Every rule keeps what it should keep, and sets aside what its name says."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.corpus import rules

BY_NAME = {rule.name: rule for rule in rules.RULES}
LONG = "这一段写的是泡菜的做法，盐水要先烧开放凉，坛子要洗净晾干，菜要沥干水，最后在坛沿加水，密封二十天。"


def stays(name: str, **columns) -> list[bool]:
    return BY_NAME[name].judge(pl.DataFrame(columns)).to_list()


def lines(*texts: str, document: int = 0, source: str = "s", kind: str = "text") -> pl.DataFrame:
    count = len(texts)
    return pl.DataFrame(
        {"text": texts, "document": [document] * count, "source": [source] * count, "kind": [kind] * count}
    )


@pytest.mark.parametrize(
    "name, goes, remains",
    [
        ("wordless", ["———", "...", ""], ["好", "3", "a"]),
        (
            "site",
            [
                "版权所有 万物手册",
                "责任编辑：小林",
                "上一篇：没有了",
                "本文由 LCTT 原创编译",
                "来源：知识角",
                "您当前的位置：首页",
            ],
            ["他的来源：不明的收入", "页面设计的基础知识", LONG + "版权所有" + LONG],
        ),
        (
            "contact",
            [
                "咨询电话：000-5550-5075",
                "投诉邮箱：tousu@example.com",
                "手机 13812345678",
                "微信号：example_7",
                "QQ群 123456789",
                "请拨 010-69005529",
            ],
            [
                "微信分享怎么弄啊？",
                "手机看新闻用什么软件",
                "12345 市民热线条例",
                "第 13812345678901 号",
                "电话系统概述：来自外部的呼叫",
            ],
        ),
        (
            "advert",
            [
                "点击领取优惠券！",
                "扫描二维码下载",
                "加盟奶茶店，总部扶持",
                "买一送一，货到付款",
                "添加客服，免费领取食谱",
            ],
            ["单击“保存”。", "点击按钮后页面会刷新", "优惠券代码表", "香囊被抢购一空"],
        ),
    ],
)
def test_a_rule_for_lines(name, goes, remains):
    assert not any(BY_NAME[name].judge(lines(*goes)))
    assert all(BY_NAME[name].judge(lines(*remains)))


def test_a_line_stands_once_in_a_document_a_heading_as_often_as_it_likes():
    assert BY_NAME["again"].judge(lines("甲 乙", "丙", "甲乙\u200b", "丙")).to_list() == [
        True,
        True,
        False,
        False,
    ]
    assert all(BY_NAME["again"].judge(lines("示例", "示例", kind="heading")))
    two = pl.concat([lines("甲"), lines("甲", document=1)])
    assert all(BY_NAME["again"].judge(two))


def test_a_line_of_all_of_a_sources_documents_goes():
    shard = pl.concat(
        [lines("央视网消息：", f"第{n}条新闻", document=n) for n in range(30)]
        + [lines("央视网消息：", document=99, source="other")]
    )
    kept = shard.filter(BY_NAME["everywhere"].judge(shard))
    assert kept.filter(pl.col("source") == "s")["text"].to_list() == [f"第{n}条新闻" for n in range(30)]
    assert len(kept) == 31
    rare = pl.concat(lines("选择 确定。" if n < 30 else f"第{n}句", document=n) for n in range(700))
    assert all(BY_NAME["everywhere"].judge(rare))
    few = pl.concat(lines("选择 确定。", document=n) for n in range(20))
    assert all(BY_NAME["everywhere"].judge(few))


@pytest.mark.parametrize(
    "name, goes, remains",
    [
        ("short", ["太短", "  短 " * 10], [LONG]),
        (
            "broken",
            [LONG.encode().decode("gbk", errors="replace"), LONG.encode().decode("latin-1")],
            [LONG, "李愬" + LONG],
        ),
        (
            "chinese",
            ["This page is in English.", "Привет, мир", "これはペンです", "12345", ""],
            [LONG, "用 Python 写脚本"],
        ),
        (
            "sentences",
            ["顶\n沙发\n路过\n11111\n好", "a\nb\nc\nd 3.5 e\nf"],
            ["顶\n沙发\n路过\n好", "顶\n沙发\n路过\n好。\n好", LONG],
        ),
        ("symbols", ["$$$ ### 好 !!!", "{[()]} = ; 字"], [LONG]),
    ],
)
def test_a_rule_for_documents(name, goes, remains):
    assert not any(stays(name, text=goes)) and all(stays(name, text=remains))


def test_a_document_goes_of_which_the_rules_for_lines_left_less_than_half():
    assert stays("noise", lines_after=[5, 4, 0], lines_before=[10, 10, 0]) == [True, False, True]


@pytest.mark.parametrize(
    "name, a, b, kept",
    [
        ("short sides", " ", LONG, False),
        ("short sides", "牛", "丑", True),
        ("short sides", "甲乙", "丙 丁", True),
        ("long sides", "甲乙", "字" * 4001, False),
        ("long sides", "甲乙", "字" * 4000, True),
        ("broken sides", "标题", LONG.encode().decode("gbk", errors="replace"), False),
        ("broken sides", "李愬", LONG, True),
        ("chinese sides", "hello", "world", False),
        ("chinese sides", "你好", "hello", True),
        ("symbol sides", "标题", "{}[]();=", False),
        ("symbol sides", "标题", LONG, True),
        ("contact sides", "怎么联系", "QQ：876250852", False),
        ("contact sides", "电话号码管理", LONG, True),
        ("same sides", "甲 乙", "甲乙\u200b", False),
        ("same sides", "甲乙", "甲乙丙", True),
    ],
)
def test_a_rule_for_pairs(name, a, b, kept):
    assert stays(name, text_a=[a], text_b=[b]) == [kept]


@settings(max_examples=60, deadline=None)
@given(a=st.text(max_size=30), b=st.text(max_size=30))
def test_every_rule_answers_for_every_text(a, b):
    frames = {
        rules.LINES: lines(a, b),
        rules.DOCUMENTS: pl.DataFrame({"text": [a, b], "lines_after": [1, 2], "lines_before": [3, 3]}),
        rules.PAIRS: pl.DataFrame({"text_a": [a, b], "text_b": [b, a]}),
    }
    for rule in rules.RULES:
        answer = rule.judge(frames[rule.stage])
        assert answer.dtype == pl.Boolean and answer.null_count() == 0 and len(answer) == 2


def test_rules_have_names_of_their_own_and_reasons():
    assert len(BY_NAME) == len(rules.RULES) and all(
        rule.reason and rule.stage in rules.STAGES for rule in rules.RULES
    )


def test_limits_change_and_rules_are_switched_off():
    changed = {
        rule.name: rule.limit for rule in rules.chosen(["chinese=0.5", "symbols=off", "same sides=off"])
    }
    assert changed["chinese"] == 0.5 and "symbols" not in changed and "same sides" not in changed
    assert len(changed) == len(rules.RULES) - 2 and BY_NAME["chinese"].limit == 0.3


@pytest.mark.parametrize(
    "change, message",
    [
        ("chinse=0.5", "changes no rule.*NAME chinese"),
        ("chinese", "sets no limit.*chinese=NUMBER or chinese=off"),
        ("chinese=much", "sets no limit"),
        ("same sides=3", "write same sides=off"),
        ("chinese=-1", "sets no limit"),
    ],
)
def test_a_change_that_means_nothing_is_an_error_with_a_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        rules.chosen([change])
