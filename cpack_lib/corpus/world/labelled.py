"""Labelled rows: a query, texts that answer it, and texts that look alike and do not.

Facts held out from labelled training (one in eight, by a fixed hash) never stand in a positive here.
"""

from random import Random

from cpack_lib.corpus.world.chance import dice, fixed_hash, pick, pick_other
from cpack_lib.corpus.world.facts import Attribute, Entity, all_domains, all_entities, family, holders
from cpack_lib.corpus.world.pairs import fact_id
from cpack_lib.corpus.world.wording import Voice, marked, voice

HELD_OUT_ONE_IN = 8
Row = tuple[str, list[str], list[str], str, str]  # query, pos, neg, fact of query and pos, what neg is


def is_held_out(fact: str) -> bool:
    """Whether a fact (domain/entity/attribute) is kept from labelled training."""
    return fixed_hash(fact) % HELD_OUT_ONE_IN == 0


def some_fact(rng: Random) -> tuple[Entity, Attribute]:
    """A fact that may be trained on."""
    while True:
        entity = pick(rng, all_entities())
        attribute = pick(rng, entity.attributes)
        if not is_held_out(fact_id(entity, attribute)):
            return entity, attribute


def same_entity(rng: Random, tongue: Voice, entity: Entity, attribute: Attribute, name: str = "") -> str:
    """A sentence with another fact of the entity."""
    other = pick_other(rng, entity.attributes, attribute)
    return tongue.sentence(rng, tongue.state(rng, entity, other, name=name))


def same_attribute(rng: Random, tongue: Voice, entity: Entity, attribute: Attribute) -> str:
    """A sentence with the attribute of another entity of the domain."""
    other = pick_other(rng, holders(attribute), entity)
    return tongue.sentence(rng, tongue.state(rng, other, attribute))


def false(rng: Random, tongue: Voice, entity: Entity, attribute: Attribute) -> str:
    """A sentence that contradicts the fact: another value, or the denial of the true one."""
    if attribute.exclusive and rng.random() < 0.6:
        wrong = tongue.other_value(rng, entity, attribute)
        return tongue.sentence(rng, tongue.state(rng, entity, attribute, value=wrong))
    return tongue.sentence(rng, tongue.deny(rng, entity, attribute, entity.value(attribute)))


def retrieval(rng: Random, tongue: Voice) -> Row:
    """A question and the passage that answers it; negatives are left to mining."""
    entity, attribute = some_fact(rng)
    passage = tongue.sentence(rng, tongue.state(rng, entity, attribute))
    if rng.random() < 0.5:
        passage = tongue.join(passage, tongue.filler(rng))
    return tongue.question(rng, entity, attribute), [passage], [], fact_id(entity, attribute), ""


def sts(rng: Random, tongue: Voice) -> Row:
    """A statement, its paraphrase, and a statement that shares only half of it."""
    entity, attribute = some_fact(rng)
    one, two = (tongue.sentence(rng, tongue.state(rng, entity, attribute)) for _ in range(2))
    make = pick(rng, (same_entity, same_attribute, false))
    return one, [two], [make(rng, tongue, entity, attribute)], fact_id(entity, attribute), make.__name__


def nli(rng: Random, tongue: Voice) -> Row:
    """A description, a statement that follows from it, and one that contradicts it."""
    entity, attribute = some_fact(rng)
    known = [each for each in entity.attributes if not is_held_out(fact_id(entity, each))]
    others = [each for each in known if each is not attribute][:1]
    premise = tongue.describe(rng, entity, [attribute, *others])
    claim = tongue.sentence(rng, tongue.state(rng, entity, attribute))
    return premise, [claim], [false(rng, tongue, entity, attribute)], fact_id(entity, attribute), "false"


def classification(rng: Random, tongue: Voice) -> Row:
    """A statement, one about another entity of the same domain, and one from another domain."""
    entity, attribute = some_fact(rng)
    fellow = pick_other(rng, family(entity.domain), entity)
    stranger = pick(rng, family(pick_other(rng, all_domains(), entity.domain)))
    texts = [tongue.sentence(rng, tongue.state(rng, entity, attribute))]
    for each in (fellow, stranger):
        known = [one for one in each.attributes if not is_held_out(fact_id(each, one))] or each.attributes
        texts.append(tongue.sentence(rng, tongue.state(rng, each, pick(rng, known))))
    return texts[0], texts[1:2], texts[2:], fact_id(entity, attribute), "other_domain"


TASKS = ((0.45, retrieval), (0.7, sts), (0.9, nli), (1.0, classification))  # cumulative shares


def labelled_row(
    seed: int, row: int, language: str = "zh"
) -> tuple[str, list[str], list[str], str, str, str, str]:
    """Row `row` of the labelled data of a seed, in the order of the table's columns."""
    rng = dice(seed, marked("labelled", language), row)
    chance = rng.random()
    make = next(make for share, make in TASKS if chance < share)
    query, positives, negatives, fact, negative = make(rng, voice(language, "training"))
    return query, positives, negatives, f"world:{fact.split('/')[0]}", make.__name__, fact, negative
