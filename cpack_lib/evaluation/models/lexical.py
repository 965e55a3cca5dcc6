"""The baselines that know no meaning: TF-IDF and BM25 over what their language has in `languages`.

That is characters and pairs of characters for Chinese, which needs no word segmentation this way, and words
for English. Vocabulary and document frequencies are those of the task: of its
corpus for searches, of its evaluated texts elsewhere. Axes: N texts, V n-grams, T training texts.
BM25: Robertson and Zaragoza 2009, with Lucene's idf, log(1 + (N - n + .5) / (n + .5)), never negative.
"""

import numpy as np
from mteb.abstasks.abstask import AbsTask
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csr_matrix, diags, issparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.preprocessing import normalize

from cpack_lib.corpus.languages import language
from cpack_lib.evaluation.models.adapter import QUERY, TEXT, Adapter
from cpack_lib.evaluation.tasks.texts import background_texts

WIDE = 10  # n-grams per training text; with more of them a Span is faster


def grams_of(code: str) -> dict:
    """What is counted in a language, for scikit-learn's vectorizers."""
    return language(code).grams | {"dtype": np.float32}


def named(model: str, code: str, settings: str) -> tuple[str, str]:
    """The name of a baseline, bm25 for Chinese and bm25:en for English, and what marks its results."""
    grams = language(code).grams
    first, last = grams["ngram_range"]
    return model if code == "zh" else f"{model}:{code}", f"{grams['analyzer']}{first}-{last}-{settings}"


class Lexical(Adapter):
    """Sparse vectors of weighted n-grams; a search is their dot product, everything else their cosine."""

    def prepare(self, task: AbsTask) -> None:
        """Count the task's n-grams."""
        self.fit(background_texts(task))

    def fit(self, texts: list[str]) -> "Lexical":
        """Vocabulary and document frequencies."""
        raise NotImplementedError

    def scores(self, queries: csr_matrix, passages: csr_matrix) -> np.ndarray:
        """(Q, V), (N, V) -> (Q, N) dot products."""
        products = queries @ passages.T
        return products.toarray() if issparse(products) else products

    def encode(self, inputs, *, task_metadata, hf_split: str, hf_subset: str, prompt_type=None, **kwargs):
        """Vectors of length one: sparse, or dense where mteb takes no sparse ones or they would be slow."""
        vectors = normalize(self.vectors(list(inputs.dataset["text"]), TEXT))
        if task_metadata.type in ("PairClassification", "Summarization"):
            return vectors.toarray()  # their evaluators in mteb know no other
        if task_metadata.type == "Classification":
            if hf_split == "train":  # mteb embeds the training texts first
                self.span = Span(vectors) if vectors.shape[1] > WIDE * vectors.shape[0] else None
            return self.span.coordinates(vectors) if self.span else vectors
        return vectors


class Span:
    """The space that some vectors span. In it, all their dot products are the same, with T numbers for V.

    A logistic regression meets its inputs only in dot products with training texts, so it predicts the
    same; with 119 labels and 30 n-grams per training text that takes a tenth of the time or less.
    """

    def __init__(self, training: csr_matrix):
        self.training = training.astype(np.float64)  # (T, V)
        products = (self.training @ self.training.T).toarray()  # (T, T)
        self.root = cholesky(products + 1e-7 * np.eye(len(products)), lower=True)  # (T, T)

    def coordinates(self, vectors: csr_matrix) -> np.ndarray:
        """(N, V) -> (N, T) dense."""
        products = (self.training @ vectors.T).toarray()  # (T, N)
        return solve_triangular(self.root, products, lower=True).T.astype(np.float32)


class TfIdf(Lexical):
    """scikit-learn's TF-IDF with 1 + log of the counts; length one, so that a dot product is a cosine."""

    def __init__(self, code: str = "zh"):
        super().__init__(*named("tfidf", code, "sublinear"))
        self.grams = grams_of(code)

    def fit(self, texts: list[str]) -> "TfIdf":
        """Vocabulary and document frequencies."""
        self.vectorizer = TfidfVectorizer(**self.grams, sublinear_tf=True).fit(texts)
        return self

    def vectors(self, texts: list[str], role: str) -> csr_matrix:
        """(N, V), the same in every role."""
        return self.vectorizer.transform(texts)


class BM25(Lexical):
    """Saturated counts, corrected for length: a passage holds the weights, a query its plain counts."""

    def __init__(self, code: str = "zh", saturation: float = 1.2, length_share: float = 0.75):
        super().__init__(*named("bm25", code, f"k{saturation}-b{length_share}"))
        self.grams = grams_of(code)
        self.saturation, self.length_share = saturation, length_share

    def fit(self, texts: list[str]) -> "BM25":
        """Vocabulary, document frequencies and the mean length in n-grams."""
        self.vectorizer = CountVectorizer(**self.grams)
        counts = self.vectorizer.fit_transform(texts)  # (N, V)
        holding = np.bincount(counts.indices, minlength=counts.shape[1])  # (V,) texts that have it
        self.idf = np.log1p((len(texts) - holding + 0.5) / (holding + 0.5)).astype(np.float32)
        self.mean_length = counts.sum() / len(texts)
        return self

    def vectors(self, texts: list[str], role: str) -> csr_matrix:
        """(N, V) counts of queries; weights of everything else."""
        counts = self.vectorizer.transform(texts)
        return counts if role == QUERY else self.weigh(counts)

    def weigh(self, counts: csr_matrix) -> csr_matrix:
        """idf · count · (k + 1) / (count + k · (1 - b + b · length / mean length))."""
        k, b = self.saturation, self.length_share
        lengths = np.asarray(counts.sum(axis=1)).ravel()  # (N,)
        damping = k * (1 - b + b * lengths / self.mean_length)
        weights = counts.copy()
        weights.data = counts.data * (k + 1) / (counts.data + np.repeat(damping, np.diff(counts.indptr)))
        return (weights @ diags(self.idf)).tocsr().astype(np.float32)
