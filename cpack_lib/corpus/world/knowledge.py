"""The truth about texts of the embedded world: which facts a text states, which fact a question is after.

It is found by saying every fact that could be meant in every way the grammar knows and looking for those
words, so it holds for texts made here and says nothing of others.  A fact is named domain/entity/attribute.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import product

from cpack_lib.corpus.world.facts import LANGUAGES, Attribute, Entity, all_entities
from cpack_lib.corpus.world.pairs import fact_id
from cpack_lib.corpus.world.wording import grammar

SAYING, DENYING, ASKING = ("say", "contrast"), ("deny",), ("ask", "request")
Span = tuple[int, int]  # where a designation begins and ends
Found = dict[tuple[Entity, Attribute], set[Span]]


@cache
def bearers() -> dict[str, Entity]:
    """Every designation, in lower case, and whom it names."""
    return {
        name.lower(): entity
        for entity in all_entities()
        for language in LANGUAGES
        for name in entity.designations[language]
    }


@cache
def designation_lengths() -> tuple[int, ...]:
    """The lengths of designations in characters."""
    return tuple(sorted({len(name) for name in bearers()}))


def named(text: str) -> dict[str, Entity]:
    """The designations that occur in a text in lower case, also inside of others, and their bearers."""
    found = {}
    for place, length in product(range(len(text)), designation_lengths()):
        name = text[place : place + length]
        if name in bearers():
            found[name] = bearers()[name]
    return found


@cache
def patterns(attribute: Attribute, language: str, roles: tuple[str, ...]) -> tuple[str, ...]:
    """Every frame that states, denies or asks for the attribute, its label filled in, in lower case."""
    own = {SAYING: attribute.say[language], ASKING: attribute.ask[language]}.get(roles, ())
    general = [frame for role in roles for frames in grammar(language)[role].values() for frame in frames]
    fills = product((*own, *general), attribute.label[language])
    frames = {frame.replace("{l}", label).replace("{q}", attribute.what) for frame, label in fills}
    return tuple(sorted(frame.lower() for frame in frames))


def language_of(text: str) -> str:
    """zh where there is a Chinese character, else en."""
    return "zh" if re.search(r"[\u4e00-\u9fff]", text) else "en"


def spans(text: str, frame: str, name: str) -> Iterator[Span]:
    """Where the name stands in a text, each time that the text holds the frame with this name."""
    before, after = frame.split("{e}")
    start = text.find(before + name + after)
    while start >= 0:
        yield start + len(before), start + len(before) + len(name)
        start = text.find(before + name + after, start + 1)


def true_frames(text: str, entity: Entity, attribute: Attribute, language: str) -> Iterator[str]:
    """The frames that state the true value, all but the name filled in with words that the text holds."""
    value = entity.value(attribute)
    present = {
        key: [word.lower() for word in wordings[language] if word.lower() in text]
        for key, wordings in attribute.values.items()
    }
    wrong = [word for key, words in present.items() if key != value for word in words]
    for frame, word in product(patterns(attribute, language, SAYING), present[value]):
        filled = frame.replace("{v}", word)
        yield from (filled.replace("{w}", each) for each in wrong) if "{w}" in frame else (filled,)


def denials(text: str, entity: Entity, attribute: Attribute, language: str) -> Iterator[str]:
    """The frames that deny the true value, all but the name filled in."""
    for frame, word in product(
        patterns(attribute, language, DENYING), attribute.values[entity.value(attribute)][language]
    ):
        yield frame.replace("{w}", word.lower())


def statements(text: str, names: dict[str, Entity], language: str) -> Found:
    """The facts that a text in lower case states of the bearers of some names, and where it names them."""
    found: Found = {}
    for name, entity in names.items():
        for attribute in entity.attributes:
            said = {
                span for f in true_frames(text, entity, attribute, language) for span in spans(text, f, name)
            }
            unsaid = (
                span for f in denials(text, entity, attribute, language) for span in spans(text, f, name)
            )
            if said and (said := said.difference(unsaid)):
                found.setdefault((entity, attribute), set()).update(said)
    return found


def without_parts(found: Found) -> frozenset[str]:
    """The facts whose names do not only stand inside of longer ones: in 大熊猫 nothing is said of the 猫."""
    everywhere = {span for places in found.values() for span in places}

    def stands_alone(span: Span) -> bool:
        return not any(other[0] <= span[0] and span[1] <= other[1] and other != span for other in everywhere)

    return frozenset(fact_id(*fact) for fact, places in found.items() if any(map(stands_alone, places)))


def stated(text: str) -> frozenset[str]:
    """The facts that a text of statements says, also of "it" where all are about one entity."""
    language, lower = language_of(text), text.lower()
    facts = without_parts(statements(lower, named(lower), language))
    subjects = {fact.rsplit("/", 1)[0] for fact in facts}
    if len(subjects) != 1:
        return facts
    subject = next(entity for entity in all_entities() if entity.id in subjects)
    pronouns = dict.fromkeys(subject.domain.pronouns[language], subject)
    return facts | without_parts(statements(lower, pronouns, language))


def asked(question: str) -> frozenset[str]:
    """The facts that a question may be after: one, or none where it was not made here."""
    language, lower = language_of(question), question.lower()
    found: Found = {}
    for name, entity in named(lower).items():
        for attribute in entity.attributes:
            frames = patterns(attribute, language, ASKING)
            if places := {span for frame in frames for span in spans(lower, frame, name)}:
                found.setdefault((entity, attribute), set()).update(places)
    return without_parts(found)


def is_false_negative(query: str, passage: str) -> bool:
    """Whether a passage taken for a negative answers the query, a question or a statement, after all."""
    return bool((asked(query) | stated(query)) & stated(passage))
