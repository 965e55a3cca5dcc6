"""Re-ranking, graded similarity and entailment: sets in which looking alike and meaning the same are at odds.

Where two texts mean the same they use different names, frames and wordings; where they differ they share many
of them.
"""

from collections.abc import Callable
from random import Random

import polars as pl

from cpack_lib.corpus.world.chance import dice, pick, pick_other
from cpack_lib.corpus.world.facts import Attribute, Entity, all_domains, all_entities, family, holders
from cpack_lib.corpus.world.labelled import false, is_held_out, same_attribute, same_entity
from cpack_lib.corpus.world.pairs import fact_id
from cpack_lib.corpus.world.retrieval import fact_passage, far_name
from cpack_lib.corpus.world.wording import STOP, Voice, capital, marked, voice

RERANK_QUERIES = 400
GRADED_PAIRS = 1_800
ENTAIL_PAIRS = 1_200
Fact = tuple[Entity, Attribute]


def rerank_row(rng: Random, tongue: Voice, entity: Entity) -> dict:
    """A question, two passages with its answer, eight without: other facts of the entity, other entities.

    The entity is called as in the question in two of the wrong passages; in a right one hardly ever.
    """
    attribute = pick(rng, entity.attributes)
    name = tongue.name(rng, entity)
    far = far_name(entity, name, tongue.language)
    names = (far, tongue.name(rng, entity))
    positives = [fact_passage(rng, tongue, (entity, attribute), each) for each in names]
    negatives = [same_entity(rng, tongue, entity, attribute, name=each) for each in (name, name, far)]
    negatives += [same_attribute(rng, tongue, entity, attribute) for _ in range(5)]
    positives, negatives = list(dict.fromkeys(positives)), list(dict.fromkeys(negatives))
    return {
        "query": tongue.question(rng, entity, attribute, name=name),
        "positive": positives,
        "negative": negatives,
        "truth_fact": fact_id(entity, attribute),
    }


def rerank_tables(seed: int, language: str = "zh") -> dict[str, pl.DataFrame]:
    """world_rerank."""
    rng, tongue = dice(seed, marked("world_rerank", language), 0), voice(language, "evaluation")
    rows = [rerank_row(rng, tongue, entity) for entity in sampled(rng, RERANK_QUERIES)]
    return {"test": pl.DataFrame(rows)}


def sampled(rng: Random, count: int) -> list[Entity]:
    """So many entities, every one before any a second time."""
    entities = []
    while len(entities) < count:
        entities += rng.sample(all_entities(), min(count - len(entities), len(all_entities())))
    return entities


def statement(rng: Random, tongue: Voice, facts: list[Fact], name: str = "") -> str:
    """One sentence for each fact of one entity, the entity named in the first."""
    return tongue.describe(rng, facts[0][0], [attribute for _, attribute in facts], name=name)


def unlike(rng: Random, tongue: Voice, facts: list[Fact], text: str, name: str) -> str:
    """Of two statements of the facts by another name, the one that is less like a text in its characters."""
    far = far_name(facts[0][0], name, tongue.language)
    drafts = [statement(rng, tongue, facts, far) for _ in range(2)]
    return min(drafts, key=lambda draft: len(set(draft) & set(text)) / len(set(draft)))


def same_meaning(rng: Random, tongue: Voice, entity: Entity, name: str) -> tuple[str, str]:
    """Score 5: the same two facts in the same order, another name, other frames and words."""
    facts = [(entity, attribute) for attribute in rng.sample(entity.attributes, 2)]
    text = statement(rng, tongue, facts, name)
    return text, unlike(rng, tongue, facts, text, name)


def part_of_it(rng: Random, tongue: Voice, entity: Entity, name: str) -> tuple[str, str]:
    """Score 4: two facts, and one of the two under another name."""
    facts = [(entity, attribute) for attribute in rng.sample(entity.attributes, 2)]
    text = statement(rng, tongue, facts, name)
    return text, unlike(rng, tongue, facts[:1], text, name)


def half_of_it(rng: Random, tongue: Voice, entity: Entity, name: str) -> tuple[str, str]:
    """Score 3: two facts each, one of them shared, under two names."""
    one, two, three = ((entity, attribute) for attribute in rng.sample(entity.attributes, 3))
    text = statement(rng, tongue, [one, two], name)
    return text, unlike(rng, tongue, [one, three], text, name)


def only_the_subject(rng: Random, tongue: Voice, entity: Entity, name: str) -> tuple[str, str]:
    """Score 2: different facts of one entity under one name."""
    one, two = ((entity, attribute) for attribute in rng.sample(entity.attributes, 2))
    return statement(rng, tongue, [one], name), statement(rng, tongue, [two], name)


def only_the_domain(rng: Random, tongue: Voice, entity: Entity, name: str) -> tuple[str, str]:
    """Score 1: another entity of the domain, in the very same sentence or with another of its facts."""
    attribute = pick(rng, entity.attributes)
    other = pick_other(rng, holders(attribute), entity)
    if rng.random() < 0.5:
        return in_one_frame(rng, tongue, (entity, attribute), (other, attribute), name)
    another = pick_other(rng, other.attributes, attribute)
    return in_one_frame(rng, tongue, (entity, attribute), (other, another), name)


def nothing(rng: Random, tongue: Voice, entity: Entity, name: str) -> tuple[str, str]:
    """Score 0: a fact of another domain."""
    other = pick(rng, family(pick_other(rng, all_domains(), entity.domain)))
    facts = [(each, pick(rng, each.attributes)) for each in (entity, other)]
    return in_one_frame(rng, tongue, *facts, name)


def in_one_frame(rng: Random, tongue: Voice, one: Fact, two: Fact, name: str) -> tuple[str, str]:
    """Two facts, the first of an entity called `name`, said in the same general frame."""
    frame = pick(rng, tongue.frames["say"])
    clauses = (tongue.fill(rng, frame, *one, name), tongue.fill(rng, frame, *two))
    first, second = (capital(clause) + STOP[tongue.language] for clause in clauses)
    return first, second


GRADES: tuple[Callable, ...] = (
    nothing,
    only_the_domain,
    only_the_subject,
    half_of_it,
    part_of_it,
    same_meaning,
)


def graded_tables(seed: int, language: str = "zh") -> dict[str, pl.DataFrame]:
    """world_sts: pairs with a score from 0 to 5, the same number of each."""
    rng, tongue = dice(seed, marked("world_sts", language), 0), voice(language, "evaluation")
    rows = []
    for number, entity in enumerate(sampled(rng, GRADED_PAIRS)):
        score = number % len(GRADES)
        make = GRADES[score]
        one, two = make(rng, tongue, entity, tongue.name(rng, entity))
        rows.append({"sentence1": one, "sentence2": two, "score": float(score), "truth_kind": make.__name__})
    rng.shuffle(rows)
    return {"test": pl.DataFrame(rows)}


def entail_row(rng: Random, tongue: Voice, entity: Entity, label: int) -> dict:
    """A description, and a claim that follows from it (1) or contradicts it (0)."""
    facts = [(entity, attribute) for attribute in rng.sample(entity.attributes, 2)]
    name, claimed = tongue.name(rng, entity), pick(rng, facts)[1]
    if label:
        far = far_name(entity, name, tongue.language)
        claim = tongue.sentence(rng, tongue.state(rng, entity, claimed, name=far))
    else:
        claim = false(rng, tongue, entity, claimed)
    truth = fact_id(entity, claimed)
    return {
        "sentence1": statement(rng, tongue, facts, name),
        "sentence2": claim,
        "label": label,
        "truth_fact": truth,
        "truth_held_out": is_held_out(truth),
    }


def entail_tables(seed: int, language: str = "zh") -> dict[str, pl.DataFrame]:
    """world_entail."""
    rng, tongue = dice(seed, marked("world_entail", language), 0), voice(language, "evaluation")
    entities = enumerate(sampled(rng, ENTAIL_PAIRS))
    rows = [entail_row(rng, tongue, entity, number % 2) for number, entity in entities]
    rng.shuffle(rows)
    return {"test": pl.DataFrame(rows)}
