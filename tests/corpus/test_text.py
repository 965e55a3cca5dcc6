"""Repairs and measures of text against slow and obvious versions, and against whatever Unicode can write."""

import re
import unicodedata
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opencc import OpenCC

from cpack_lib.corpus.clean import text as t

ODD = (
    "\u200b\u200d\u202e\ufeff\u00ad\x00\x07\u3000\u00a0\t\r\n\u2028\ue000\ufe0f"
    "ＡｚＺ３，。！？（）…—①²㎡℃Ⅷｶﾞﾞ⼀豈é́ﬁ汉字,.?!;:漢電薴"
)
TEXTS = st.text(st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"])), max_size=60)


def apply(expression, *texts: str) -> list:
    return (
        pl.DataFrame({"text": texts}, schema={"text": pl.String})
        .select(expression(pl.col("text")))
        .to_series()
        .to_list()
    )


@pytest.mark.parametrize(
    "raw, plain",
    [
        ("Ａｂｃ１２３　你好", "Abc123 你好"),
        ("你好，世界！（真的）", "你好，世界！（真的）"),
        ("孩子,鲜为人知?是!第一;其一:甲", "孩子，鲜为人知？是！第一；其一：甲"),
        ("a,b? 3:4", "a,b? 3:4"),
        ("10² ① ㎡ ℃ …——", "10² ① ㎡ ℃ …——"),
        ("⼀豈ﬁⅧ", "一岂fiVIII"),
        ("電話：０１０－１２３４", "电话：010－1234"),
        ("乾坤大挪移，乾淨的電腦，日本語の時間", "乾坤大挪移，乾淨的電腦，日本語の時間"),
        ("乾坤大挪移，乾淨的電腦", "乾坤大挪移，干净的电脑"),
        ("零\u200b宽\ufeff\u202e字\u00ad符", "零宽字符"),
        ("e\u0301", "é"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("  a \t b  \n\n\n\n c ", "a b\n\nc"),
        ("\u200b" * 10_000, ""),
    ],
)
def test_a_text_is_made_regular(raw, plain):
    assert apply(t.normalised, raw) == [plain]


def slowly_normalised(text: str) -> str:
    """Character by character, without regular expressions of Rust or tables."""
    text = re.sub("\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)
    text = "".join(
        c
        for c in text
        if c in "\n\t"
        or not (
            unicodedata.category(c) in ("Cc", "Cf", "Co")
            or 0xFE00 <= ord(c) <= 0xFE0F
            or 0xE0100 <= ord(c) <= 0xE01EF
        )
    )
    text = unicodedata.normalize(
        "NFC", "".join(unicodedata.normalize("NFKC", c) if t.is_widened(c) else c for c in text)
    )
    if not re.search("[\u3041-\u3096\u30a1-\u30fa]", text):
        text = OpenCC("t2s").convert(text)
    marked = ""
    for c in text:
        after = marked[-1:] and (
            unicodedata.name(marked[-1], "").startswith("CJK UNIFIED") or marked[-1] in "”》）〇々"
        )
        marked += t.MARKS.get(c, c) if after else c
    lines = re.sub(r"[^\S\n]+", " ", marked)
    return re.sub("\n{3,}", "\n\n", re.sub(" ?\n ?", "\n", lines)).strip()


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from(ODD), max_size=40))
def test_normalising_equals_the_slow_version(text):
    assert apply(t.normalised, text) == [slowly_normalised(text)]


@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_normalising_twice_changes_nothing_more_and_leaves_nothing_invisible(text):
    (once,) = apply(t.normalised, text)
    assert apply(t.normalised, once) == [once]
    assert not re.search("[\u200b-\u200f\u202a-\u202e\ufeff\x00-\x08\r\u3000\u00a0]", once)
    assert once == once.strip() and "  " not in once and "\n\n\n" not in once


def test_a_text_has_the_same_fold_in_both_scripts():
    folds = apply(t.folded, "鋼鐵工業開發得很早", "钢铁工业开发得很早", "薴麻", "苎麻", "乾坤", "干坤")
    assert len(set(folds)) == 3 and folds[0] == folds[1]
    assert apply(t.folded, *folds) == folds


def test_the_table_of_characters_is_opencc_s_and_needs_to_be_applied_once():
    table, convert = t.simplified_characters(), OpenCC("t2s").convert
    assert table["電"] == "电" and len(table) > 3000 and not set(table) & set(table.values())
    assert all(len(old) == len(new) == 1 for old, new in table.items())
    assert all(convert(old) in (new, "苧") for old, new in table.items())


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.sampled_from("電話乾坤淨麼甚瞭望徵漢字汉abc，の"), max_size=12))
def test_simplifying_is_opencc_s_work_wherever_no_kana_stand(text):
    expected = text if "の" in text else OpenCC("t2s").convert(text)
    assert apply(t.simplified, text, "", "无") == [expected, "", "无"]


HELD = {
    "电话": [
        "手机 13812345678",
        "手机 100-0000-1234",
        "手机13812345678,13912345678和15912345678。",
        "+86-138-1234-5678",
        "请拨 010-69005529",
        "电话：（０10）69005529转801",
        "咨询电话：000-5550-5075",
        "热线 400-812-3123",
        "客服4008123123",
        "联系电话0571-1234567、7654321",
        "电话：138 1234 5678",
        "Tel: 021-12345678",
        "（0755）12345678",
        "〔1〕029-6187-5227〔2〕029-6237-6338",
    ],
    "邮箱": [
        "tousu@example.com",
        "写信到a.b@c.com.cn、d_e@qq.com。",
        "abc(at)gmail.com",
        "123456#qq.com",
        "联系 a＠b.com: 小林",
    ],
    "证件号": [
        "身份证号11010119900307663X，",
        "110101199003076638",
        "身份证：110101900307663",
        "护照号E12345678",
    ],
    "账号": [
        "微信号：example_7",
        "QQ群 123456789",
        "加微信：abc12345",
        "VX：wxid_12345",
        "扣扣12345678",
        "卡号：6222 0202 0000 1234 567",
        "6222020200001234567",
        "4000 1234 5678 9010",
        "微信：13812345678",
        "微信号是：a555559933",
        "微信：himolly00",
    ],
}


@pytest.mark.parametrize(
    "mask, text", [(f"〔{mask}〕", text) for mask, texts in HELD.items() for text in texts]
)
def test_personal_data_are_masked(mask, text):
    (masked,) = apply(t.normalised, text)
    assert mask in masked and not re.search(r"[0-9]{4}|[A-Za-z]{4}[0-9]|@|＠", masked)
    assert apply(t.normalised, masked) == [masked]
    assert apply(t.normalised, f"见：{text}\n完") == [f"见：{masked}\n完"]


NOTHING = [
    "2019-2020 年的 12345 市民热线",
    "ISBN 978-7-111-12345-6，又 9787111123456",
    "第 13812345678901 号",
    "营收为15234567890元，占 0.13812345678",
    "https://item.example.com/13812345678.html?id=13812345678",
    "订单号 DH-13812345678，型号 A13812345678",
    "git clone git@github.com:someone/project.git",
    "@app.route('/x') 与 pip install vue@3.2.1",
    "国发〔2018〕16号，GB/T 22239-2019，（2019）粤0306民初12345号",
    "微信 Windows 客户端 8.0.1234，微信公众号开发，微信：Android 版",
    "k:\\wxhh\\wx123456，wx:scope 与 vx12345678",
    "QQ 用户达到50000万，QQ2019版",
    "手机 2019-2020 年出货，致电 2019年3月15日",
    "550e8400-e29b-41d4-a716-446655440000",
    "1577836800000 与 20190315123456 与 18446744073709551615",
    "[1500, 2000, 3000]，const int MOD = 1000000007;",
    "3.14159265358979323846",
    "账号 2019，卡号 1234，热线12345，电话 010，客服95588",
]


@pytest.mark.parametrize("text", NOTHING)
def test_other_numbers_and_names_are_not_masked(text):
    assert apply(t.masked, text) == [text]


def test_random_numbers_are_masked_only_where_they_have_the_form_of_one():
    random = Random(0)
    for length in range(1, 24):
        numbers = ["".join(random.choices("0123456789", k=length)) for _ in range(500)]
        masks = sum("〔" in text for text in apply(t.masked, *numbers))
        assert masks <= {11: 60, 16: 15, 18: 5, 19: 15}.get(length, 1), length  # 13…19, 62…, a date of birth


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from("13812345678-@.a:微信号QQ电话 ，\n〔"), max_size=40))
def test_masking_takes_nothing_else_and_nothing_is_left_to_mask(text):
    (masked,) = apply(t.masked, text)
    assert apply(t.masked, masked) == [masked]
    kept = re.split("〔(?:电话|邮箱|证件号|账号)〕", masked)
    assert re.fullmatch(".+".join(map(re.escape, kept)), text, re.S)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_a_fold_forgets_width_case_space_and_nothing_else(text):
    (fold,) = apply(t.folded, text)
    assert apply(t.folded, *apply(t.normalised, text)) == [fold]
    assert apply(t.folded, f" {text.upper()}\u200b\u3000 ".upper()) == apply(t.folded, text.upper())
    assert not re.search(r"\s", fold)
    assert (fold == "") == (
        not re.sub(
            r"\s",
            "",
            "".join(
                c
                for c in unicodedata.normalize(
                    "NFKC", re.sub("[\ufe00-\ufe0f\U000e0100-\U000e01ef]", "", text)
                )
                if unicodedata.category(c) not in ("Cc", "Cf", "Co")
            ),
        )
    )


def test_a_fold_keeps_what_tells_texts_apart():
    folds = apply(t.folded, "C", "C++", "C#", "第1章", "第2章", "你好", "你好？")
    assert len(set(folds)) == len(folds)
    assert len(set(apply(t.folded, "Ａ B", "ab", "a\u200bＢ\n"))) == 1


@pytest.mark.parametrize(
    "measure, share",
    [
        (t.chinese_share, lambda c: unicodedata.name(c, "").startswith("CJK UNIFIED")),
        (t.symbol_share, lambda c: unicodedata.category(c)[0] not in "LNM" and not c.isspace()),
    ],
)
@settings(max_examples=200, deadline=None)
@given(text=st.text("汉字ab1２ ，。!?*#$\n", max_size=30))
def test_shares_equal_a_count_character_by_character(measure, share, text):
    whole = [c for c in text if (c.isalnum() if measure is t.chinese_share else not c.isspace())]
    assert apply(measure, text)[0] == pytest.approx(sum(map(share, text)) / max(1, len(whole)))


def test_is_chinese():
    assert apply(
        t.is_chinese,
        "这是中文",
        "This is English",
        "今日はとても良い天気なので、公園を散歩しました。",
        "",
        "123",
    ) == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert apply(lambda text: t.is_chinese(text, 0.2), "用 Python 写") == [True]


CLEAN = [
    "鸭子在分类上算鸟类，主要食物是植物和小动物。",
    "臺灣的鋼鐵工業開發得很早，產業遍佈全島各處。",
    "La forêt est belle, les enfants y jouent.",
    "李愬雪夜入蔡州",
    "安装 Python 3.11，然后运行 pip install polars。",
    "（一）总则：第五条 县级以上人民政府",
]


def test_a_wrong_decoding_shows_and_nothing_else_does():
    torn = [CLEAN[0].encode().decode(codec, errors="replace") for codec in ("gbk", "latin-1", "ascii")]
    assert min(apply(lambda text: t.broken_share(t.normalised(text)), *torn)) > 0.3
    assert max(apply(t.broken_share, *CLEAN)) < 0.2


def test_repairs_are_named_and_can_be_told():
    assert len({repair.name for repair in t.REPAIRS}) == len(t.REPAIRS)
    assert all(repair.reason for repair in t.REPAIRS)
