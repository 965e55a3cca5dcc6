"""The rules of curation: named reasons to set a line, a document or a pair aside, each with its default.

A rule says of every row of a frame whether it stays. So do `dedup.First`, `contamination.Unseen` and
`relevance.Relevant`: whatever has a name, a stage, a reason and `judge` can stand in the pipeline's list.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Protocol

import polars as pl

from cpack_lib.corpus.noise import ADVERT, CONTACT, SITE
from cpack_lib.corpus.text import broken_share, characters, chinese_share, folded, symbol_share

STAGES = ("pages", "lines", "documents", "sides", "pairs", "set", "kept", "texts")  # in order of work
PAGES, LINES, DOCUMENTS, SIDES, PAIRS, SET, KEPT, TEXTS = STAGES
NUMBER = re.compile(r"\d+(\.\d+)?")
A, B, TEXT = pl.col("text_a"), pl.col("text_b"), pl.col("text")


class Judge(Protocol):
    """What the pipeline needs of a rule."""

    name: str
    stage: str
    reason: str

    def judge(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""


@dataclass(frozen=True)
class Rule:
    """A rule for one shard: `keeps` makes of the limit an expression that is true for the rows that stay."""

    name: str
    stage: str
    reason: str
    keeps: Callable[[float | None], pl.Expr]
    limit: float | None = None

    def judge(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""
        return frame.select(self.keeps(self.limit).alias(self.name)).to_series()


def longer_or_without(pattern: str) -> Callable[[float], pl.Expr]:
    """Lines without the pattern; longer ones stay, because they hold more than that."""
    return lambda longest: ~TEXT.str.contains(pattern) | (TEXT.str.len_chars() > longest)


def once(times: float) -> pl.Expr:
    """The first lines of each document with the same text; headings may come again."""
    place = pl.int_range(pl.len()).over("document", folded(TEXT))
    return (pl.col("kind") == "heading") | (place < times)


def not_everywhere(share: float) -> pl.Expr:
    """Lines of few of their source's documents; headings such as 简介 may stand in all."""
    documents = pl.col("document").n_unique()
    most = pl.max_horizontal(pl.lit(20), share * documents.over("source"))
    return (pl.col("kind") == "heading") | (documents.over("source", "text") <= most)


def larger(measure: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """The larger of a pair's two measures."""
    return pl.max_horizontal(measure(A), measure(B))


RULES = [
    Rule(
        "wordless",
        LINES,
        "fewer letters and digits than this",
        lambda least: TEXT.str.count_matches(r"[\p{L}\p{N}]") >= least,
        1,
    ),
    Rule(
        "site",
        LINES,
        "words of the site, not of its author, in a line up to this long",
        longer_or_without(SITE),
        60,
    ),
    Rule(
        "contact",
        LINES,
        "a telephone, mail or account in a line up to this long",
        longer_or_without(CONTACT),
        120,
    ),
    Rule("advert", LINES, "an offer in a line up to this long", longer_or_without(ADVERT), 80),
    Rule("again", LINES, "the same line more often than this in one document", once, 1),
    Rule(
        "everywhere",
        LINES,
        "a line in over 20 documents and over this share of its source's",
        not_everywhere,
        0.05,
    ),
    Rule(
        "noise",
        DOCUMENTS,
        "the rules for lines leave less than this share of its lines",
        lambda least: pl.col("lines_after") >= least * pl.col("lines_before"),
        0.5,
    ),
    Rule("short", DOCUMENTS, "fewer characters than this", lambda least: characters(TEXT) >= least, 30),
    Rule(
        "broken",
        DOCUMENTS,
        "over this share of the characters comes from a wrong decoding",
        lambda most: broken_share(TEXT) <= most,
        0.2,
    ),
    Rule(
        "sentences",
        DOCUMENTS,
        "more lines than this, and none of them ends a sentence",
        lambda most: TEXT.str.contains(r"[。！？!?]|[.…](\s|$)") | (TEXT.str.count_matches("\n") < most),
        4,
    ),
    Rule(
        "chinese",
        DOCUMENTS,
        "less than this share of the letters and digits is Chinese",
        lambda least: chinese_share(TEXT) >= least,
        0.3,
    ),
    Rule(
        "symbols",
        DOCUMENTS,
        "over this share of the characters is neither letter nor digit",
        lambda most: symbol_share(TEXT) <= most,
        0.3,
    ),
    Rule(
        "short sides",
        PAIRS,
        "a side with fewer characters than this",
        lambda least: (characters(A) >= least) & (characters(B) >= least),
        1,
    ),
    Rule(
        "long sides",
        PAIRS,
        "a side with more characters than this",
        lambda most: larger(lambda side: side.str.len_chars()) <= most,
        4000,
    ),
    Rule(
        "broken sides",
        PAIRS,
        "over this share of both sides comes from a wrong decoding",
        lambda most: broken_share(A + B) <= most,
        0.2,
    ),
    Rule(
        "chinese sides",
        PAIRS,
        "in neither side this share of the letters and digits is Chinese",
        lambda least: larger(chinese_share) >= least,
        0.3,
    ),
    Rule(
        "symbol sides",
        PAIRS,
        "over this share of a side is neither letter nor digit",
        lambda most: larger(symbol_share) <= most,
        0.5,
    ),
    Rule(
        "contact sides",
        PAIRS,
        "a telephone, mail or account in a side up to this long",
        lambda longest: (
            ~pl.any_horizontal(
                side.str.contains(CONTACT) & (side.str.len_chars() <= longest) for side in (A, B)
            )
        ),
        60,
    ),
    Rule("same sides", PAIRS, "both sides are the same text", lambda _: folded(A) != folded(B)),
]


def chosen(changes: Iterable[str], rules: Iterable[Rule] = RULES) -> list[Rule]:
    """The rules with other limits ("chinese=0.5") or without some ("symbols=off"), or ValueError."""
    kept = {rule.name: rule for rule in rules}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in kept:
            near = get_close_matches(name, kept, n=1) or [", ".join(kept)]
            raise ValueError(f"{change!r} changes no rule: write NAME=LIMIT or NAME=off with NAME {near[0]}")
        if value == "off":
            del kept[name]
        elif kept[name].limit is not None and NUMBER.fullmatch(value):
            kept[name] = replace(kept[name], limit=float(value))
        else:
            number = "" if kept[name].limit is None else f"{name}=NUMBER or "
            raise ValueError(f"{change!r} sets no limit: write {number}{name}=off")
    return list(kept.values())
