"""Repairs and measures of text against slow and obvious versions, and against whatever Unicode can write."""

import re
import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpack_lib.corpus import text as t

ODD = (
    "\u200b\u200d\u202e\ufeff\u00ad\x00\x07\u3000\u00a0\t\r\n\u2028\ue000\ufe0f"
    "ＡｚＺ３，。！？（）…—①²㎡℃Ⅷｶﾞﾞ⼀豈é́ﬁ汉字,.?!;:"
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
        ("⼀豈ﬁⅧ", "一豈fiVIII"),
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
