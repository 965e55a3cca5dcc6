"""The rules of curation: named reasons to set a line, a document or a pair aside, each with its default.

Those that know a language are in `spoken`; here are the rest, their order, and how they are changed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

import polars as pl

from cpack_lib.corpus.clean.noise import flooded_share, repeated_share
from cpack_lib.corpus.clean.rule import DOCUMENTS, LINES, PAIRS, STAGES, Rule
from cpack_lib.corpus.clean.spoken import larger, spoken_rules
from cpack_lib.corpus.clean.text import (
    REPAIRS,
    Repair,
    broken_share,
    characters,
    folded,
    repairs_in,
    symbol_share,
)

SPOKEN = "language="  # a change of the rules that names the language
NUMBER = re.compile(r"\d+(\.\d+)?")
BARE = r"^(?:https?://\S+|[\p{N}\p{P}\p{S}\s]+)$"
COME_AGAIN = ("heading", "question", "query")  # lines that a page may repeat
SHORTEST_EXAMPLE = 8  # characters of a row set aside that shows why
A, B, TEXT = pl.col("text_a"), pl.col("text_b"), pl.col("text")
CHINESE = spoken_rules("zh")


def once(times: float) -> pl.Expr:
    """The first lines of each document with the same text; headings and questions may come again."""
    place = pl.int_range(pl.len()).over("document", folded(TEXT))
    return pl.col("kind").is_in(COME_AGAIN) | (place < times)


def not_everywhere(share: float) -> pl.Expr:
    """Lines of few of their source's documents; headings such as 简介 may stand in all."""
    documents = pl.col("document").n_unique()
    most = pl.max_horizontal(pl.lit(20), share * documents.over("source"))
    return (pl.col("kind") == "heading") | (documents.over("source", "text") <= most)


RULES = [
    Rule(
        "wordless",
        LINES,
        "fewer letters and digits than this",
        lambda least: TEXT.str.count_matches(r"[\p{L}\p{N}]") >= least,
        1,
    ),
    CHINESE["site"],
    CHINESE["contact"],
    CHINESE["advert"],
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
    CHINESE["short"],
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
    CHINESE["chinese"],
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
    CHINESE["spam"],
    Rule(
        "short sides",
        PAIRS,
        "a side with fewer characters than this",
        lambda least: (characters(A) >= least) & (characters(B) >= least),
        1,
    ),
    CHINESE["long sides"],
    Rule(
        "broken sides",
        PAIRS,
        "over this share of both sides comes from a wrong decoding",
        lambda most: broken_share(A + B) <= most,
        0.2,
    ),
    CHINESE["chinese sides"],
    Rule(
        "symbol sides",
        PAIRS,
        "over this share of a side is neither letter nor digit",
        lambda most: larger(symbol_share) <= most,
        0.5,
    ),
    CHINESE["contact sides"],
    Rule(
        "flood sides",
        PAIRS,
        "over this share of a side writes up to four characters over and over",
        lambda most: larger(flooded_share) <= most,
        0.3,
    ),
    CHINESE["spam sides"],
    Rule(
        "bare sides",
        PAIRS,
        "a side is a link, or numbers and marks alone",
        lambda _: ~pl.any_horizontal(side.str.contains(BARE) for side in (A, B)),
    ),
    Rule("same sides", PAIRS, "both sides are the same text", lambda _: folded(A) != folded(B)),
]


def chosen(changes: Sequence[str], rules: Iterable[Rule] = RULES) -> list[Rule]:
    """The rules with other limits ("chinese=0.5") or without some ("symbols=off"), or ValueError.

    "language=en" puts the rules of that language in the place of those for Chinese.
    """
    return [step for step in changed(changes, [*rules, *REPAIRS]) if isinstance(step, Rule)]


def chosen_repairs(changes: Sequence[str], rules: Iterable[Rule] = RULES) -> list[Repair]:
    """The repairs that the same changes leave on ("masked=off" leaves telephone numbers), or ValueError."""
    return [step for step in changed(changes, [*rules, *REPAIRS]) if isinstance(step, Repair)]


def changed(changes: Sequence[str], steps: Iterable[Rule | Repair]) -> list[Rule | Repair]:
    """The rules and repairs after the changes."""
    if any(change.startswith(SPOKEN) for change in changes):
        steps = in_language(steps, spoken(changes))
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


def spoken(changes: Sequence[str]) -> str:
    """The code of the language that the changes name; Chinese where they name none."""
    return ["zh", *(change.removeprefix(SPOKEN) for change in changes if change.startswith(SPOKEN))][-1]


def in_language(steps: Iterable[Rule | Repair], code: str) -> list[Rule | Repair]:
    """The steps with the rules and repairs of a language where those for Chinese stood."""
    new = spoken_rules(code) | {repair.name: repair for repair in repairs_in(code)}
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
