"""Sentences of the embedded world: two languages, two splits without a common pattern, one truth each."""

from random import Random

import polars as pl
import pytest

from cpack_lib.corpus import world
from cpack_lib.corpus.world import knowledge
from cpack_lib.corpus.world.chance import pick, pick_other
from cpack_lib.corpus.world.facts import LANGUAGES, all_domains, all_entities
from cpack_lib.corpus.world.labelled import false
from cpack_lib.corpus.world.pairs import fact_id
from cpack_lib.corpus.world.retrieval import fact_tables
from cpack_lib.corpus.world.wording import SPLITS, grammar, split_frames, voice

ATTRIBUTES = [attribute for domain in all_domains() for attribute in domain.attributes.values()]
STATING, ASKING = ("say", "contrast", "deny"), ("ask", "request")


def holed(frames: list[str], attribute) -> set[str]:
    """Frames with the attribute's labels and question word, and one hole for true and false values."""
    return {
        frame.replace("{w}", "{v}").replace("{q}", attribute.what).replace("{l}", label)
        for frame in frames
        for label in attribute.label["zh"] + attribute.label["en"]
    }


def frames_of(attribute, own: str, roles: tuple[str, ...], language: str, split: str) -> set[str]:
    general = [frame for role in roles for frame in grammar(language)[role][split]]
    return holed([*split_frames(getattr(attribute, own)[language])[split], *general], attribute)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("own", "roles"), [("say", STATING), ("ask", ASKING)])
def test_no_evaluation_pattern_is_part_of_a_training_pattern_or_the_other_way_round(language, own, roles):
    for attribute in ATTRIBUTES:
        training, evaluation = (frames_of(attribute, own, roles, language, split) for split in SPLITS)
        assert not [(e, t) for e in evaluation for t in training if e in t or t in e], attribute.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_role_has_frames_in_both_splits(language):
    for role, frames in grammar(language).items():
        assert all(frames[split] for split in SPLITS), role
        assert not set(frames["training"]) & set(frames["evaluation"]), role


def test_generated_evaluation_texts_use_no_training_frame():
    """Looked for in the texts themselves: every question frame of training, filled with every name."""
    queries = fact_tables(0)["queries"].head(200)
    entities = {entity.id: entity for entity in all_entities()}
    for text, truth in queries.select("text", "truth_fact").iter_rows():
        domain, name, key = truth.split("/")
        entity = entities[f"{domain}/{name}"]
        frames = frames_of(entity.domain.attributes[key], "ask", ASKING, "zh", "training")
        assert not [frame for frame in frames for e in entity.designations["zh"] if frame.format(e=e) in text]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_says_its_fact_and_no_other(language, split):
    rng, tongue = Random(1), voice(language, split)
    for _ in range(300):
        entity = pick(rng, all_entities())
        attribute = pick(rng, entity.attributes)
        fact = fact_id(entity, attribute)
        sentence = tongue.sentence(rng, tongue.state(rng, entity, attribute))
        assert knowledge.stated(sentence) == {fact}, sentence
        question = tongue.question(rng, entity, attribute)
        assert knowledge.asked(question) == {fact}, question
        assert knowledge.is_false_negative(question, sentence)
        other = pick_other(rng, entity.attributes, attribute)
        assert not knowledge.is_false_negative(
            question, tongue.sentence(rng, tongue.state(rng, entity, other))
        )
        if language == "zh":
            assert fact not in knowledge.stated(false(rng, tongue, entity, attribute))


def test_the_truth_about_a_paragraph_is_found_in_its_text():
    pairs = next(world.tables("pairs", 4_000, seed=5)).filter("truth_match")
    kinds = ("title_body", "entity_description", "heading_section", "question_answer")
    pairs = pairs.filter(pl.col("kind").is_in(kinds), pl.col("source") != "world:articles")
    for text, truth in pairs.select("text_b", "truth_b").iter_rows():
        assert knowledge.stated(text) == set(truth.split(";")), text


def test_texts_of_others_state_nothing():
    assert knowledge.stated("昨天的会议推迟到下周三。") == frozenset()
    assert knowledge.asked("明天几点开会？") == frozenset()


def test_scripts_and_sentence_ends_are_sane():
    pairs = next(world.tables("pairs", 4_000, seed=2)).filter(
        pl.col("truth_match"), pl.col("source") != "world:articles"
    )
    english = pairs.filter(pl.col("language") == "en")
    texts = pl.concat([english["text_a"], english["text_b"]])
    assert not texts.str.contains(r"\p{Han}|[，。？]").any()
    assert texts.str.contains(r"^[^a-z]").all()  # a capital, a digit or a quotation mark
    chinese = pairs.filter(pl.col("language") == "zh")
    texts = pl.concat([chinese["text_a"], chinese["text_b"]])
    assert texts.str.contains(r"\p{Han}").all()
    assert not texts.str.contains(r"[{}]|的的|。。|，。|[a-z]{12,}").any()


def test_a_voice_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no voice 'fr'"):
        voice("fr", "training")
