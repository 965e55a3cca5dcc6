"""The facts of the embedded world: enough of them, every name one thing's, wordings that fit together."""

from collections import Counter

import pytest

from cpack_lib.corpus.world import facts
from cpack_lib.corpus.world.facts import LANGUAGES, all_domains, all_entities

DOMAINS = [pytest.param(domain, id=domain.name) for domain in all_domains()]
ATTRIBUTES = [
    pytest.param(attribute, id=attribute.id)
    for domain in all_domains()
    for attribute in domain.attributes.values()
]
EXCERPT = "name\taliases\tperiphrases\tenglish\tform\tseason\torigin\tuse\n"


def has_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def test_there_are_many_entities_in_many_domains():
    assert len(all_entities()) >= 650
    assert len(all_domains()) >= 13
    assert sum(len(entity.attributes) for entity in all_entities()) >= 2_500


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_designation_names_one_entity(language):
    names = Counter(name.lower() for entity in all_entities() for name in entity.designations[language])
    assert [name for name, count in names.items() if count > 1] == []


def test_every_entity_has_two_names_in_each_language_and_three_to_six_attributes():
    for entity in all_entities():
        assert all(len(entity.designations[language]) >= 2 for language in LANGUAGES), entity.id
        assert 3 <= len(entity.attributes) <= 6, entity.id


def test_names_stand_in_their_own_script_and_in_any_sentence():
    for entity in all_entities():
        assert not any(has_chinese(name) for name in entity.designations["en"]), entity.id
        assert all(has_chinese(name) for name in entity.designations["zh"]), entity.id
        assert not any(name.endswith("的") for name in entity.designations["zh"]), entity.id


@pytest.mark.parametrize("domain", DOMAINS)
def test_aliases_share_few_characters_with_names(domain):
    """Half of a domain's entities or more have a designation that shares nothing with the name."""
    family = facts.family(domain)
    apart = [
        each for each in family if any(not set(name) & set(each.name) for name in each.designations["zh"])
    ]
    assert len(apart) >= len(family) / 2


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_can_be_said_and_asked_in_many_ways(attribute):
    from cpack_lib.corpus.world.wording import grammar

    for language, fewest_say, fewest_ask in (("zh", 8, 8), ("en", 5, 5)):
        general = grammar(language)
        say = [frame for frames in general["say"].values() for frame in frames]
        ask = [frame for frames in general["ask"].values() for frame in frames]
        assert len({*attribute.say[language], *say}) >= fewest_say
        assert len({*attribute.ask[language], *ask}) >= fewest_ask
        assert len(attribute.say[language]) >= 4
        assert len(attribute.ask[language]) >= 4
        assert all(frame.count("{e}") == frame.count("{v}") == 1 for frame in attribute.say[language])
        assert all(frame.count("{e}") == 1 and "{v}" not in frame for frame in attribute.ask[language])


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_wordings_of_an_attribute_are_sane(attribute):
    assert not any("的" in label for label in attribute.label["zh"])
    assert not any(
        {"it", "we", "what", "where", "how"} & set(label.split()) for label in attribute.label["en"]
    )
    assert all(len(attribute.label[language]) >= 2 for language in LANGUAGES)
    for value, wordings in attribute.values.items():
        assert not any(has_chinese(wording) for wording in wordings["en"]), value
        assert all(len(set(each)) == len(each) for each in wordings.values()), value


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_no_wording_stands_for_two_values_that_exclude_each_other(attribute):
    for language in LANGUAGES if attribute.exclusive else ():
        wordings = [word for each in attribute.values.values() for word in each[language]]
        assert [word for word, count in Counter(wordings).items() if count > 1] == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("杏\t-\t-\tthe apricot\t草木\t春\t中国\t食用", "plants.tsv:2, form: '草木' is none of 乔木"),
        ("杏\t-\t-\tthe apricot\t乔木\t春\t-\t-", "杏 needs 3 values or more, not 2"),
        ("杏\t-\t-\tthe apricot\t乔木", "plants.tsv:2: 5 columns, the header has 8"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    file = tmp_path / "plants.tsv"
    file.write_text(EXCERPT + row + "\n", "utf-8")
    domain, open_keys = facts.read_domain(facts.FACTS / "plants.yaml")
    with pytest.raises(ValueError, match=message):
        facts.read_entities(file, domain, open_keys)
