"""Tasks that a training harms, or has read: scores of single items, and evaluation texts among its data.

An item is scored without mteb's evaluators, enough to see whether a task was harmed. By type: reciprocal rank
of the answer (searches); nearness of a pair's rank by cosine to its rank by label (STS); share of pairs with
the other label that are on the right side of it (pairs); share of the ten nearest with its label
(classification, clustering). These are no scores of C-MTEB.

Axes: N queries, pairs or texts, P passages.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import rankdata

from cpack_lib.corpus.clean.contamination import Unquoted, Unseen
from cpack_lib.corpus.clean.evaluation_index import indexed
from cpack_lib.corpus.clean.rule import TEXTS
from cpack_lib.corpus.languages import main_language
from cpack_lib.evaluation.diagnosis.findings import Finding, judged
from cpack_lib.evaluation.diagnosis.measures import surely
from cpack_lib.evaluation.tasks.local import LocalTask

TOLD = 3  # tasks that are named as evidence
Scores = Mapping[str, np.ndarray]  # task -> a score of each of its items (N,), higher is better
ITEMS = 200  # queries, pairs or texts of a task that are scored
NEAREST = 10
Encode = Callable[[list[str], str], np.ndarray]  # texts and "query", "document" or "" -> (N, D), length one


def harmed_task(before: Scores, after: Scores) -> Finding:
    """Scores of the same items before and after: how far the worst task has surely fallen."""
    if before.keys() != after.keys() or not before:
        raise ValueError(
            f"scored before: {', '.join(before)}; after: {', '.join(after)}; score the same tasks"
        )
    falls = {task: surely(before[task] - after[task]) for task in before}
    worst = max(falls, key=falls.get)
    told = ", ".join(f"{task} {before[task].mean():.3f} to {after[task].mean():.3f}" for task in before)
    return judged(
        "harmed task",
        falls[worst],
        f"{worst} falls by {max(0.0, falls[worst]):.3f} at least ({told})",
        f"train without one task after the other and see which one harms {worst}; lower its weight "
        "(source_weights), keep its batches apart (mixing), or give each task an instruction",
    )


def contamination(training: Iterable[str], tasks: Mapping[str, list[str]]) -> Finding:
    """Training texts, and the texts of evaluation tasks: what share of the worst task was trained on.

    A text counts where it is equal to a training text but for spaces, widths and capitals, or shares long
    stretches with one: the rules of curation (corpus/clean/contamination.py), asked the other way round.
    """
    texts = pl.Series(list(training), dtype=pl.String)
    with tempfile.TemporaryDirectory() as folder:
        index = indexed([("training", texts)], Path(folder), main_language(texts))
        seen = {task: share_seen(asked, index) for task, asked in tasks.items() if asked}
    if not seen:
        raise ValueError("the tasks hold no text, so nothing can be found in the training data; name others")
    worst = max(seen, key=seen.get)
    most = sorted(seen, key=seen.get, reverse=True)[:TOLD]
    told = ", ".join(f"{task} {seen[task]:.1%}" for task in most)
    return judged(
        "contamination",
        seen[worst],
        f"{seen[worst]:.1%} of the texts of {worst} were trained on, whole or in stretches (most: {told})",
        "curate with `evaluation` set to these sets (notebook 01), train again, do not quote the old score",
    )


def share_seen(texts: list[str], index) -> float:
    """The share of a task's texts that the index has."""
    frame = pl.DataFrame({"text": texts})
    rows = [rule(TEXTS, index).found(frame)[0] for rule in (Unseen, Unquoted)]
    return len(np.unique(np.concatenate(rows))) / len(texts)


def item_scores(task: LocalTask, encode: Encode, seed: int = 0) -> np.ndarray:
    """The score of each item of a task's sample: (N,), from 0 to 1."""
    task.load_data()
    chance = np.random.default_rng(seed)
    kind = task.metadata.type
    if kind in ("Retrieval", "Reranking"):
        return of_search(task.dataset["default"]["test"], encode, chance)
    if kind in ("STS", "PairClassification"):
        return of_pairs(task.dataset["test"], encode, chance, "score" if kind == "STS" else "labels")
    if kind == "Classification":
        texts, labels = task.dataset["test"]["text"], task.dataset["test"]["label"]
    else:
        bag = task.dataset["test"]
        texts, labels = bag["sentences"][0], bag["labels"][0]
    kept = drawn(len(texts), chance)
    return of_labels([texts[i] for i in kept], np.array([str(labels[i]) for i in kept]), encode)


def drawn(count: int, chance: np.random.Generator, most: int = ITEMS) -> list[int]:
    """At most `most` of `count` places, in their order."""
    return sorted(chance.permutation(count)[:most].tolist())


def of_search(search: dict, encode: Encode, chance: np.random.Generator) -> np.ndarray:
    """Reciprocal ranks of the best answer, among the candidates, or all answers and some other passages."""
    questions = dict(zip(search["queries"]["id"], search["queries"]["text"], strict=True))
    corpus = dict(zip(search["corpus"]["id"], search["corpus"]["text"], strict=True))
    qids = [list(questions)[i] for i in drawn(len(questions), chance)]
    judged = {qid: {pid for pid, score in search["relevant_docs"][qid].items() if score > 0} for qid in qids}
    candidates = search["top_ranked"]
    if candidates is None:
        right = set().union(*judged.values())
        others = [pid for pid in corpus if pid not in right]
        kept = [*sorted(right), *(others[i] for i in drawn(len(others), chance, 4 * ITEMS))]
    else:
        kept = list(dict.fromkeys(pid for qid in qids for pid in candidates[qid]))
    place = {pid: row for row, pid in enumerate(kept)}
    scores = (
        encode([questions[qid] for qid in qids], "query")
        @ encode([corpus[pid] for pid in kept], "document").T
    )
    ranks = []
    for row, qid in zip(scores, qids, strict=True):
        own = [place[pid] for pid in judged[qid] if pid in place]
        among = list(place.values()) if candidates is None else [place[pid] for pid in candidates[qid]]
        wrong = np.setdiff1d(among, own)
        ranks.append(1 + (row[wrong] >= row[own].max()).sum() if own else np.inf)
    return 1.0 / np.array(ranks, dtype=np.float64)


def of_pairs(pairs, encode: Encode, chance: np.random.Generator, label: str) -> np.ndarray:
    """How well each pair's cosine stands among the others', by its label."""
    kept = drawn(len(pairs[label]), chance)
    left, right = (encode([pairs[column][i] for i in kept], "") for column in ("sentence1", "sentence2"))
    cosines = np.einsum("nd,nd->n", left, right)
    labels = np.array([pairs[label][i] for i in kept], dtype=np.float64)
    if label == "score":
        return 1 - np.abs(rankdata(cosines) - rankdata(labels)) / len(kept)
    higher = cosines[:, None] > cosines[None, :]
    other, sign = labels[:, None] != labels[None, :], labels[:, None] > labels[None, :]
    return ((higher == sign) & other).sum(axis=1) / np.maximum(other.sum(axis=1), 1)


def of_labels(texts: list[str], labels: np.ndarray, encode: Encode) -> np.ndarray:
    """The share of each text's nearest that have its label."""
    vectors = encode(texts, "")
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    near = np.argsort(-cosines, axis=1)[:, : min(NEAREST, len(texts) - 1)]
    return (labels[near] == labels[:, None]).mean(axis=1)
