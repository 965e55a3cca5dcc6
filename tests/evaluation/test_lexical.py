"""Promises of the lexical baselines: the formulas, all six types, exact short cuts."""

import math
from collections import Counter

import bm25s
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from cpack_lib.evaluation.models.adapter import DOCUMENT, QUERY
from cpack_lib.evaluation.models.lexical import BM25, Span, TfIdf
from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.running import evaluate
from cpack_lib.evaluation.tasks.local import local_tasks

PASSAGES = [
    "薄荷常被用来提炼香料。",
    "咬一口番椒，呛得人流泪。",
    "番椒和薄荷都种在园子里，园子不大。",
    "狮子吃肉",
]
QUERIES = ["番椒辣吗", "园子里的薄荷薄荷", "火星"]


def grams(text):
    return [*text, *(text[i : i + 2] for i in range(len(text) - 1))]


def bm25_by_hand(query, passage, k=1.2, b=0.75):
    bags = [Counter(grams(text)) for text in PASSAGES]
    counts, mean = Counter(grams(passage)), sum(map(len, map(grams, PASSAGES))) / len(PASSAGES)
    score = 0.0
    for gram, times in Counter(grams(query)).items():
        holding = sum(gram in bag for bag in bags)
        idf = math.log(1 + (len(PASSAGES) - holding + 0.5) / (holding + 0.5))
        length = k * (1 - b + b * len(grams(passage)) / mean)
        score += times * idf * counts[gram] * (k + 1) / (counts[gram] + length)
    return score


def test_bm25_is_its_formula():
    model = BM25().fit(PASSAGES)
    found = model.scores(model.vectors(QUERIES, QUERY), model.vectors(PASSAGES, DOCUMENT))
    by_hand = [[bm25_by_hand(query, passage) for passage in PASSAGES] for query in QUERIES]
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_bm25_ranks_as_the_library_bm25s_does():
    model, peer = BM25().fit(PASSAGES), bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    peer.index([grams(text) for text in PASSAGES], show_progress=False)
    found = model.scores(model.vectors(QUERIES, QUERY), model.vectors(PASSAGES, DOCUMENT))
    for query, row in zip(QUERIES[:2], found, strict=False):
        theirs = peer.get_scores(grams(query))
        np.testing.assert_allclose(row / row.max(), theirs / theirs.max(), rtol=1e-5)  # they leave out k + 1


def test_tfidf_is_scikit_learns():
    model = TfIdf().fit(PASSAGES)
    plain = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True).fit(PASSAGES)
    found = model.scores(model.vectors(QUERIES, QUERY), model.vectors(PASSAGES, DOCUMENT))
    theirs = (plain.transform(QUERIES) @ plain.transform(PASSAGES).T).toarray()
    np.testing.assert_allclose(found, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["bm25", "tfidf"])
def test_a_lexical_model_is_scored_on_all_six_types(name, data, tmp_path):
    scores = evaluate(open_models([name]), local_tasks(data), tmp_path / "results")
    assert scores["type"].n_unique() == 6
    assert scores["score"].is_between(-100, 100).all()


def test_candidates_of_reranking_are_never_lost(data, tmp_path):
    """mteb's own BM25 searches the whole corpus first, and drops candidates that it does not find."""
    order = local_tasks(data)[1]
    (model,) = open_models(["bm25"])
    model.prepare(order)
    split = order.dataset["default"]["test"]
    model.index(split["corpus"])
    found = model.search(split["queries"], top_k=2, top_ranked=split["top_ranked"])
    assert {qid: set(scores) for qid, scores in found.items()} == {
        qid: set(pids) for qid, pids in split["top_ranked"].items()
    }


def test_in_their_span_vectors_keep_their_products_and_a_regression_its_predictions():
    draw = np.random.default_rng(0)
    dense = draw.random((60, 900)) * (draw.random((60, 900)) < 0.05)
    dense[7] = dense[3]  # a training text that stands twice
    training, other = csr_matrix(dense[:40]), csr_matrix(dense[40:])
    span, labels = Span(training), np.arange(40) % 3
    np.testing.assert_allclose(
        span.coordinates(other) @ span.coordinates(training).T, (other @ training.T).toarray(), atol=1e-4
    )
    plain = LogisticRegression().fit(training, labels)
    short = LogisticRegression().fit(span.coordinates(training), labels)
    np.testing.assert_allclose(
        short.predict_proba(span.coordinates(other)), plain.predict_proba(other), atol=1e-3
    )


def test_english_baselines_count_words():
    texts = ["The donkey feeds on green plants.", "Green tea is dried in the sun.", "A lion eats meat."]
    models = open_models(["bm25:en", "tfidf:en"])
    for model in models:
        vectors = model.fit(texts).vectors(texts, DOCUMENT)
        words = {word for text in texts for word in text.lower().strip(".").split()}
        assert set(model.vectorizer.get_feature_names_out()) == words
        found = model.scores(model.vectors(["green tea"], QUERY), vectors)[0]
        assert found.argmax() == 1 and found[2] == 0
    assert [model.name for model in (*models, BM25(), TfIdf())] == ["bm25:en", "tfidf:en", "bm25", "tfidf"]


def test_a_baseline_for_a_language_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="language is 'de'"):
        open_models(["bm25:de"])
