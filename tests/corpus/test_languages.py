"""Promises of the table of languages: shares by hand, the rules and the world that read it."""

import re

import polars as pl
import pytest

from cpack_lib.corpus import world
from cpack_lib.corpus.clean.rule import DOCUMENTS, PAIRS
from cpack_lib.corpus.clean.rules import chosen, chosen_repairs
from cpack_lib.corpus.languages import LANGUAGES, is_written, language, main_language, written_share
from cpack_lib.corpus.read.sources import open_table
from cpack_lib.corpus.world.documents import FAULT_SHARES
from cpack_lib.corpus.world.facts import LANGUAGES as SPOKEN

TEXTS = {
    "zh": "咖啡树在春天开花，它的豆子让人清醒。",
    "en": "The coffee plant blooms in spring, and its beans keep us awake.",
}
every_language = pytest.mark.parametrize("code", LANGUAGES)


def share_by_hand(text: str, code: str) -> float:
    """Letters of the language less those of others, among letters and digits."""
    own, counted = language(code), [c for c in text if c.isalnum()]
    kana, latin = "[぀-ヿ]", "[À-ɏ]"
    others = {"zh": kana, "en": latin}[code]
    letters = {"zh": "[一-鿿]", "en": "[A-Za-z]"}[code]
    found = sum(bool(re.match(letters, c)) for c in counted) - sum(bool(re.match(others, c)) for c in text)
    assert own.others
    return max(0, found) / max(1, len(counted))


@every_language
@pytest.mark.parametrize(
    "text", [*TEXTS.values(), "今日はとても良い天気です", "Ma grand-mère prépare", "12 + 3", ""]
)
def test_the_share_is_what_a_count_gives(code, text):
    found = pl.select(written_share(pl.lit(text), code)).item()
    assert found == pytest.approx(share_by_hand(text, code))


@every_language
def test_a_text_is_written_in_its_own_language_alone(code):
    frame = pl.DataFrame({"text": [TEXTS[code], *(text for other, text in TEXTS.items() if other != code)]})
    assert frame.select(is_written(pl.col("text"), code)).to_series().to_list() == [True, False]
    assert main_language(frame["text"][:1]) == code


@every_language
def test_every_task_has_an_instruction_of_its_own(code):
    found = language(code).instructions
    assert found.keys() == language("zh").instructions.keys() and len(set(found.values())) == len(found)


def test_a_language_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match="language is 'de'.*has zh, en"):
        language("de")


def test_the_rules_change_their_language_and_keep_their_places():
    before, after = chosen([]), chosen(["language=en", "site=90"])
    assert [rule.name.replace("chinese", "english") for rule in before] == [rule.name for rule in after]
    limits, chinese = ({rule.name: rule.limit for rule in rules} for rules in (after, before))
    assert limits["english"] == language("en").least and limits["site"] == 90
    assert (
        limits["advert"] == language("en").spread * chinese["advert"] and limits["again"] == chinese["again"]
    )
    mended = chosen_repairs(["language=en"])
    assert [repair.name for repair in mended] == [repair.name for repair in chosen_repairs([])]
    assert chosen_repairs(["language=zh"]) == chosen_repairs([])
    assert [repair.name for repair in chosen_repairs(["language=en", "masked=off"])][-1] != "masked"
    with pytest.raises(ValueError, match="language is 'xx'"):
        chosen(["language=xx"])
    with pytest.raises(ValueError, match="changes no rule"):
        chosen(["chinese=off", "language=en"])


@every_language
def test_a_rule_of_a_language_lets_that_language_pass(code):
    rules = {
        rule.stage: rule for rule in chosen([f"language={code}"]) if language(code).name.lower() in rule.name
    }
    other = next(text for each, text in TEXTS.items() if each != code)
    documents = pl.DataFrame({"text": [TEXTS[code], other]})
    assert rules[DOCUMENTS].judge(documents).to_list() == [True, False]
    sides = pl.DataFrame({"text_a": [other, other], "text_b": [TEXTS[code], other]})
    assert rules[PAIRS].judge(sides).to_list() == [True, False]  # one side is enough


@pytest.mark.parametrize("kind", ["pairs", "labelled", "documents"])
def test_the_english_world_is_english_and_the_same_from_one_seed(kind):
    table = open_table(f"world:{kind}@en", kind, 400, seed=2).read()
    assert table.equals(open_table(f"world:{kind}@en", kind, 400, seed=2).read())
    text = {"pairs": "text_b", "labelled": "query", "documents": "text"}[kind]
    clean = table.filter(pl.col("truth_kind") == "clean") if kind == "documents" else table
    assert clean.select(is_written(pl.col(text), "en").mean()).item() > 0.98
    assert clean[text].str.contains(r"\p{Han}").mean() < 0.01  # an article quotes some characters


def test_english_pages_have_faults_and_copies_that_name_their_original():
    pages = next(world.tables("documents", 2_000, seed=1, language="en"))
    counts = dict(pages["truth_kind"].value_counts().rows())
    assert counts.keys() == {"clean", *FAULT_SHARES} and counts["clean"] > 1_000
    rows = {row["id"]: row for row in pages.iter_rows(named=True)}
    for row in pages.filter(pl.col("truth_kind") == "exact_copy").iter_rows(named=True):
        assert rows[row["truth_of"]]["text"] == row["text"] and rows[row["truth_of"]]["truth_kind"] == "clean"


def test_a_world_that_nobody_speaks_is_refused():
    with pytest.raises(ValueError, match="speaks no 'de': choose from zh, en"):
        next(world.tables("pairs", 1, language="de"))
    assert set(SPOKEN) == set(LANGUAGES)


def test_a_table_of_another_kind_is_refused_in_any_language():
    with pytest.raises(ValueError, match="names no table of pairs"):
        open_table("world:labelled@en", "pairs")
