"""Raw documents: pages as a crawler would bring them home, with planted faults and the truth about each.

truth_kind is `clean` or the name of the fault; truth_of is the id of the original of a copy, else "".
"""

import re
from collections.abc import Callable
from random import Random

from cpack_lib.corpus.world.articles import Article, all_articles, translated
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
from cpack_lib.corpus.world.wording import marked, voice

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
EMPTY = {"zh": "水帖", "en": "Empty replies"}
NOTICE = {"zh": "提示", "en": "Notice"}
Document = tuple[str, str, str]  # title, text, source


def document_id(seed: int, row: int) -> str:
    """The id of a row of the documents of a seed."""
    return f"world-{seed}-{row:07d}"


def articles(language: str) -> tuple[Article, ...]:
    """The articles that there are in a language."""
    return all_articles() if language == "zh" else translated()


def article_at(seed: int, row: int, language: str = "zh") -> int | None:
    """The number of the article that stands at a row, or None."""
    turn, place = divmod(row, ARTICLE_EVERY)
    if place != ARTICLE_OFFSET or turn >= len(articles(language)):
        return None
    return (turn * ARTICLE_STRIDE + seed) % len(articles(language))


def truth_kind(seed: int, row: int, language: str = "zh") -> str:
    """clean, or the fault planted at a row; the first row is clean, so that every copy has an original."""
    if row == 0 or article_at(seed, row, language) is not None:
        return "clean"
    chance = dice(seed, marked("faults", language), row).random()
    for fault, share in FAULT_SHARES.items():
        if chance < share:
            return fault
        chance -= share
    return "clean"


def original_of(seed: int, row: int, language: str = "zh") -> int:
    """The clean row, before `row`, that a copy at `row` repeats."""
    original = dice(seed, marked("originals", language), row).randrange(row)
    while truth_kind(seed, original, language) != "clean":
        original -= 1
    return original


def clean_page(rng: Random, language: str = "zh") -> Page:
    """A page about an entity, a comparison or an FAQ."""
    make = pick(rng, (entity_page, entity_page, comparison_page, question_page))
    return make(rng, voice(language, "training"), pick(rng, all_entities()))


def clean(seed: int, row: int, language: str = "zh") -> Document:
    """A document without fault: title, text, source."""
    rng, number = dice(seed, marked("documents", language), row), article_at(seed, row, language)
    article = None if number is None else articles(language)[number]
    page = article_page(article, language) if article else clean_page(rng, language)
    layout = as_plain if number is not None and rng.random() < 0.5 else pick(rng, LAYOUTS)
    return page.title, layout(rng, page), page.source


def near_copy(rng: Random, title: str, text: str, language: str = "zh") -> Document:
    """A document reposted: a line before or after it, other punctuation, a word or two changed."""
    chosen = rng.sample(chinese_changes(rng) if language == "zh" else english_changes(rng), 2)
    for change in chosen:
        text = change(text)
    return title, text + "\n", "repost"


def english_changes(rng: Random) -> list[Callable[[str], str]]:
    """What a repost in English may change."""
    extra = furniture("en")
    return [
        lambda old: f"Reposted from {pick(rng, extra['site'])}\n{old}",
        lambda old: f"{old}\n{pick(rng, extra['footer'])}",
        lambda old: old.replace(", ", " , ", 3),
        lambda old: old.replace(". ", ".  ", 4),
        lambda old: old.replace("People", "Folk").replace("people", "folk"),
    ]


def chinese_changes(rng: Random) -> list[Callable[[str], str]]:
    """What a repost in Chinese may change."""
    return [
        lambda old: f"【转载】本文来自{pick(rng, furniture()['site'])}\n{old}",
        lambda old: f"{old}\n{pick(rng, furniture()['footer'])}",
        lambda old: re.sub("，", ",", old, count=3),
        lambda old: old.replace("。", "。 ", 4),
        lambda old: old.replace("其实", "事实上").replace("据介绍", "据悉").replace("大家", "人们"),
    ]


def advert(rng: Random, language: str = "zh") -> Document:
    """Several offers and a way to take them up."""
    lines = rng.sample(furniture(language)["advert"], 3) + [contact_line(rng, language)]
    return lines[0][:12], "\n".join(lines), "advert"


def spam(rng: Random, language: str = "zh") -> Document:
    """A thread of empty replies."""
    replies = [pick(rng, furniture(language)["spam"]) for _ in range(rng.randrange(5, 12))]
    return EMPTY[language], "\n".join(replies), "forum"


def foreign(rng: Random, language: str = "zh") -> Document:
    """A page in English (among English ones: in Chinese), or lines in other languages."""
    if rng.random() < 0.6:
        other = "en" if language == "zh" else "zh"
        page = entity_page(rng, voice(other, "training"), pick(rng, all_entities()))
        return page.title, as_plain(rng, page), page.source
    lines = rng.sample(furniture()["foreign"], 5)
    return lines[0], "\n".join(lines), "foreign"


def boilerplate(rng: Random, language: str = "zh") -> Document:
    """A page that is all frame and no content."""
    lines = tuple(("", line) for line in rng.sample(furniture(language)["boilerplate"], 3))
    title = NOTICE[language]
    return title, as_html(rng, Page(title, lines, "boilerplate", "", language)), "boilerplate"


def contact_line(rng: Random, language: str = "zh") -> str:
    """A fictional telephone number, mail address or account."""
    return pick(rng, furniture(language)["contact"]).format(n=rng.randrange(10_000))


def contact(rng: Random, language: str = "zh") -> Document:
    """A good page with personal details in it."""
    page = clean_page(rng, language)
    lines = as_plain(rng, page).split("\n")
    for _ in range(2):
        lines.insert(rng.randrange(1, len(lines) + 1), contact_line(rng, language))
    return page.title, "\n".join(lines), page.source


def repeated(rng: Random, language: str = "zh") -> Document:
    """One paragraph of a page over and over."""
    page = clean_page(rng, language)
    text = as_plain(rng, with_body(page, [page.sections[0]] * rng.randrange(5, 10)))
    return page.title, text, page.source


def mojibake(rng: Random, language: str = "zh") -> Document:
    """A page decoded with the wrong table of characters; in English that takes a page of Chinese."""
    del language
    page = clean_page(rng)
    codec = pick(rng, ("gbk", "latin-1"))
    return page.title, as_plain(rng, page).encode("utf-8").decode(codec, errors="replace"), page.source


def short(rng: Random, language: str = "zh") -> Document:
    """A page that was never written."""
    line = pick(rng, furniture(language)["short"])
    return line, line, "forum"


def mismatch(rng: Random, language: str = "zh") -> Document:
    """The title of one page above the text of another."""
    one, two = clean_page(rng, language), clean_page(rng, language)
    page = with_body(one, two.sections)
    return page.title, pick(rng, LAYOUTS)(rng, page), page.source


FAULTS = {
    make.__name__: make
    for make in (advert, spam, foreign, boilerplate, contact, repeated, mojibake, short, mismatch)
}


def document_row(seed: int, row: int, language: str = "zh") -> tuple[str, ...]:
    """Row `row` of the documents of a seed: eight texts, in the order of the table's columns."""
    kind, original = truth_kind(seed, row, language), ""
    rng = dice(seed, marked("documents", language), row)
    if kind in ("exact_copy", "near_copy"):
        source_row = original_of(seed, row, language)
        original = document_id(seed, source_row)
        title, text, source = clean(seed, source_row, language)
        if kind == "near_copy":
            title, text, source = near_copy(rng, title, text, language)
    else:
        faulty = FAULTS.get(kind)
        title, text, source = faulty(rng, language) if faulty else clean(seed, row, language)
    url = f"https://www.example.com/{source}/{row}"
    return document_id(seed, row), text, f"world:{source}", LICENCE, title, url, kind, original
