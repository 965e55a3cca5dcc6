"""Raw documents: pages as a crawler would bring them home, with planted faults and the truth about each.

truth_kind is `clean` or the name of the fault; truth_of is the id of the original of a copy, else "".
"""

import re
from collections.abc import Callable
from random import Random

from cpack_lib.corpus.world.articles import all_articles
from cpack_lib.corpus.world.chance import dice, pick
from cpack_lib.corpus.world.facts import all_entities
from cpack_lib.corpus.world.pages import (
    LAYOUTS,
    Page,
    article_page,
    as_html,
    as_plain,
    comparison_page,
    entity_page,
    furniture,
    question_page,
    with_body,
)
from cpack_lib.corpus.world.wording import voice

ARTICLE_EVERY = 20  # every 20th row is the next article, until all have stood
ARTICLE_OFFSET = 7
ARTICLE_STRIDE = 7919  # a prime above their number: neighbours differ in domain
LICENCE = "Apache-2.0"
FAULT_SHARES = {
    "exact_copy": 0.05,
    "near_copy": 0.07,
    "advert": 0.05,
    "spam": 0.03,
    "foreign": 0.05,
    "boilerplate": 0.03,
    "contact": 0.04,
    "repeated": 0.03,
    "mojibake": 0.02,
    "short": 0.03,
    "mismatch": 0.03,
}
Document = tuple[str, str, str]  # title, text, source


def document_id(seed: int, row: int) -> str:
    """The id of a row of the documents of a seed."""
    return f"world-{seed}-{row:07d}"


def article_at(seed: int, row: int) -> int | None:
    """The number of the article that stands at a row, or None."""
    turn, place = divmod(row, ARTICLE_EVERY)
    if place != ARTICLE_OFFSET or turn >= len(all_articles()):
        return None
    return (turn * ARTICLE_STRIDE + seed) % len(all_articles())


def truth_kind(seed: int, row: int) -> str:
    """clean, or the fault planted at a row; the first row is clean, so that every copy has an original."""
    if row == 0 or article_at(seed, row) is not None:
        return "clean"
    chance = dice(seed, "faults", row).random()
    for fault, share in FAULT_SHARES.items():
        if chance < share:
            return fault
        chance -= share
    return "clean"


def original_of(seed: int, row: int) -> int:
    """The clean row, before `row`, that a copy at `row` repeats."""
    original = dice(seed, "originals", row).randrange(row)
    while truth_kind(seed, original) != "clean":
        original -= 1
    return original


def clean_page(rng: Random, language: str = "zh") -> Page:
    """A page about an entity, a comparison or an FAQ."""
    make = pick(rng, (entity_page, entity_page, comparison_page, question_page))
    return make(rng, voice(language, "training"), pick(rng, all_entities()))


def clean(seed: int, row: int) -> Document:
    """A document without fault: title, text, source."""
    rng, number = dice(seed, "documents", row), article_at(seed, row)
    page = clean_page(rng) if number is None else article_page(all_articles()[number])
    layout = as_plain if number is not None and rng.random() < 0.5 else pick(rng, LAYOUTS)
    return page.title, layout(rng, page), page.source


def near_copy(rng: Random, title: str, text: str) -> Document:
    """A document reposted: a line before or after it, other punctuation, a word or two changed."""
    changes: list[Callable[[str], str]] = [
        lambda old: f"【转载】本文来自{pick(rng, furniture()['site'])}\n{old}",
        lambda old: f"{old}\n{pick(rng, furniture()['footer'])}",
        lambda old: re.sub("，", ",", old, count=3),
        lambda old: old.replace("。", "。 ", 4),
        lambda old: old.replace("其实", "事实上").replace("据介绍", "据悉").replace("大家", "人们"),
    ]
    for change in rng.sample(changes, 2):
        text = change(text)
    return title, text + "\n", "repost"


def advert(rng: Random) -> Document:
    """Several offers and a way to take them up."""
    lines = rng.sample(furniture()["advert"], 3) + [contact_line(rng)]
    return lines[0][:12], "\n".join(lines), "advert"


def spam(rng: Random) -> Document:
    """A thread of empty replies."""
    return "水帖", "\n".join(pick(rng, furniture()["spam"]) for _ in range(rng.randrange(5, 12))), "forum"


def foreign(rng: Random) -> Document:
    """A page in English, or lines in other languages."""
    if rng.random() < 0.6:
        page = entity_page(rng, voice("en", "training"), pick(rng, all_entities()))
        return page.title, as_plain(rng, page), page.source
    lines = rng.sample(furniture()["foreign"], 5)
    return lines[0], "\n".join(lines), "foreign"


def boilerplate(rng: Random) -> Document:
    """A page that is all frame and no content."""
    lines = tuple(("", line) for line in rng.sample(furniture()["boilerplate"], 3))
    return "提示", as_html(rng, Page("提示", lines, "boilerplate", "", "zh")), "boilerplate"


def contact_line(rng: Random) -> str:
    """A fictional telephone number, mail address or account."""
    return pick(rng, furniture()["contact"]).format(n=rng.randrange(10_000))


def contact(rng: Random) -> Document:
    """A good page with personal details in it."""
    page = clean_page(rng)
    lines = as_plain(rng, page).split("\n")
    for _ in range(2):
        lines.insert(rng.randrange(1, len(lines) + 1), contact_line(rng))
    return page.title, "\n".join(lines), page.source


def repeated(rng: Random) -> Document:
    """One paragraph of a page over and over."""
    page = clean_page(rng)
    text = as_plain(rng, with_body(page, [page.sections[0]] * rng.randrange(5, 10)))
    return page.title, text, page.source


def mojibake(rng: Random) -> Document:
    """A page decoded with the wrong table of characters."""
    page = clean_page(rng)
    codec = pick(rng, ("gbk", "latin-1"))
    return page.title, as_plain(rng, page).encode("utf-8").decode(codec, errors="replace"), page.source


def short(rng: Random) -> Document:
    """A page that was never written."""
    line = pick(rng, furniture()["short"])
    return line, line, "forum"


def mismatch(rng: Random) -> Document:
    """The title of one page above the text of another."""
    one, two = clean_page(rng), clean_page(rng)
    page = with_body(one, two.sections)
    return page.title, pick(rng, LAYOUTS)(rng, page), page.source


FAULTS = {
    make.__name__: make
    for make in (advert, spam, foreign, boilerplate, contact, repeated, mojibake, short, mismatch)
}


def document_row(seed: int, row: int) -> tuple[str, str, str, str, str, str, str, str]:
    """Row `row` of the documents of a seed, in the order of the table's columns."""
    kind, original = truth_kind(seed, row), ""
    rng = dice(seed, "documents", row)
    if kind in ("exact_copy", "near_copy"):
        source_row = original_of(seed, row)
        original = document_id(seed, source_row)
        title, text, source = clean(seed, source_row)
        if kind == "near_copy":
            title, text, source = near_copy(rng, title, text)
    else:
        title, text, source = clean(seed, row) if kind == "clean" else FAULTS[kind](rng)
    url = f"https://www.example.com/{source}/{row}"
    return document_id(seed, row), text, f"world:{source}", LICENCE, title, url, kind, original
