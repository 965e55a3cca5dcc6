"""The fields of a language: what a recipe must know about it, and what its pages are full of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Noise:
    """What stands on pages beside their content: patterns of lines, words of spam, personal data."""

    site: str  # the site's own lines
    contact: str  # a telephone, mail or account, or what `masked` leaves of them
    advert: str  # an offer
    spam: tuple[str, ...]  # words of web spam's sellers, and abuse; those who warn of it use few of them
    masked: tuple[tuple[str, str], ...]  # (pattern whose two groups stay, what stands in its place), in order
    may_hold: str  # a cheap pattern of every text that `masked` changes


@dataclass(frozen=True)
class Forms:
    """How pages write what pairs are made of."""

    ends: str  # a sentence's end
    joint: str  # between the title of a page and the heading of a section
    dateline: str  # what a piece of news begins with
    subject: str  # the name that a definition begins with, as a group
    around: str  # what is taken off that group: quotes, an article
    defined: str  # how the definition goes on
    unnamed: str  # of such a group: it is no name


@dataclass(frozen=True)
class Language:
    """One language; `instructions` stand before queries of searches (C-Pack's own), of other tasks (ours)."""

    code: str  # ISO 639-1, as in parameters and in cards
    name: str  # also of its two rules of curation, in small letters
    mteb: str  # ISO 639-3 and script, as mteb writes it
    letters: str  # a pattern of its letters
    others: str  # letters that only another language of the same script has, taken off; "" for none
    least: float  # share of letters and digits that a page, or a side of a pair, must have
    spread: int  # characters that say as much as one of Chinese: lengths in characters grow by it
    tokenizer: str  # what notebook 02 trains
    grams: dict[str, Any]  # what the lexical baselines count, as scikit-learn calls it
    instructions: dict[str, str]  # kind of task -> text
    noise: Noise
    forms: Forms
