"""The rules of curation: named reasons to set a line, a document or a pair aside, each with its default.

A rule says of every row of a frame whether it stays. So do `keys.First`, `contamination.Unseen` and
`relevance.Relevant`: whatever has a name, a stage, a reason and `judge` can stand in the pipeline's list.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import Protocol, runtime_checkable

import polars as pl

from cpack_lib.corpus.clean.noise import ADVERT, CONTACT, SITE, flooded_share, repeated_share, spam_score
from cpack_lib.corpus.clean.text import REPAIRS, Repair, broken_share, characters, folded, symbol_share
from cpack_lib.corpus.languages import language, written_share

STAGES = ("pages", "lines", "documents", "sides", "pairs", "set", "kept", "texts")  # in order of work
PAGES, LINES, DOCUMENTS, SIDES, PAIRS, SET, KEPT, TEXTS = STAGES
SPOKEN = "language="  # a change of the rules that names the language
NUMBER = re.compile(r"\d+(\.\d+)?")
BARE = r"^(?:https?://\S+|[\p{N}\p{P}\p{S}\s]+)$"
COME_AGAIN = ("heading", "question", "query")  # lines that a page may repeat
SHORTEST_EXAMPLE = 8  # characters of a row set aside that shows why
A, B, TEXT = pl.col("text_a"), pl.col("text_b"), pl.col("text")


class Judge(Protocol):
    """What the pipeline needs of a rule."""

    name: str
    stage: str
    reason: str

    def judge(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row stays."""


@runtime_checkable
class Tells(Protocol):
    """A rule that says more of the rows it sets aside than its name."""

    def detail(self, aside: pl.DataFrame) -> pl.Series:
        """What each row was set aside for, a text."""


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
    """The first lines of each document with the same text; headings and questions may come again."""
    place = pl.int_range(pl.len()).over("document", folded(TEXT))
    return pl.col("kind").is_in(COME_AGAIN) | (place < times)


def not_everywhere(share: float) -> pl.Expr:
    """Lines of few of their source's documents; headings such as 简介 may stand in all."""
    documents = pl.col("document").n_unique()
    most = pl.max_horizontal(pl.lit(20), share * documents.over("source"))
    return (pl.col("kind") == "heading") | (documents.over("source", "text") <= most)


def larger(measure: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """The larger of a pair's two measures."""
    return pl.max_horizontal(measure(A), measure(B))


def language_rule(code: str, stage: str) -> Rule:
    """The rule of a language, for documents or for pairs, of which one side is enough."""
    own, share = language(code), partial(written_share, code=code)
    name, told = own.name.lower(), f"share of the letters and digits is {own.name}"
    if stage == PAIRS:
        keeps = lambda least: larger(share) >= least  # noqa: E731
        return Rule(f"{name} sides", PAIRS, f"in neither side this {told}", keeps, own.least)
    return Rule(name, DOCUMENTS, f"less than this {told}", lambda least: share(TEXT) >= least, own.least)


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
    language_rule("zh", DOCUMENTS),
    Rule(
        "symbols",
        DOCUMENTS,
        "over this share of the characters is neither letter nor digit",
        lambda most: symbol_share(TEXT) <= most,
        0.3,
    ),
    Rule(
        "repeated",
        DOCUMENTS,
        "over this share of the page's characters is of lines that stand in it before",
        lambda most: repeated_share(pl.col("page")) <= most,
        0.5,
    ),
    Rule(
        "flood",
        DOCUMENTS,
        "over this share of the characters writes up to four of them over and over",
        lambda most: flooded_share(TEXT) <= most,
        0.3,
    ),
    Rule(
        "spam",
        DOCUMENTS,
        "more words of spam and abuse per 100 characters than this",
        lambda most: spam_score(TEXT) <= most,
        2.5,
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
    language_rule("zh", PAIRS),
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
    Rule(
        "flood sides",
        PAIRS,
        "over this share of a side writes up to four characters over and over",
        lambda most: larger(flooded_share) <= most,
        0.3,
    ),
    Rule(
        "spam sides",
        PAIRS,
        "more words of spam and abuse per 100 characters of both sides than this",
        lambda most: spam_score(pl.concat_str("text_a", "text_b", separator="\n")) <= most,
        2.5,
    ),
    Rule(
        "bare sides",
        PAIRS,
        "a side is a link, or numbers and marks alone",
        lambda _: ~pl.any_horizontal(side.str.contains(BARE) for side in (A, B)),
    ),
    Rule("same sides", PAIRS, "both sides are the same text", lambda _: folded(A) != folded(B)),
]


def chosen(changes: Iterable[str], rules: Iterable[Rule] = RULES) -> list[Rule]:
    """The rules with other limits ("chinese=0.5") or without some ("symbols=off"), or ValueError.

    "language=en" puts the rules of that language in the place of those for Chinese.
    """
    return [step for step in changed(changes, [*rules, *REPAIRS]) if isinstance(step, Rule)]


def chosen_repairs(changes: Iterable[str], rules: Iterable[Rule] = RULES) -> list[Repair]:
    """The repairs that the same changes leave on ("masked=off" leaves telephone numbers), or ValueError."""
    return [step for step in changed(changes, [*rules, *REPAIRS]) if isinstance(step, Repair)]


def changed(changes: Iterable[str], steps: Iterable[Rule | Repair]) -> list[Rule | Repair]:
    """The rules and repairs after the changes."""
    spoken = [change.removeprefix(SPOKEN) for change in changes if change.startswith(SPOKEN)]
    steps = in_language(steps, spoken[-1]) if spoken else steps
    kept = {step.name: step for step in steps}
    for change in (change for change in changes if not change.startswith(SPOKEN)):
        name, _, value = change.partition("=")
        if name not in kept:
            near = get_close_matches(name, kept, n=1) or [", ".join(kept)]
            raise ValueError(f"{change!r} changes no rule: write NAME=LIMIT or NAME=off with NAME {near[0]}")
        step = kept[name]
        limited = isinstance(step, Rule) and step.limit is not None
        if value == "off":
            del kept[name]
        elif limited and NUMBER.fullmatch(value):
            kept[name] = replace(step, limit=float(value))
        else:
            number = f"{name}=NUMBER or " if limited else ""
            raise ValueError(f"{change!r} sets no limit: write {number}{name}=off")
    return list(kept.values())


def in_language(steps: Iterable[Rule | Repair], code: str) -> list[Rule | Repair]:
    """The steps with the rules of a language where those for Chinese stood."""
    new = {language_rule("zh", stage).name: language_rule(code, stage) for stage in (DOCUMENTS, PAIRS)}
    return [new.get(step.name, step) for step in steps]


def examples(rejected: pl.DataFrame, per_rule: int = 2) -> pl.DataFrame:
    """Of each rule the shortest rows that it has set aside: those say most plainly what it is for.

    Rows of a few characters come last, for they could be of any rule. The same rows in whatever order they
    are given.
    """
    texts = [pl.col(name).fill_null("") for name in ("text_a", "text_b")]
    size = sum(text.str.len_chars() for text in texts)
    stage = pl.col("stage").replace_strict(STAGES, range(len(STAGES)), default=len(STAGES))
    order = rejected.sort(stage, "rule", size < SHORTEST_EXAMPLE, size, *texts, maintain_order=True)
    return order.group_by("stage", "rule", maintain_order=True).head(per_rule)
