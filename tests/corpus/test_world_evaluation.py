"""Evaluation sets of the embedded world: all six types in their layout, and the truth about their labels."""

import polars as pl
import pytest

from cpack_lib.corpus import world
from cpack_lib.corpus.clean.evaluation_texts import text_columns
from cpack_lib.corpus.world import knowledge
from cpack_lib.corpus.world.articles import all_articles
from cpack_lib.corpus.world.evaluation import LAYOUTS
from cpack_lib.corpus.world.facts import all_domains

TYPES = {"retrieval", "reranking", "sts", "pairclass", "classification", "clustering"}
COLUMNS = {
    "corpus": {"id": pl.String, "text": pl.String},
    "queries": {"id": pl.String, "text": pl.String},
    "qrels": {"qid": pl.String, "pid": pl.String, "score": pl.Int64},
    "reranking": {"query": pl.String, "positive": pl.List(pl.String), "negative": pl.List(pl.String)},
    "sts": {"sentence1": pl.String, "sentence2": pl.String, "score": pl.Float64},
    "pairclass": {"sentence1": pl.String, "sentence2": pl.String, "label": pl.Int64},
    "classification": {"text": pl.String, "label": pl.String},
    "clustering": {"sentences": pl.List(pl.String), "labels": pl.List(pl.String)},
}


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    """The folder of the evaluation sets of seed 0."""
    folder = tmp_path_factory.mktemp("evaluation")
    world.write_evaluation(folder, seed=0)
    return folder


def read(evaluation, place: str) -> pl.DataFrame:
    return pl.read_parquet(evaluation / f"{place}.parquet")


def test_all_six_types_are_written_in_their_layout(evaluation):
    assert {path.name for path in evaluation.iterdir()} == TYPES
    for place in LAYOUTS["zh"]:
        for file in (evaluation / place).glob("*.parquet"):
            columns = COLUMNS.get(file.stem) or COLUMNS[place.split("/")[0]]
            schema = pl.read_parquet_schema(file)
            assert {name: schema[name] for name in columns} == columns, file
            assert all(name in columns or name.startswith("truth_") for name in schema), file


def test_a_seed_writes_the_same_files(evaluation, tmp_path):
    counts = world.write_evaluation(tmp_path, seed=0)
    for place, tables in counts.items():
        for table, rows in tables.items():
            again = pl.read_parquet(tmp_path / place / f"{table}.parquet")
            assert again.equals(read(evaluation, f"{place}/{table}"))
            assert len(again) == rows


@pytest.mark.parametrize("name", ["world_facts", "world_articles", "world_cross"])
def test_every_query_has_a_relevant_passage_and_ids_are_unique(evaluation, name):
    corpus, queries, qrels = (
        read(evaluation, f"retrieval/{name}/{table}") for table in ("corpus", "queries", "qrels")
    )
    assert corpus["id"].n_unique() == len(corpus)
    assert queries["id"].n_unique() == len(queries)
    assert set(qrels["qid"]) == set(queries["id"])
    assert set(qrels["pid"]) <= set(corpus["id"])


def test_sizes(evaluation):
    assert len(read(evaluation, "retrieval/world_facts/corpus")) >= 2_000
    assert len(read(evaluation, "retrieval/world_articles/corpus")) == len(all_articles())
    assert len(read(evaluation, "retrieval/world_articles/queries")) == 3 * len(all_articles())
    assert len(read(evaluation, "retrieval/world_facts/queries")) >= 300
    for place in ("classification/world_domain", "classification/world_intent"):
        labels = read(evaluation, f"{place}/train").group_by("label").len()
        assert labels["len"].min() >= 32, place


def test_the_judgements_are_those_of_the_facts(evaluation):
    """A sample of queries: relevant passages answer them, and no other passage of the same entity does."""
    corpus = read(evaluation, "retrieval/world_facts/corpus")
    texts = dict(corpus.select("id", "text").iter_rows())
    facts = dict(corpus.select("id", "truth_facts").iter_rows())
    relevant: dict[str, set[str]] = {}
    for qid, pid in read(evaluation, "retrieval/world_facts/qrels").select("qid", "pid").iter_rows():
        relevant.setdefault(qid, set()).add(pid)
    queries = read(evaluation, "retrieval/world_facts/queries").head(100)
    for qid, text, truth in queries.select("id", "text", "truth_fact").iter_rows():
        subject = truth.rsplit("/", 1)[0]
        for pid in (pid for pid, each in facts.items() if each[0].rsplit("/", 1)[0] == subject):
            assert knowledge.is_false_negative(text, texts[pid]) == (pid in relevant[qid]), (text, texts[pid])


def test_no_negative_of_a_reranking_row_answers_its_query(evaluation):
    rows = read(evaluation, "reranking/world_rerank/test").head(100)
    for row in rows.iter_rows(named=True):
        assert all(knowledge.is_false_negative(row["query"], text) for text in row["positive"])
        assert not any(knowledge.is_false_negative(row["query"], text) for text in row["negative"])


def test_graded_pairs_share_as_many_facts_as_their_score_says(evaluation):
    pairs = read(evaluation, "sts/world_sts/test")
    assert dict(pairs.group_by("score").len().iter_rows()) == {float(score): 300 for score in range(6)}
    for one, two, score in pairs.head(240).select("sentence1", "sentence2", "score").iter_rows():
        first, second = knowledge.stated(one), knowledge.stated(two)
        shared = {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 2}[int(score)]
        assert len(first & second) == shared, (one, two)
        subjects = [{fact.rsplit("/", 1)[0] for fact in facts} for facts in (first, second)]
        assert (subjects[0] == subjects[1]) == (score >= 2), (one, two)


def test_entailed_claims_are_stated_and_contradictions_are_not(evaluation):
    pairs = read(evaluation, "pairclass/world_entail/test")
    assert pairs["label"].mean() == 0.5
    for row in pairs.head(200).iter_rows(named=True):
        assert row["truth_fact"] in knowledge.stated(row["sentence1"])
        assert (row["truth_fact"] in knowledge.stated(row["sentence2"])) == bool(row["label"])


def test_texts_do_not_name_their_domain_and_do_not_stand_on_both_sides(evaluation):
    titles = {domain.name: domain.title["zh"] for domain in all_domains()}
    for name in ("world_domain", "world_intent"):
        train, test = (read(evaluation, f"classification/{name}/{table}") for table in ("train", "test"))
        assert not set(train["text"]) & set(test["text"])
        assert set(train["label"]) == set(test["label"])
        if name == "world_domain":
            assert not any(titles[label] in text for text, label in pl.concat([train, test]).iter_rows())


def test_bags_of_topics_hold_ten_topics_each(evaluation):
    bags = read(evaluation, "clustering/world_topics/test")
    assert len(bags) >= 4
    for sentences, labels in bags.select("sentences", "labels").iter_rows():
        assert len(sentences) == len(labels)
        assert len(set(labels)) == 10


def test_english_sets_are_english(tmp_path):
    counts = world.write_evaluation(tmp_path, language="en")
    kinds = {place.partition("/")[0] for place in LAYOUTS["zh"]}
    assert set(counts) == set(LAYOUTS["en"]) and {place.partition("/")[0] for place in counts} == kinds
    queries = pl.read_parquet(tmp_path / "retrieval/world_facts_en/queries.parquet")
    assert not queries["text"].str.contains(r"\p{Han}").any()
    assert counts["retrieval/world_articles_en"]["corpus"] >= 80
    for table in tmp_path.rglob("test.parquet"):
        for column in text_columns(pl.read_parquet(table)):
            assert not column.str.contains(r"\p{Han}").any(), table


def test_a_language_without_sets_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no evaluation in 'de': choose from zh, en"):
        world.write_evaluation(tmp_path, language="de")
