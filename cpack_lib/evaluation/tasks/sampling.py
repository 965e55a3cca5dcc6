"""A sample of a public set, the same each time: to try a pipeline, never to compare with published scores.

A smaller search is an easier one, and fewer texts per cluster move the V-measure. Names say `.sample`.
"""

import numpy as np
from datasets import Dataset
from mteb.abstasks import AbsTaskClusteringLegacy, AbsTaskRetrieval
from mteb.abstasks.abstask import AbsTask

from cpack_lib.evaluation.tasks.local import SEED

PASSAGES = 2  # per query, beside the answers
CANDIDATES = 20  # per query of a re-ranking set, answers among them
BAGS = 3
RULE = f"{PASSAGES}-{CANDIDATES}-{BAGS}-{SEED}"  # scores by another rule are others


def drawn(task: AbsTask, rows: int) -> dict:
    """The loaded data of a task, `rows` of each split that is scored; other splits stay whole."""
    subsets = [name for name in task.hf_subsets if name in task.dataset]
    if not subsets:
        return draw_splits(task, task.dataset, rows)
    return {name: draw_splits(task, task.dataset[name], rows) for name in subsets}


def draw_splits(task: AbsTask, splits: dict, rows: int) -> dict:
    """One subset's splits."""
    return {
        name: draw_split(task, split, rows) if name in task.eval_splits else split
        for name, split in splits.items()
    }


def draw_split(task: AbsTask, split: Dataset | dict, rows: int) -> Dataset | dict:
    """`rows` queries, pairs or texts, in their order."""
    if isinstance(task, AbsTaskRetrieval):
        return draw_search(split, rows)
    if isinstance(task, AbsTaskClusteringLegacy):
        return Dataset.from_list(
            [draw_lists(bag, rows) for bag in split.select(range(min(BAGS, len(split))))]
        )
    if len(split) == 1:  # pair classification: all pairs in one row
        return Dataset.from_list([draw_lists(split[0], rows)])
    return split.select(draw(len(split), rows))


def draw(among: int, count: int, seed: int = SEED) -> list[int]:
    """`count` of the first `among` numbers, in order; all of them where there are no more."""
    if among <= count:
        return list(range(among))
    return sorted(np.random.default_rng(seed).choice(among, count, replace=False).tolist())


def draw_lists(row: dict[str, list], rows: int) -> dict[str, list]:
    """The same places of every list in a row."""
    kept = draw(len(next(iter(row.values()))), rows)
    return {name: [values[place] for place in kept] for name, values in row.items()}


def draw_search(split: dict, rows: int) -> dict:
    """Some queries with their answers and a few other passages: the query's candidates, if it has some."""
    judged = {qid: found for qid, found in split["relevant_docs"].items() if max(found.values()) > 0}
    asked = [row for row, qid in enumerate(split["queries"]["id"]) if qid in judged]
    queries = split["queries"].select([asked[place] for place in draw(len(asked), rows)])
    judged = {qid: judged[qid] for qid in queries["id"]}
    answers = {pid for found in judged.values() for pid, score in found.items() if score > 0}
    if candidates := split["top_ranked"]:
        candidates = {qid: draw_candidates(candidates[qid], judged[qid]) for qid in queries["id"]}
        kept = answers.union(*candidates.values())
    else:
        others = [pid for pid in split["corpus"]["id"] if pid not in answers]
        kept = answers | {others[place] for place in draw(len(others), PASSAGES * rows)}
    places = [row for row, pid in enumerate(split["corpus"]["id"]) if pid in kept]
    return {
        "corpus": split["corpus"].select(places),
        "queries": queries,
        "relevant_docs": {
            qid: {pid: score for pid, score in found.items() if pid in kept} for qid, found in judged.items()
        },
        "top_ranked": candidates,
    }


def draw_candidates(candidates: list[str], judged: dict[str, int]) -> list[str]:
    """A query's right candidates, and wrong ones up to CANDIDATES in all."""
    right = [pid for pid in candidates if judged.get(pid, 0) > 0]
    wrong = [pid for pid in candidates if judged.get(pid, 0) <= 0]
    return right + [wrong[place] for place in draw(len(wrong), max(CANDIDATES - len(right), 1))]
