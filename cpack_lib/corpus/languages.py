"""What the recipe knows about a language, in one table: another language is another row of it.

Everything else is the same for all: pages, copies, RetroMAE, contrast, mining, mteb. Not in the table, since
they are about Chinese alone and never fire elsewhere: `text.simplified` and `text.chinese_marks`. Not in it,
and written for Chinese pages: the words of adverts, contacts, sites and spam in `clean.noise`, and the news
lines and definitions that `structure.pairs` looks for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

LETTER = r"[\p{L}\p{N}]"
LOOKED_AT = 1_000  # texts that are asked for their language


@dataclass(frozen=True)
class Language:
    """One language; `instructions` stand before queries of searches (C-Pack's own), of other tasks (ours)."""

    code: str  # ISO 639-1, as in parameters and in cards
    name: str  # also of its two rules of curation, in small letters
    mteb: str  # ISO 639-3 and script, as mteb writes it
    letters: str  # a pattern of its letters
    others: str  # letters that only another language of the same script has, taken off; "" for none
    least: float  # share of letters and digits that a page, or a side of a pair, must have
    tokenizer: str  # what notebook 02 trains
    grams: dict[str, Any]  # what the lexical baselines count, as scikit-learn calls it
    instructions: dict[str, str]  # kind of task -> text


TABLE = [
    Language(
        code="zh",
        name="Chinese",
        mteb="cmn-Hans",
        letters=r"\p{Han}",
        others=r"[\p{Hiragana}\p{Katakana}]",  # Japanese has them between its Chinese characters
        least=0.3,
        tokenizer="pieces",  # no spaces: a piece may be several characters
        grams={"analyzer": "char", "ngram_range": (1, 2)},
        instructions={
            "search": "为这个句子生成表示以用于检索相关文章：",
            "sts": "为这个句子生成表示以用于比较语义是否相同：",
            "nli": "为这个句子生成表示以用于判断两句能否互相推出：",
            "classification": "为这个句子生成表示以用于分类：",
            "clustering": "为这个句子生成表示以用于聚类：",
        },
    ),
    Language(
        code="en",
        name="English",
        mteb="eng-Latn",
        letters=r"[A-Za-z]",
        others=r"[\p{Latin}&&[^A-Za-z]]",  # ü, é, ñ: French, German and Spanish have them, English hardly
        least=0.7,
        tokenizer="wordpiece",  # spaces part the words, and words fall into pieces
        grams={"analyzer": "word", "ngram_range": (1, 1), "token_pattern": r"(?u)\b\w+\b"},
        instructions={
            "search": "Represent this sentence for searching relevant passages: ",
            "sts": "Represent this sentence for comparing meanings: ",
            "nli": "Represent this sentence for judging entailment: ",
            "classification": "Represent this sentence for classification: ",
            "clustering": "Represent this sentence for clustering: ",
        },
    ),
]
LANGUAGES = {language.code: language for language in TABLE}


def language(code: str) -> Language:
    """The row of a language; ValueError names those that there are."""
    if code not in LANGUAGES:
        raise ValueError(f"language is {code!r}; cpack_lib/corpus/languages.py has {', '.join(LANGUAGES)}")
    return LANGUAGES[code]


def written_share(text: pl.Expr, code: str) -> pl.Expr:
    """Letters of a language among the letters and digits, 0 where there are none.

    Those of `others` are taken off: a page with many of them is in another language of the same script.
    """
    own = language(code)
    found = text.str.count_matches(own.letters).cast(pl.Int64)
    if own.others:
        found = (found - text.str.count_matches(own.others).cast(pl.Int64)).clip(0)
    return found / text.str.count_matches(LETTER).clip(1)


def is_written(text: pl.Expr, code: str) -> pl.Expr:
    """Whether a text has the share of letters that its language asks for."""
    return written_share(text, code) >= language(code).least


def main_language(texts: Iterable[str]) -> str:
    """The code of the language in which most of the first 1,000 texts are written; the first of the table
    where none is in any."""
    some = pl.DataFrame({"text": list(texts)[:LOOKED_AT]}, schema={"text": pl.String})
    counts = some.select(is_written(pl.col("text"), code).sum().alias(code) for code in LANGUAGES).row(0)
    return max(zip(counts, LANGUAGES, strict=True), key=lambda found: found[0])[1]
