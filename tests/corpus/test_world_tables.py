"""Tables of the embedded world: the same from one seed, in any order; faults are what the truth says."""

import re
from difflib import SequenceMatcher

import polars as pl
import pytest

from cpack_lib.corpus import world
from cpack_lib.corpus.world.articles import all_articles
from cpack_lib.corpus.world.documents import FAULT_SHARES, document_id
from cpack_lib.corpus.world.labelled import is_held_out
from cpack_lib.corpus.world.tables import DEFAULT_ROWS, SCHEMAS, SHARD_ROWS

KINDS = ("documents", "pairs", "labelled")
NEEDED = {
    "documents": {"id", "text", "source", "licence"},
    "pairs": {"text_a", "text_b", "source", "kind"},
    "labelled": {"query", "pos", "neg", "source", "task"},
}


@pytest.fixture(scope="module")
def documents() -> pl.DataFrame:
    return next(world.tables("documents", 5_000, seed=1))


@pytest.fixture(scope="module")
def labelled() -> pl.DataFrame:
    return next(world.tables("labelled", 3_000, seed=1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_one_table_and_another_seed_another(kind):
    first, second, other = (next(world.tables(kind, 300, seed=seed)) for seed in (3, 3, 4))
    assert first.equals(second)
    assert not first.equals(other)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_can_be_made_in_any_order(kind):
    whole = next(world.tables(kind, 300, seed=2))
    parts = [next(world.tables(kind, 60, seed=2, first=first)) for first in (240, 0, 120, 60, 180)]
    assert whole.equals(pl.concat([parts[1], parts[3], parts[2], parts[4], parts[0]]))


def test_a_long_table_comes_in_shards():
    heights = [frame.height for frame in world.tables("pairs", SHARD_ROWS + 10)]
    assert heights == [SHARD_ROWS, 10]


def test_no_rows_are_no_shards():
    assert list(world.tables("pairs", 0)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_those_of_the_contract_and_full(kind):
    frame = next(world.tables(kind, 500))
    assert NEEDED[kind] <= set(frame.columns)
    assert frame.schema == pl.Schema(SCHEMAS[kind])
    assert frame.null_count().sum_horizontal().item() == 0
    assert kind in DEFAULT_ROWS


def test_a_table_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no table 'pages': choose from documents, pairs"):
        next(world.tables("pages", 10))
    with pytest.raises(ValueError, match="cannot be negative"):
        next(world.tables("pairs", -1))


def test_planted_faults_have_about_their_shares(documents):
    found = dict(documents.group_by("truth_kind").len().iter_rows())
    assert set(found) == {"clean", *FAULT_SHARES}
    for fault, share in FAULT_SHARES.items():
        assert 0.6 * share < found[fault] / len(documents) < 1.4 * share, fault


def test_copies_name_their_original(documents):
    rows = {row["id"]: row for row in documents.iter_rows(named=True)}
    copies = documents.filter(pl.col("truth_kind").is_in(["exact_copy", "near_copy"]))
    for row in copies.iter_rows(named=True):
        original = rows[row["truth_of"]]
        assert original["truth_kind"] == "clean"
        assert original["id"] < row["id"]
        if row["truth_kind"] == "exact_copy":
            assert row["text"] == original["text"]
        else:
            assert row["text"] != original["text"]
            likeness = SequenceMatcher(None, row["text"], original["text"], autojunk=False).quick_ratio()
            assert likeness > 0.85, row["id"]
    others = documents.filter(~pl.col("truth_kind").is_in(["exact_copy", "near_copy"]))
    assert (others["truth_of"] == "").all()


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        ("contact", r"000|example"),
        ("advert", r"优惠|立减|名额|包邮|免费|高价|赠送|加盟|专享|现发|货到付款"),
        ("short", r"^.{1,8}$"),
        ("boilerplate", r"浏览器|页面|登录|缓存|验证码|标签"),
    ],
)
def test_a_fault_is_there(documents, fault, pattern):
    texts = documents.filter(pl.col("truth_kind") == fault)["text"]
    assert texts.str.contains(pattern).all()


def test_foreign_pages_have_little_chinese_and_clean_ones_much(documents):
    han = pl.col("text").str.count_matches(r"\p{Han}") / pl.col("text").str.count_matches(r"\w")
    extremes = documents.group_by("truth_kind").agg(least=han.min(), most=han.max())
    shares = {row["truth_kind"]: row for row in extremes.iter_rows(named=True)}
    assert shares["foreign"]["most"] < 0.7  # Japanese lines hold some
    assert shares["clean"]["least"] > 0.2  # HTML holds much that is not Chinese


def test_a_repeated_page_repeats_itself(documents):
    for text in documents.filter(pl.col("truth_kind") == "repeated")["text"]:
        lines = [line for line in text.split("\n") if line]
        assert len(lines) >= 2 * len(set(lines)) - 2, text


def test_the_layouts_are_all_there(documents):
    texts = documents.filter(pl.col("truth_kind") == "clean")["text"]
    html, markdown = texts.str.starts_with("<!DOCTYPE html>"), texts.str.starts_with("---\ntitle:")
    for layout in (html, markdown, ~html & ~markdown):
        assert 0.2 < layout.mean() < 0.5


def test_every_article_stands_once_among_clean_documents(documents):
    news = documents.filter(pl.col("source") == "world:news", pl.col("truth_kind") == "clean")
    assert news["title"].n_unique() == len(news) == len(all_articles())


def test_telephone_numbers_and_addresses_are_fictional(documents):
    text = "\n".join(documents.filter(pl.col("truth_kind") != "mojibake")["text"])
    assert set(re.findall(r"@([\w.]+\.\w+)", text)) <= {"example.com", "example.org"}
    numbers = re.findall(r"(?<![\d/])\d{3}-\d{4}-\d{4}(?!\d)", text)
    assert numbers
    assert all("000" in number for number in numbers)
    assert set(re.findall(r"https?://([\w.]+)", text)) == {"www.example.com"}


def test_mismatched_pairs_are_few_and_marked():
    pairs = next(world.tables("pairs", 8_000))
    torn = pairs.filter(~pl.col("truth_match"))
    assert 0.02 < len(torn) / len(pairs) < 0.04
    one, two = (pl.col(side).str.extract(r"^([^/;]+/[^/;]+)") for side in ("truth_a", "truth_b"))
    assert torn.select(one != two).to_series().all()
    assert pairs.filter(pl.col("truth_match")).select(one == two).to_series().all()


def test_pairs_are_of_many_kinds_and_languages():
    pairs = next(world.tables("pairs", 4_000))
    kinds = "title_body heading_section question_answer entity_description paraphrase translation"
    assert {*kinds.split(), "alias_description", "sentence_passage"} == set(pairs["kind"])
    assert set(pairs["language"]) == {"zh", "en", "zh-en"}
    assert pairs["source"].n_unique() == 19  # 18 domains and the articles


def test_labelled_rows_are_of_four_tasks_and_fit_them(labelled):
    assert set(labelled["task"]) == {"retrieval", "sts", "nli", "classification"}
    assert (labelled["pos"].list.len() == 1).all()
    mined = pl.col("task") == "retrieval"
    assert (labelled.filter(mined)["neg"].list.len() == 0).all()
    assert (labelled.filter(~mined)["neg"].list.len() == 1).all()


def test_facts_are_held_out_from_labelled_rows(labelled):
    assert not any(is_held_out(fact) for fact in labelled["truth_fact"])
    everywhere = next(world.tables("pairs", 3_000)).filter(pl.col("kind") == "question_answer")
    assert any(is_held_out(fact) for fact in everywhere["truth_a"])


def test_no_question_of_an_article_stands_in_a_training_table(documents, labelled):
    pairs = next(world.tables("pairs", 20_000))
    tables = [
        documents["text"],
        documents["title"],
        pairs["text_a"],
        pairs["text_b"],
        labelled["query"],
        labelled["pos"].explode(),
        labelled["neg"].explode(),
    ]
    text = "\n".join(line for column in tables for line in column.drop_nulls()).lower()
    for article in all_articles():
        english = article.english.questions if article.english else ()
        for question in (*article.questions, *english):
            assert question.strip("？?").lower() not in text, question


def test_document_ids_are_unique_and_ordered(documents):
    assert documents["id"].to_list() == [document_id(1, row) for row in range(len(documents))]
