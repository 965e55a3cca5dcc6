"""The rules that know a language: its letters, its words, how many characters it takes to say a thing."""

from collections.abc import Callable
from functools import partial

import polars as pl

from cpack_lib.corpus.clean.noise import spam_score
from cpack_lib.corpus.clean.rule import DOCUMENTS, LINES, PAIRS, Rule
from cpack_lib.corpus.clean.text import characters
from cpack_lib.corpus.languages import Language, language, written_share

A, B, TEXT = pl.col("text_a"), pl.col("text_b"), pl.col("text")


def longer_or_without(pattern: str) -> Callable[[float], pl.Expr]:
    """Lines without the pattern; longer ones stay, because they hold more than that."""
    return lambda longest: ~TEXT.str.contains(pattern) | (TEXT.str.len_chars() > longest)


def larger(measure: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """The larger of a pair's two measures."""
    return pl.max_horizontal(measure(A), measure(B))


def spoken_rules(code: str) -> dict[str, Rule]:
    """The rules of a language, by the names that those for Chinese have; ValueError where there is none."""
    own = language(code)
    return {
        name: rule
        for rules in (line_rules(own), document_rules(own), pair_rules(own))
        for name, rule in rules.items()
    }


def line_rules(own: Language) -> dict[str, Rule]:
    """What stands on pages beside their content, in lines that are too short to hold more than that."""
    told = {
        "site": ("words of the site, not of its author, in a line up to this long", own.noise.site, 60),
        "contact": ("a telephone, mail or account in a line up to this long", own.noise.contact, 120),
        "advert": ("an offer in a line up to this long", own.noise.advert, 80),
    }
    return {
        name: Rule(name, LINES, reason, longer_or_without(pattern), longest * own.spread)
        for name, (reason, pattern, longest) in told.items()
    }


def document_rules(own: Language) -> dict[str, Rule]:
    """Documents that are long enough, in the language, and no spam."""
    share, name = partial(written_share, code=own.code), own.name.lower()
    return {
        "short": Rule(
            "short",
            DOCUMENTS,
            "fewer characters than this",
            lambda least: characters(TEXT) >= least,
            30 * own.spread,
        ),
        "chinese": Rule(
            name,
            DOCUMENTS,
            f"less than this share of the letters and digits is {own.name}",
            lambda least: share(TEXT) >= least,
            own.least,
        ),
        "spam": Rule(
            "spam",
            DOCUMENTS,
            "more words of spam and abuse per 100 characters than this",
            lambda most: spam_score(TEXT, own.code) <= most,
            2.5 / own.spread,
        ),
    }


def pair_rules(own: Language) -> dict[str, Rule]:
    """Pairs of which one side is in the language, neither too long, no contact and no spam."""
    share, name = partial(written_share, code=own.code), own.name.lower()
    return {
        "long sides": Rule(
            "long sides",
            PAIRS,
            "a side with more characters than this",
            lambda most: larger(lambda side: side.str.len_chars()) <= most,
            4000 * own.spread,
        ),
        "chinese sides": Rule(
            f"{name} sides",
            PAIRS,
            f"in neither side this share of the letters and digits is {own.name}",
            lambda least: larger(share) >= least,
            own.least,
        ),
        "contact sides": Rule(
            "contact sides",
            PAIRS,
            "a telephone, mail or account in a side up to this long",
            partial(without_contact, own),
            60 * own.spread,
        ),
        "spam sides": Rule(
            "spam sides",
            PAIRS,
            "more words of spam and abuse per 100 characters of both sides than this",
            lambda most: spam_score(pl.concat_str(A, B, separator="\n"), own.code) <= most,
            2.5 / own.spread,
        ),
    }


def without_contact(own: Language, longest: float) -> pl.Expr:
    """Pairs with no contact in a short side."""
    found = (side.str.contains(own.noise.contact) & (side.str.len_chars() <= longest) for side in (A, B))
    return ~pl.any_horizontal(found)
