"""Unlabelled pairs: two texts that belong together, as a curated corpus holds them.

Every row says which facts its two sides state or ask for, and whether the sides were torn apart on purpose.
"""

import re
from random import Random

from cpack_lib.corpus.world.articles import Article, English, all_articles, translated
from cpack_lib.corpus.world.chance import dice, pick
from cpack_lib.corpus.world.facts import Attribute, Entity, all_entities
from cpack_lib.corpus.world.wording import Voice, capital, marked, voice

MISMATCH_SHARE = 0.03  # of rows whose second text belongs to another row
ARTICLE_SHARE = 0.10  # of rows made from the written articles
SHORTEST_SENTENCE = 10  # characters of a sentence that is taken from a text
ENGLISH_SHARE = 0.12  # of the other monolingual rows
Sides = tuple[str, str, str, str]  # text_a, text_b, facts of a, facts of b


def fact_id(entity: Entity, attribute: Attribute) -> str:
    """domain/entity/attribute."""
    return f"{entity.id}/{attribute.id.split('/')[1]}"


def two_attributes(rng: Random, entity: Entity) -> list[Attribute]:
    """Two or three of the entity's attributes, in random order."""
    return rng.sample(entity.attributes, 2 + (rng.random() < 0.4))


def question_answer(rng: Random, tongue: Voice, entity: Entity) -> Sides:
    """A question, and a sentence with the answer (sometimes followed by an empty phrase)."""
    attribute = pick(rng, entity.attributes)
    answer = tongue.sentence(rng, tongue.state(rng, entity, attribute))
    if rng.random() < 0.25:
        answer = tongue.join(answer, tongue.filler(rng))
    fact = fact_id(entity, attribute)
    return tongue.question(rng, entity, attribute), answer, fact, fact


def paraphrase(rng: Random, tongue: Voice, entity: Entity) -> Sides:
    """One fact said twice; or one question asked twice."""
    attribute = pick(rng, entity.attributes)
    fact = fact_id(entity, attribute)
    if rng.random() < 0.3:
        return tongue.question(rng, entity, attribute), tongue.question(rng, entity, attribute), fact, fact
    one, two = (tongue.sentence(rng, tongue.state(rng, entity, attribute)) for _ in range(2))
    return one, two, fact, fact


def entity_description(rng: Random, tongue: Voice, entity: Entity) -> Sides:
    """A designation, and a paragraph about its bearer."""
    attributes = two_attributes(rng, entity)
    facts = ";".join(fact_id(entity, attribute) for attribute in attributes)
    return capital(tongue.name(rng, entity)), tongue.describe(rng, entity, attributes), entity.id, facts


def title_body(rng: Random, tongue: Voice, entity: Entity) -> Sides:
    """The title of a page, and its body."""
    attributes = two_attributes(rng, entity)
    facts = ";".join(fact_id(entity, attribute) for attribute in attributes)
    body = tongue.join(tongue.introduce(rng, entity), tongue.describe(rng, entity, attributes))
    return tongue.title(rng, entity, attributes[0]), body, entity.id, facts


def heading_section(rng: Random, tongue: Voice, entity: Entity) -> Sides:
    """The heading of a section, and its text."""
    attribute = pick(rng, entity.attributes)
    text = tongue.join(tongue.sentence(rng, tongue.state(rng, entity, attribute)), tongue.filler(rng))
    fact = fact_id(entity, attribute)
    return tongue.heading(rng, entity, attribute), text, fact, fact


def alias_description(rng: Random, tongue: Voice, entity: Entity) -> Sides:
    """A designation, and a sentence that explains it by another."""
    names = entity.designations[tongue.language]
    explained = tongue.introduce(rng, entity) or tongue.title(rng, entity, entity.attributes[0])
    return capital(pick(rng, names)), explained, entity.id, entity.id


def translation(rng: Random, tongue: Voice, entity: Entity) -> Sides:
    """The same fact, question or name in Chinese and in English, either side first."""
    attribute = pick(rng, entity.attributes)
    both = [voice("zh", tongue.split), voice("en", tongue.split)]
    if rng.random() < 0.5:
        both.reverse()
    fact, chance = fact_id(entity, attribute), rng.random()
    if chance < 0.15:
        one, two = (capital(each.name(rng, entity)) for each in both)
        fact = entity.id
    elif chance < 0.45:
        one, two = (each.question(rng, entity, attribute) for each in both)
    elif chance < 0.6:
        one = both[0].question(rng, entity, attribute)
        two = both[1].sentence(rng, both[1].state(rng, entity, attribute))
    else:
        one, two = (each.sentence(rng, each.state(rng, entity, attribute)) for each in both)
    return one, two, fact, fact


KINDS = (
    (0.34, question_answer),
    (0.57, paraphrase),
    (0.67, entity_description),
    (0.75, title_body),
    (0.82, heading_section),
    (0.88, alias_description),
    (1.0, translation),
)  # cumulative shares


def sentences(text: str) -> list[str]:
    """The sentences of a text, closing quotes and spaces included."""
    return re.findall(r"[^。！？.!?]+[。！？.!?]+[”’」\"]?\s?", text) or [text]


def some_sentences(rng: Random, text: str) -> str:
    """Two to four sentences of a text that stand together."""
    parts = sentences(text)
    start = int(rng.random() * max(1, len(parts) - 1))
    return "".join(parts[start : start + 2 + int(rng.random() * 3)]).strip()


def sentence_passage(rng: Random, text: str) -> tuple[str, str]:
    """One sentence of a text, and the text without it."""
    parts = sentences(text)
    long = [number for number, part in enumerate(parts) if len(part) >= SHORTEST_SENTENCE] or [0]
    number = pick(rng, long)
    return parts[number].strip(), "".join(parts[:number] + parts[number + 1 :]).strip() or text


def article_pair(rng: Random, article: Article) -> tuple[str, str, str, str]:
    """Two sides of an article: text_a, text_b, kind, language."""
    english, chance = article.english, rng.random()
    if english is not None and chance < 0.4:
        sides = (
            (english.headline, article.headline),
            (english.text, article.text),
            (english.headline, article.text),
            (article.headline, english.text),
        )
        return *pick(rng, sides), "translation", "zh-en"
    version, language = (english, "en") if english is not None and chance < 0.55 else (article, "zh")
    return *in_one_language(rng, version), language


def in_one_language(rng: Random, version: Article | English) -> tuple[str, str, str]:
    """Two sides of one version of an article: text_a, text_b, kind."""
    if rng.random() < 0.5:
        return *sentence_passage(rng, version.text), "sentence_passage"
    body = version.text if rng.random() < 0.5 else some_sentences(rng, version.text)
    return version.headline, body, "title_body"


def matched(rng: Random) -> tuple[str, str, str, str, str, str, str]:
    """text_a, text_b, source, kind, language, facts of a, facts of b; the two sides belong together.

    Most are Chinese, some English, some one in each.
    """
    if rng.random() < ARTICLE_SHARE and all_articles():
        article = pick(rng, all_articles())
        one, two, kind, language = article_pair(rng, article)
        return one, two, "world:articles", kind, language, f"articles/{article.id}", f"articles/{article.id}"
    entity, chance = pick(rng, all_entities()), rng.random()
    make = next(make for share, make in KINDS if chance < share)
    language = "en" if rng.random() < ENGLISH_SHARE else "zh"
    one, two, fact_a, fact_b = make(rng, voice(language, "training"), entity)
    language = "zh-en" if make is translation else language
    return one, two, f"world:{entity.domain.name}", make.__name__, language, fact_a, fact_b


def matched_english(rng: Random) -> tuple[str, str, str, str, str, str, str]:
    """The same, both sides in English."""
    if rng.random() < ARTICLE_SHARE and (written := translated()):
        article = pick(rng, written)
        one, two, kind = in_one_language(rng, article.english)
        return one, two, "world:articles", kind, "en", f"articles/{article.id}", f"articles/{article.id}"
    entity, chance = pick(rng, all_entities()), rng.random() * KINDS[-2][0]  # all but translations
    make = next(make for share, make in KINDS if chance < share)
    one, two, fact_a, fact_b = make(rng, voice("en", "training"), entity)
    return one, two, f"world:{entity.domain.name}", make.__name__, "en", fact_a, fact_b


def pair_row(seed: int, row: int, language: str = "zh") -> tuple[str, str, str, str, str, str, str, bool]:
    """Row `row` of the pairs of a seed, in the order of the table's columns."""
    rng, draw = dice(seed, marked("pairs", language), row), matched_english if language == "en" else matched
    sides = draw(rng)
    torn = rng.random() < MISMATCH_SHARE
    if torn:
        other = draw(rng)
        if other[6].split(";")[0].split("/")[:2] == sides[6].split(";")[0].split("/")[:2]:
            torn = False
        else:
            sides = (sides[0], other[1], *sides[2:6], other[6])
    return *sides, not torn
