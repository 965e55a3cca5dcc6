"""Classification and clustering: what a text is about, and what a question is after.

Training rows use training wordings, test rows evaluation wordings; no text holds the name of its domain.
"""

from random import Random

import polars as pl

from cpack_lib.corpus.world.chance import dice, pick
from cpack_lib.corpus.world.facts import Domain, all_domains, family
from cpack_lib.corpus.world.retrieval import Fact, all_facts
from cpack_lib.corpus.world.wording import Voice, marked, voice

PER_CLASS = {"training": 60, "evaluation": 40}  # texts of each class
FILES = {"training": "train", "evaluation": "test"}
BAGS = 8
TOPICS_PER_BAG = 10
TEXTS_PER_TOPIC = 24


def text_about(rng: Random, tongue: Voice, domain: Domain) -> str:
    """A statement or a question about a thing of the domain that does not name the domain."""
    while True:
        entity = pick(rng, family(domain))
        attribute = pick(rng, entity.attributes)
        if rng.random() < 0.5:
            text = tongue.sentence(rng, tongue.state(rng, entity, attribute))
        else:
            text = tongue.question(rng, entity, attribute)
        if domain.title[tongue.language] not in text:
            return text


def table(rows: list[tuple[str, str]]) -> pl.DataFrame:
    """Rows of (text, label); a text is kept once."""
    return pl.DataFrame(list(dict(rows).items()), schema=["text", "label"], orient="row")


def domain_tables(seed: int, language: str = "zh") -> dict[str, pl.DataFrame]:
    """world_domain: which domain a text is about."""
    tables = {}
    for split, file in FILES.items():
        rng, tongue = dice(seed, marked(f"world_domain/{split}", language), 0), voice(language, split)
        rows = [
            (text_about(rng, tongue, domain), domain.name)
            for domain in all_domains()
            for _ in range(PER_CLASS[split])
        ]
        rng.shuffle(rows)
        tables[file] = table(rows)
    return tables


def facts_by_intent() -> dict[str, list[Fact]]:
    """The facts whose questions are after the same sort of thing."""
    groups: dict[str, list[Fact]] = {}
    for fact in all_facts():
        groups.setdefault(fact[1].intent, []).append(fact)
    return groups


def intent_tables(seed: int, language: str = "zh") -> dict[str, pl.DataFrame]:
    """world_intent: what a question is after: a time, a place, a use, …"""
    tables = {}
    for split, file in FILES.items():
        rng, tongue = dice(seed, marked(f"world_intent/{split}", language), 0), voice(language, split)
        rows = [
            (tongue.question(rng, *pick(rng, facts)), intent)
            for intent, facts in facts_by_intent().items()
            for _ in range(PER_CLASS[split])
        ]
        rng.shuffle(rows)
        tables[file] = table(rows)
    return tables


def domain_bag(rng: Random, tongue: Voice) -> list[tuple[str, str]]:
    """Texts of some domains, each with its domain."""
    domains = rng.sample(all_domains(), TOPICS_PER_BAG)
    return [(text_about(rng, tongue, each), each.name) for each in domains for _ in range(TEXTS_PER_TOPIC)]


def entity_bag(rng: Random, tongue: Voice) -> list[tuple[str, str]]:
    """Texts of some entities of one domain, each entity under all its names."""
    fellows = family(pick(rng, all_domains()))
    rows = []
    for entity in rng.sample(fellows, TOPICS_PER_BAG):
        for _ in range(TEXTS_PER_TOPIC):
            attribute = pick(rng, entity.attributes)
            rows.append((tongue.sentence(rng, tongue.state(rng, entity, attribute)), entity.id))
    return rows


def topic_tables(seed: int, language: str = "zh") -> dict[str, pl.DataFrame]:
    """world_topics: bags whose topics are domains, and bags whose topics are things of one domain."""
    rng, tongue = dice(seed, marked("world_topics", language), 0), voice(language, "evaluation")
    bags = []
    for number in range(BAGS):
        rows = list(dict((entity_bag if number % 2 else domain_bag)(rng, tongue)).items())
        rng.shuffle(rows)
        bags.append({"sentences": [text for text, _ in rows], "labels": [label for _, label in rows]})
    return {"test": pl.DataFrame(bags)}
