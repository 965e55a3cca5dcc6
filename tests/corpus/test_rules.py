"""Every rule keeps what it should keep, and sets aside what its name says."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.corpus.clean import rules, text

BY_NAME = {rule.name: rule for rule in rules.RULES}
LONG = "这一段写的是泡菜的做法，盐水要先烧开放凉，坛子要洗净晾干，菜要沥干水，最后在坛沿加水，密封二十天。"


def stays(name: str, **columns) -> list[bool]:
    return BY_NAME[name].judge(pl.DataFrame(columns)).to_list()


def lines(*texts: str, document: int = 0, source: str = "s", kind: str = "text") -> pl.DataFrame:
    count = len(texts)
    return pl.DataFrame(
        {"text": texts, "document": [document] * count, "source": [source] * count, "kind": [kind] * count}
    )


def texts(*texts: str) -> pl.DataFrame:
    return pl.DataFrame({"text": texts, "page": texts})


def pairs(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["text_a", "text_b"], orient="row")


def thirty(*shared: str) -> pl.DataFrame:
    """Thirty documents with lines that they share and one of their own."""
    return pl.concat(lines(*shared, f"第{n}条新闻", document=n) for n in range(30))


TORN = LONG.encode().decode("gbk", errors="replace")
ROWS = {  # of every rule: rows that it sets aside, and rows that look like them and stay
    "wordless": (lines("———", "...", ""), lines("好", "3", "a")),
    "site": (
        lines(
            "版权所有 万物手册",
            "责任编辑：小林",
            "上一篇：没有了",
            "本文由 LCTT 原创编译",
            "来源：知识角",
            "您当前的位置：首页",
            "（更新时间戳：1698238313873）",
        ),
        lines("他的来源：不明的收入", "页面设计的基础知识", "显示全部文件", LONG + "版权所有" + LONG),
    ),
    "contact": (
        lines(
            "咨询电话：000-5550-5075",
            "投诉邮箱：tousu@example.com",
            "手机 13812345678",
            "微信号：example_7",
            "QQ群 123456789",
            "请拨 010-69005529",
            "加我〔账号〕",
            "写信到〔邮箱〕",
        ),
        lines(
            "微信分享怎么弄啊？",
            "手机看新闻用什么软件",
            "12345 市民热线条例",
            "第 13812345678901 号",
            "电话系统概述：来自外部的呼叫",
            "国发〔2018〕16号",
            LONG + LONG + LONG + "〔电话〕",
        ),
    ),
    "advert": (
        lines(
            "点击领取优惠券！",
            "扫描二维码下载",
            "加盟奶茶店，总部扶持",
            "买一送一，货到付款",
            "添加客服，免费领取食谱",
        ),
        lines("单击“保存”。", "点击按钮后页面会刷新", "优惠券代码表", "香囊被抢购一空"),
    ),
    "again": (
        lines("甲 乙", "丙", "甲乙\u200b", "丙")[2:],
        pl.concat([lines("甲", "乙"), lines("甲", document=1), lines("示例", "示例", kind="heading")]),
    ),
    "everywhere": (thirty("央视网消息：", "下一条"), lines("央视网消息：", "下一条")),
    "noise": (
        pl.DataFrame({"lines_after": [4, 0], "lines_before": [10, 1]}),
        pl.DataFrame({"lines_after": [5, 0], "lines_before": [10, 0]}),
    ),
    "short": (texts("太短", "  短 " * 10), texts(LONG, "字" * 30)),
    "broken": (texts(TORN, LONG.encode().decode("latin-1")), texts(LONG, "李愬" + LONG)),
    "sentences": (
        texts("顶\n沙发\n路过\n11111\n好", "a\nb\nc\nd 3.5 e\nf"),
        texts("顶\n沙发\n路过\n好", "顶\n沙发\n路过\n好。\n好", LONG),
    ),
    "chinese": (
        texts("This page is in English.", "Привет, мир", "これはペンです", "12345", ""),
        texts(LONG, "用 Python 写脚本"),
    ),
    "symbols": (texts("$$$ ### 好 !!!", "{[()]} = ; 字"), texts(LONG, "令 a = b，再把它加一。")),
    "repeated": (
        texts("\n".join([LONG] * 3), f"泡菜\n{LONG}\n好\n" + f"{LONG}\n" * 2),
        texts(f"{LONG}\n{LONG}", f"{LONG}\n" + "是\n否\n" * 20, ""),
    ),
    "flood": (
        texts("哈" * 40, "真好。" + "顶楼主" * 9, "好的好的" * 8 + "\n路过"),
        texts(LONG, f"哈哈哈哈哈，{LONG}", f"{LONG}{'a' * 20}", "-" * 60, "0" * 40, "…" * 40, ""),
    ),
    "spam": (
        texts(
            "真人荷官 百家乐 时时彩 澳门金沙，稳赚不赔",
            "专业办证，刻章，代开发票，黑户贷款。" + LONG,
            "傻逼，脑残，王八蛋！",
        ),
        texts(
            "六合彩是香港的一种彩票，六合彩每周搅珠三次。六合彩、六合彩、六合彩。",
            f"民警提醒：网上的百家乐和时时彩都是骗局，不要相信稳赚不赔的话。{LONG}{LONG}",
            "到派出所办证要带什么？",
            "他骂了一句“王八蛋”，转身就走。",
            "",
        ),
    ),
    "short sides": (
        pairs((" ", LONG), (LONG, "")),
        pairs(("牛", "丑"), ("甲乙", "丙 丁")),
    ),
    "long sides": (
        pairs(("甲乙", "字" * 4001), ("字" * 4001, "甲乙")),
        pairs(("甲乙", "字" * 4000), ("字" * 4000, "甲乙")),
    ),
    "broken sides": (pairs(("标题", TORN), (TORN, TORN)), pairs(("李愬", LONG), ("ÀÉ", LONG))),
    "chinese sides": (
        pairs(("hello", "world"), ("これは", "ペンです")),
        pairs(("你好", "hello"), ("world", "世界")),
    ),
    "symbol sides": (
        pairs(("标题", "{}[]();="), ("？！……—", LONG)),
        pairs(("标题", LONG), ("标题", "f(x) = y")),
    ),
    "contact sides": (
        pairs(("怎么联系", "QQ：876250852"), ("电话是多少", "〔电话〕")),
        pairs(("电话号码管理", LONG), ("怎么联系", f"{LONG}{LONG}〔电话〕")),
    ),
    "flood sides": (
        pairs(("怎么样", "哈" * 20), ("顶楼主" * 6, LONG)),
        pairs(("怎么样", "哈哈哈哈哈哈"), ("郁郁葱葱", LONG), ("1 + 1", "0" * 30)),
    ),
    "spam sides": (
        pairs(("真人荷官", "百家乐，时时彩，稳赚不赔"), ("办证", "刻章，代开发票，刷单")),
        pairs(("六合彩是什么", "六合彩是一种彩票。"), ("办证和刻章合法吗", LONG)),
    ),
    "bare sides": (
        pairs(("怎么做序列帧", "http://example.com/a?b=1"), ("群号多少", "141578440"), ("——", LONG)),
        pairs(("怎么做", "看 http://example.com"), ("一加一", "二"), ("2 个", "3 个")),
    ),
    "same sides": (
        pairs(("甲 乙", "甲乙\u200b"), ("電話", "电话")),
        pairs(("甲乙", "甲乙丙"), ("甲乙", "乙甲")),
    ),
}
TOGETHER = {  # rules that judge a line by the others: the rows that they set aside, among those that stay
    "again": (lines("甲 乙", "丙", "甲乙\u200b", "丙"), [True, True, False, False]),
    "everywhere": (thirty("央视网消息：", "下一条"), [False, False, True] * 30),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_rule_sets_two_rows_aside_and_keeps_two_that_look_like_them(name):
    goes, remains = ROWS[name]
    assert len(goes) >= 2 and len(remains) >= 2
    if name in TOGETHER:
        frame, kept = TOGETHER[name]
        assert BY_NAME[name].judge(frame).to_list() == kept
    else:
        assert not BY_NAME[name].judge(goes).any()
    assert BY_NAME[name].judge(remains).all()


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


@settings(max_examples=60, deadline=None)
@given(a=st.text(max_size=30), b=st.text(max_size=30))
def test_every_rule_answers_for_every_text(a, b):
    frames = {
        rules.LINES: lines(a, b),
        rules.DOCUMENTS: texts(a, b).with_columns(lines_after=pl.Series([1, 2]), lines_before=pl.lit(3)),
        rules.PAIRS: pl.DataFrame({"text_a": [a, b], "text_b": [b, a]}),
    }
    for rule in rules.RULES:
        answer = rule.judge(frames[rule.stage])
        assert answer.dtype == pl.Boolean and answer.null_count() == 0 and len(answer) == 2


def test_rules_have_names_of_their_own_and_reasons():
    names = [step.name for step in [*rules.RULES, *text.REPAIRS]]
    assert len(set(names)) == len(names)
    assert all(rule.reason and rule.stage in rules.STAGES for rule in rules.RULES)


def test_limits_change_and_rules_and_repairs_are_switched_off():
    changes = ["chinese=0.5", "symbols=off", "same sides=off", "masked=off"]
    limits = {rule.name: rule.limit for rule in rules.chosen(changes)}
    assert limits["chinese"] == 0.5 and "symbols" not in limits and "same sides" not in limits
    assert len(limits) == len(rules.RULES) - 2 and BY_NAME["chinese"].limit == 0.3
    left = [repair.name for repair in rules.chosen_repairs(changes)]
    assert left == [repair.name for repair in text.REPAIRS if repair.name != "masked"]


@pytest.mark.parametrize("name", [step.name for step in [*rules.RULES, *text.REPAIRS]])
def test_every_rule_and_repair_has_a_switch(name):
    change = [f"{name}=off"]
    left = [step.name for step in rules.chosen(change) + rules.chosen_repairs(change)]
    assert name not in left and len(left) == len(rules.RULES) + len(text.REPAIRS) - 1


def test_examples_are_the_shortest_rows_of_each_rule_in_any_order():
    aside = pl.DataFrame(
        [
            ("pairs", "same sides", "短", "短"),
            ("pairs", "same sides", "长一点的标题", "长一点的标题"),
            ("pairs", "same sides", "比它更长的一个标题", "比它更长的一个标题"),
            ("lines", "site", None, "责任编辑：小林小林"),
            ("lines", "contact", "", "电"),
        ],
        schema=["stage", "rule", "text_a", "text_b"],
        orient="row",
    )
    found = rules.examples(aside)
    assert found.rows() == [aside.row(4), aside.row(3), aside.row(1), aside.row(2)]
    assert rules.examples(aside.reverse()).rows() == found.rows()
    assert rules.examples(aside, per_rule=1).rows() == [aside.row(4), aside.row(3), aside.row(1)]
    assert rules.examples(aside.head(0)).is_empty()


@pytest.mark.parametrize(
    "change, message",
    [
        ("chinse=0.5", "changes no rule.*NAME chinese"),
        ("chinese", "sets no limit.*chinese=NUMBER or chinese=off"),
        ("chinese=much", "sets no limit"),
        ("same sides=3", "write same sides=off"),
        ("masked=1", "write masked=off"),
        ("maskd=off", "NAME masked"),
        ("chinese=-1", "sets no limit"),
    ],
)
def test_a_change_that_means_nothing_is_an_error_with_a_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        rules.chosen([change])
