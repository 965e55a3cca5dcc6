"""Pages of the embedded world: a title and sections, laid out as HTML, markdown or plain text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from random import Random

import yaml

from cpack_lib.corpus.world.articles import Article
from cpack_lib.corpus.world.chance import pick, pick_other
from cpack_lib.corpus.world.facts import Attribute, Entity, family
from cpack_lib.corpus.world.wording import GRAMMAR, Voice, capital, marked

LONG_HEADING_SHARE = 0.3  # of headings that name the entity beside the attribute
QUESTIONS_PER_PAGE = (3, 7)  # fewest, and one more than most


FROM = {"zh": "来源：", "en": "Source: "}
LANG = {"zh": "zh-CN", "en": "en"}


@dataclass(frozen=True)
class Page:
    """Content before layout: sections are (heading, paragraph), of an FAQ (question, answer)."""

    title: str
    sections: tuple[tuple[str, str], ...]
    source: str  # encyclopedia, comparison, faq, news
    subject: str  # id of the entity or article it is about
    language: str


@cache
def furniture(language: str = "zh") -> dict[str, tuple[str, ...]]:
    """What stands around the content: navigation, adverts, footers, scripts, …"""
    node = yaml.load(
        (GRAMMAR / f"{marked('pages', language)}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return {name: tuple(map(str, lines)) for name, lines in node.items()}


def entity_page(rng: Random, tongue: Voice, entity: Entity) -> Page:
    """An encyclopedia page: an introduction, and one section per attribute."""
    attributes = rng.sample(entity.attributes, len(entity.attributes))
    intro = tongue.join(tongue.introduce(rng, entity), tongue.describe(rng, entity, attributes[:2]))
    sections = [("", intro)]
    for attribute in attributes:
        heading = capital(tongue.label(rng, attribute))
        if rng.random() < LONG_HEADING_SHARE:
            heading = tongue.heading(rng, entity, attribute)
        sections.append((heading, section(rng, tongue, entity, attribute)))
    title = tongue.title(rng, entity, attributes[0])
    return Page(title, tuple(sections), "encyclopedia", entity.id, tongue.language)


def section(rng: Random, tongue: Voice, entity: Entity, attribute: Attribute) -> str:
    """One fact, said once of a designation, perhaps again of "it", perhaps closed by an empty phrase."""
    parts = [tongue.sentence(rng, tongue.state(rng, entity, attribute))]
    if rng.random() < 0.6:
        pronoun = pick(rng, entity.domain.pronouns[tongue.language])
        parts.append(tongue.sentence(rng, tongue.state(rng, entity, attribute, name=pronoun)))
    if rng.random() < 0.4:
        parts.append(tongue.filler(rng))
    return tongue.join(*parts)


def comparison_page(rng: Random, tongue: Voice, entity: Entity) -> Page:
    """A page that sets two entities of a domain side by side."""
    other = pick_other(rng, family(entity.domain), entity)
    shared = [each for each in entity.attributes if each in other.attributes]
    differing = [each for each in shared if entity.value(each) != other.value(each)]
    sections = [("", tongue.join(tongue.introduce(rng, entity), tongue.introduce(rng, other)))]
    for attribute in differing:
        text = tongue.sentence(rng, tongue.compare(rng, entity, other, attribute))
        text = tongue.join(text, tongue.filler(rng)) if rng.random() < 0.4 else text
        sections.append((tongue.label(rng, attribute), text))
    for each in (entity, other):
        sections.append((tongue.name(rng, each), tongue.describe(rng, each, rng.sample(each.attributes, 2))))
    title = pick(rng, tongue.frames["versus"]).format(a=tongue.name(rng, entity), b=tongue.name(rng, other))
    return Page(capital(title), tuple(sections), "comparison", entity.id, tongue.language)


def question_page(rng: Random, tongue: Voice, entity: Entity) -> Page:
    """Questions and answers about entities of one domain."""
    fellows = family(entity.domain)
    sections = []
    for _ in range(rng.randrange(*QUESTIONS_PER_PAGE)):
        subject = pick(rng, fellows)
        attribute = pick(rng, subject.attributes)
        answer = tongue.sentence(rng, tongue.state(rng, subject, attribute))
        answer = tongue.join(answer, tongue.filler(rng)) if rng.random() < 0.3 else answer
        sections.append((tongue.question(rng, subject, attribute), answer))
    title, subject = pick(rng, furniture(tongue.language)["question_heading"]), entity.domain.title
    return Page(
        f"{title}（{subject['zh']}篇）" if tongue.language == "zh" else f"{title}: {subject['en']}",
        tuple(sections),
        "faq",
        entity.domain.name,
        tongue.language,
    )


def article_page(article: Article, language: str = "zh") -> Page:
    """A written article, without its questions."""
    version = article if language == "zh" else article.english
    return Page(version.headline, (("", version.text),), "news", f"articles/{article.id}", language)


def as_plain(rng: Random, page: Page) -> str:
    """The page as plain text, headings on lines of their own."""
    del rng
    lines = [page.title, ""]
    for heading, paragraph in page.sections:
        lines += [heading, paragraph, ""] if heading else [paragraph, ""]
    return "\n".join(lines).strip()


def as_markdown(rng: Random, page: Page) -> str:
    """The page as markdown with front matter, a link and a rule."""
    date = f"20{rng.randrange(10, 25)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    lines = ["---", f"title: {page.title}", f"date: {date}", f"tags: [{page.source}]", "---", ""]
    lines += [f"# {page.title}", ""]
    for heading, paragraph in page.sections:
        lines += [f"## {heading}", ""] if heading else []
        lines += [paragraph, ""]
    link = f"[{pick(rng, furniture(page.language)['site'])}](https://www.example.com/{rng.randrange(10_000)})"
    return "\n".join([*lines, "---", "", f"{FROM[page.language]}{link}"])


def as_html(rng: Random, page: Page) -> str:
    """The page as HTML with navigation, an advert, a script and a footer around the content."""
    extra = furniture(page.language)
    items = enumerate(rng.sample(extra["navigation"], 6))
    links = "".join(f'<li><a href="/{number}">{item}</a></li>' for number, item in items)
    body = []
    for heading, paragraph in page.sections:
        body += [f"<h2>{escape(heading)}</h2>"] if heading else []
        body.append(f"<p>{escape(paragraph)}</p>")
    body.insert(rng.randrange(len(body) + 1), f'<div class="ad">{pick(rng, extra["advert"])}</div>')
    head = (
        f"<head><title>{escape(page.title)} - {pick(rng, extra['site'])}</title>"
        f"<style>{pick(rng, extra['style'])}</style></head>"
    )
    script = f"<script>{pick(rng, extra['script'])}</script>"
    footer = f'<div class="footer">{escape(pick(rng, extra["footer"]))}&nbsp;&copy;</div>'
    navigation, title = f'<ul class="nav">{links}</ul>', f"<h1>{escape(page.title)}</h1>"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="{LANG[page.language]}">',
            head,
            "<body>",
            navigation,
            title,
            *body,
            script,
            footer,
            "</body>",
            "</html>",
        ]
    )


LAYOUTS = (as_html, as_markdown, as_plain)


def with_body(page: Page, sections: Sequence[tuple[str, str]]) -> Page:
    """The page with other sections under the same title."""
    return replace(page, sections=tuple(sections))
