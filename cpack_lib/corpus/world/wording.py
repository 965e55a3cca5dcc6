"""How facts become sentences: frames with holes, split for good into training and evaluation wordings.

A frame is a sentence pattern such as `{e}在{v}开花`; its holes are filled with one of the entity's
designations and one of the value's wordings.  Frames come from the domain, about one attribute, and from
grammar/*.yaml, about any.  A quarter of every list, chosen by a fixed hash, is used for evaluation only; the
rest for training only.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

import yaml

from cpack_lib.corpus.world.chance import fixed_hash, pick, pick_other
from cpack_lib.corpus.world.facts import LANGUAGES, Attribute, Entity, all_domains

GRAMMAR = Path(__file__).parent / "grammar"
SPLITS = ("training", "evaluation")
STOP = {"zh": "。", "en": "."}
QUESTION_MARK = {"zh": "？", "en": "?"}
SPECIFIC_SHARE = 0.55  # of statements and questions in a frame of their attribute
REQUEST_SHARE = 0.15  # of questions that ask for help rather than for the fact
CONTRAST_SHARE = 0.12  # of statements that also deny another value
PLAIN_SHARE = 0.6  # of sentences without a frame around them


def split_frames(frames: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Frames by split: of n, the max(1, n // 4) with the smallest hash are for evaluation."""
    ranked = sorted(frames, key=fixed_hash)
    held = max(1, len(ranked) // 4)
    return {"training": tuple(ranked[held:]), "evaluation": tuple(ranked[:held])}


@cache
def grammar(language: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """The general frames of a language: role -> split -> frames."""
    node = yaml.load((GRAMMAR / f"{language}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return {role: split_frames(frames) for role, frames in node.items()}


def capital(text: str) -> str:
    """The text with its first letter in upper case (Chinese stays as it is)."""
    return text[:1].upper() + text[1:]


class Voice:
    """One language and one split of its wordings; every sentence of the world is spoken by a voice."""

    def __init__(self, language: str, split: str):
        self.language, self.split = language, split
        self.frames = {role: frames[split] for role, frames in grammar(language).items()}
        attributes = [attribute for domain in all_domains() for attribute in domain.attributes.values()]
        self.say = {each.id: split_frames(each.say[language])[split] for each in attributes}
        self.ask = {each.id: split_frames(each.ask[language])[split] for each in attributes}

    def name(self, rng: Random, entity: Entity) -> str:
        """One of the entity's designations."""
        return pick(rng, entity.designations[self.language])

    def value(self, rng: Random, attribute: Attribute, value: str) -> str:
        """One of the value's wordings."""
        return pick(rng, attribute.values[value][self.language])

    def label(self, rng: Random, attribute: Attribute) -> str:
        """One of the attribute's names."""
        return pick(rng, attribute.label[self.language])

    def other_value(self, rng: Random, entity: Entity, attribute: Attribute) -> str:
        """A value that the entity does not have."""
        return pick_other(rng, tuple(attribute.values), entity.value(attribute))

    def state(self, rng: Random, entity: Entity, attribute: Attribute, name="", value="") -> str:
        """A clause that states the attribute, of the entity (called `name`) or with another value."""
        chance = rng.random()
        if chance < SPECIFIC_SHARE:
            frame = pick(rng, self.say[attribute.id])
        elif chance < 1 - CONTRAST_SHARE or value or not attribute.exclusive:
            frame = pick(rng, self.frames["say"])
        else:
            frame = pick(rng, self.frames["contrast"])
        return self.fill(rng, frame, entity, attribute, name, value)

    def deny(self, rng: Random, entity: Entity, attribute: Attribute, value: str) -> str:
        """A clause that says the entity does not have the value."""
        frame = pick(rng, self.frames["deny"])
        wording = self.value(rng, attribute, value)
        return frame.format(e=self.name(rng, entity), l=self.label(rng, attribute), w=wording)

    def fill(self, rng: Random, frame: str, entity: Entity, attribute: Attribute, name="", value="") -> str:
        """A statement frame with its holes filled."""
        wrong = ""
        if "{w}" in frame:
            wrong = self.value(rng, attribute, self.other_value(rng, entity, attribute))
        wording = self.value(rng, attribute, value or entity.value(attribute))
        name, label = name or self.name(rng, entity), self.label(rng, attribute)
        return frame.format(e=name, v=wording, w=wrong, l=label)

    def sentence(self, rng: Random, clause: str) -> str:
        """A clause as a sentence, alone or with a few words around it."""
        if rng.random() < PLAIN_SHARE:
            return capital(clause) + STOP[self.language]
        return capital(pick(rng, self.frames["frame"]).format(s=clause))

    def question(self, rng: Random, entity: Entity, attribute: Attribute, name: str = "") -> str:
        """A question for the attribute of the entity."""
        chance = rng.random()
        role = "ask" if chance < 1 - REQUEST_SHARE else "request"
        frames = self.ask[attribute.id] if chance < SPECIFIC_SHARE else self.frames[role]
        name = name or self.name(rng, entity)
        clause = pick(rng, frames).format(e=name, l=self.label(rng, attribute), q=attribute.what)
        if role == "request" or rng.random() < PLAIN_SHARE:
            return capital(clause) + QUESTION_MARK[self.language]
        return capital(pick(rng, self.frames["inquire"]).format(s=clause))

    def identify(self, rng: Random, entity: Entity) -> str:
        """A clause that gives two designations of the entity, or "" where it has one only."""
        names = entity.designations[self.language]
        if len(names) == 1:
            return ""
        first = self.name(rng, entity)
        second = pick_other(rng, names, first)
        if second in entity.periphrases:
            return pick(rng, self.frames["define"]).format(a=first, d=second)
        return pick(rng, self.frames["alias"]).format(a=first, b=second)

    def compare(self, rng: Random, one: Entity, two: Entity, attribute: Attribute) -> str:
        """A clause that sets the values of two entities side by side."""
        first, second = (self.value(rng, attribute, entity.value(attribute)) for entity in (one, two))
        frame, label = pick(rng, self.frames["compare"]), self.label(rng, attribute)
        return frame.format(a=self.name(rng, one), b=self.name(rng, two), v=first, w=second, l=label)

    def describe(self, rng: Random, entity: Entity, attributes: Sequence[Attribute], name: str = "") -> str:
        """A paragraph: the entity is named once, then each attribute is stated of "it"."""
        name = name or self.name(rng, entity)
        clauses = [self.state(rng, entity, attributes[0], name=name)]
        for attribute in attributes[1:]:
            pronoun = pick(rng, entity.domain.pronouns[self.language])
            clauses.append(self.state(rng, entity, attribute, name=pronoun))
        return self.join(*(capital(clause) + STOP[self.language] for clause in clauses))

    def introduce(self, rng: Random, entity: Entity) -> str:
        """A sentence that gives two designations, or "" where there is one only."""
        clause = self.identify(rng, entity)
        return clause and capital(clause) + STOP[self.language]

    def title(self, rng: Random, entity: Entity, attribute: Attribute) -> str:
        """The title of a page about the entity."""
        frame = pick(rng, self.frames["title"])
        return capital(frame.format(e=self.name(rng, entity), l=self.label(rng, attribute)))

    def heading(self, rng: Random, entity: Entity, attribute: Attribute) -> str:
        """The heading of a section about one attribute of the entity."""
        frame = pick(rng, self.frames["heading"])
        return capital(frame.format(e=self.name(rng, entity), l=self.label(rng, attribute)))

    def join(self, *sentences: str) -> str:
        """Sentences as a paragraph; empty ones are left out."""
        return ("" if self.language == "zh" else " ").join(filter(None, sentences))

    def filler(self, rng: Random) -> str:
        """A sentence that states nothing."""
        return capital(pick(rng, self.frames["filler"]))


def marked(title: str, language: str) -> str:
    """The title of a set or a stream of dice; that of another language than Chinese says so."""
    return title if language == "zh" else f"{title}_{language}"


@cache
def voice(language: str, split: str) -> Voice:
    """The voice of a language (zh, en) and a split (training, evaluation)."""
    if language not in LANGUAGES or split not in SPLITS:
        raise ValueError(f"no voice {language!r}, {split!r}: choose from {LANGUAGES} and {SPLITS}")
    return Voice(language, split)
