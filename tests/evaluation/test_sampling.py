"""Promises of a sample: answers stay, the same rows each time, nothing else changes."""

from datasets import Dataset, DatasetDict

from cpack_lib.evaluation.tasks import sampling
from cpack_lib.evaluation.tasks.sampling import drawn
from cpack_lib.evaluation.tasks.suites import open_tasks


def search(candidates: bool) -> dict:
    """100 passages, 20 queries; query i is answered by passages i and i + 20, the last two by none."""
    pids = [f"p{i}" for i in range(100)]
    judged = {f"q{i}": {f"p{i}": 2, f"p{i + 20}": 1, f"p{i + 40}": 0} for i in range(18)}
    judged |= {"q18": {"p18": 0}, "q19": {"p19": 0}}
    return {
        "corpus": Dataset.from_dict({"id": pids, "text": pids}),
        "queries": Dataset.from_dict({"id": [f"q{i}" for i in range(20)], "text": ["?"] * 20}),
        "relevant_docs": judged,
        "top_ranked": {f"q{i}": pids for i in range(20)} if candidates else None,
    }


def sample_of(name: str, dataset: dict, rows: int) -> dict:
    """The drawn data of a task that holds `dataset`."""
    (task,) = open_tasks(name)
    task.dataset = dataset
    first, again = drawn(task, rows), drawn(task, rows)
    assert str(first) == str(again)
    return first


def test_a_sampled_search_keeps_the_answers_and_two_passages_a_query():
    found = sample_of("cmteb-35:T2Retrieval", {"default": {"dev": search(False)}}, 5)["default"]["dev"]
    answers = {pid for judged in found["relevant_docs"].values() for pid, score in judged.items() if score}
    assert len(found["queries"]) == 5 == len(found["relevant_docs"]) and len(answers) == 10
    assert answers <= set(found["corpus"]["id"]) and len(found["corpus"]) == 20
    assert not {"q18", "q19"} & set(found["queries"]["id"])
    kept = {pid for judged in found["relevant_docs"].values() for pid in judged}
    assert kept <= set(found["corpus"]["id"])


def test_a_sampled_reranking_keeps_the_answers_among_fewer_candidates(monkeypatch):
    monkeypatch.setattr(sampling, "CANDIDATES", 7)
    found = sample_of("cmteb-35:T2Reranking", {"default": {"dev": search(True)}}, 5)["default"]["dev"]
    assert set(found["top_ranked"]) == set(found["queries"]["id"])
    for qid, pids in found["top_ranked"].items():
        right = [pid for pid, score in found["relevant_docs"][qid].items() if score > 0]
        assert len(pids) == 7 == len(set(pids)) and set(right) <= set(pids) <= set(found["corpus"]["id"])


def test_sampled_pairs_stay_pairs():
    pairs = {"sentence1": [f"a{i}" for i in range(50)], "sentence2": [f"b{i}" for i in range(50)]}
    table = Dataset.from_dict(pairs | {"score": list(range(50))})
    found = sample_of("cmteb-35:STSB", DatasetDict(train=table, test=table), 8)
    assert len(found["train"]) == 50 and len(found["test"]) == 8
    assert all(row["sentence1"][1:] == row["sentence2"][1:] == str(row["score"]) for row in found["test"])
    row = {"sentence1": [pairs["sentence1"]], "sentence2": [pairs["sentence2"]], "labels": [list(range(50))]}
    (split,) = sample_of("cmteb-35:Ocnli", DatasetDict(validation=Dataset.from_dict(row)), 8).values()
    assert len(split) == 1 and len(split[0]["labels"]) == 8
    assert [f"a{label}" for label in split[0]["labels"]] == split[0]["sentence1"]


def test_a_sampled_clustering_keeps_three_bags():
    bags = {"sentences": [[f"{b}{i}" for i in range(30)] for b in range(5)], "labels": [list(range(30))] * 5}
    found = sample_of("cmteb-35:CLSClusteringS2S", DatasetDict(test=Dataset.from_dict(bags)), 6)["test"]
    assert [len(row["sentences"]) for row in found] == [6, 6, 6]
    assert [text[1:] for text in found[2]["sentences"]] == [str(label) for label in found[2]["labels"]]


def test_a_sample_of_one_language_leaves_its_training_texts_whole():
    table = Dataset.from_dict({"text": ["x"] * 90, "label": [0] * 90})
    found = sample_of("cmteb-35:MassiveIntentClassification", {"zh-CN": {"train": table, "test": table}}, 9)
    assert {split: len(rows) for split, rows in found["zh-CN"].items()} == {"train": 90, "test": 9}


def test_no_more_is_drawn_than_there_is():
    assert sampling.draw(3, 10) == [0, 1, 2]
    assert sampling.draw(100, 10) == sorted(set(sampling.draw(100, 10))) and len(sampling.draw(100, 10)) == 10
