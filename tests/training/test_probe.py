"""The probe measures what scipy and loops measure; it and the best weights leave a run as it would be."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from cpack_lib.corpus.labelled.instructions import TASKS
from cpack_lib.model.instructions import WAYS
from cpack_lib.training import probe as probes
from cpack_lib.training.loop import Run, train
from cpack_lib.training.probe import Probe
from tests.training.conftest import random_texts
from tests.training.test_loop import logged, stop_at


def vectors(texts, prompt=""):
    """A random vector of length one for each text, always the same for the same."""
    rows = [
        np.random.default_rng([ord(letter) for letter in prompt + text]).standard_normal(8) for text in texts
    ]
    return np.asarray([row / np.linalg.norm(row) for row in rows])


@pytest.fixture
def folder(tmp_path):
    """Both tables."""
    texts, place = random_texts(80, seed=3), tmp_path / "probe"
    place.mkdir()
    scores = np.random.default_rng(0).integers(0, 4, 20).tolist()
    columns = {"sentence1": texts[:20], "sentence2": texts[20:40], "score": scores}
    pl.DataFrame(columns).write_parquet(place / "sts.parquet")
    pl.DataFrame({"query": texts[40:60], "passage": texts[60:]}).write_parquet(place / "retrieval.parquet")
    return place


def slow_spearman(a, b):
    """Pearson's correlation of mean ranks, by loops."""
    ranks = [[sum(y < x for y in row) + (sum(y == x for y in row) + 1) / 2 for x in row] for row in (a, b)]
    means = [sum(row) / len(row) for row in ranks]
    top = sum((x - means[0]) * (y - means[1]) for x, y in zip(*ranks, strict=True))
    sides = [math.sqrt(sum((x - mean) ** 2 for x in row)) for row, mean in zip(ranks, means, strict=True)]
    return top / (sides[0] * sides[1])


def slow_ndcg(queries, passages):
    """nDCG@10 by sorting each query's passages."""
    total = 0.0
    for i, query in enumerate(queries):
        scores = [sum(x * y for x, y in zip(query, passage, strict=True)) for passage in passages]
        rank = 1 + sum(score > scores[i] for score in scores)
        total += 1 / math.log2(rank + 1) if rank <= 10 else 0.0
    return total / len(queries)


@pytest.mark.parametrize("at_a_time", [1, 7, 1_024])
def test_the_scores_are_those_of_loops(folder, monkeypatch, at_a_time):
    monkeypatch.setattr(probes, "QUERIES_AT_A_TIME", at_a_time)
    found = Probe(folder).scores(vectors, instruction="问：")
    sts, retrieval = (pl.read_parquet(folder / f"{name}.parquet") for name in ("sts", "retrieval"))
    cosines = (vectors(sts["sentence1"]) * vectors(sts["sentence2"])).sum(axis=1).tolist()
    assert found["probe_sts"] == pytest.approx(slow_spearman(cosines, sts["score"].to_list()))
    asked = vectors(retrieval["query"], prompt="问：")
    assert found["probe_retrieval"] == pytest.approx(slow_ndcg(asked, vectors(retrieval["passage"])))
    assert found["probe_mean"] == pytest.approx((found["probe_sts"] + found["probe_retrieval"]) / 2)
    told = vectors(retrieval["passage"])
    apart = [sum((x - y) ** 2 for x, y in zip(*pair, strict=True)) for pair in zip(asked, told, strict=True)]
    assert found["probe_alignment"] == pytest.approx(sum(apart) / 20)
    kernel = [math.exp(-2 * ((told[i] - told[j]) ** 2).sum()) for i in range(20) for j in range(20) if i != j]
    assert found["probe_uniformity"] == pytest.approx(math.log(sum(kernel) / len(kernel)))


def test_texts_that_are_alike_may_have_an_instruction_too(folder):
    found = Probe(folder).scores(vectors, alike="比：")
    table = pl.read_parquet(folder / "sts.parquet")
    both = [vectors(table[column], prompt="比：") for column in ("sentence1", "sentence2")]
    cosines = (both[0] * both[1]).sum(axis=1).tolist()
    assert found["probe_sts"] == pytest.approx(slow_spearman(cosines, table["score"].to_list()))
    assert found["probe_sts"] != Probe(folder).scores(vectors)["probe_sts"]


def test_a_run_is_looked_at_behind_its_own_instructions(settled, tmp_path, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        Probe, "scores", lambda self, encode, *before: asked.append(before) or {"probe_mean": 1.0}
    )
    texts = random_texts(32, seed=4)
    columns = {"query": texts[:16], "passages": [[text] for text in texts[16:]], "source": "诗"}
    pl.DataFrame(columns | {"task": ["search", "sts"] * 8}).write_parquet(tmp_path / "groups.parquet")
    for instructed in WAYS:
        (tmp_path / instructed).mkdir()
        settings = settled(
            data=str(tmp_path / "groups.parquet"), probe=str(folder), instructed=instructed, steps=1
        )
        train(settings, tmp_path / instructed)
    search, alike = (TASKS[task].instruction["zh"] for task in ("search", "sts"))
    assert asked == [("", ""), (search, ""), (search, alike)]


def test_an_encoder_that_gives_all_texts_one_vector_scores_nothing(folder):
    found = Probe(folder).scores(lambda texts, prompt="": np.ones((len(texts), 4)) / 2)
    scores = {"probe_sts": 0.0, "probe_retrieval": 0.0, "probe_mean": 0.0}
    assert found == scores | {"probe_alignment": 0.0, "probe_uniformity": pytest.approx(0.0)}


@pytest.mark.parametrize(
    "name, table, said",
    [
        ("other", {"a": [1]}, "has neither sts.parquet nor retrieval.parquet"),
        ("sts", {"sentence1": ["a", "b"], "sentence2": ["a", "b"]}, "sts.parquet has no column score"),
        ("retrieval", {"query": ["a"], "passage": ["b"]}, "retrieval.parquet has 1 rows"),
    ],
)
def test_a_probe_that_cannot_be_used_is_refused(tmp_path, name, table, said):
    pl.DataFrame(table).write_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match=said):
        Probe(tmp_path)


def weights_of(folder):
    """The weights of the encoder that a run saved."""
    return load_file(folder / "encoder/model.safetensors")


def same(ours, theirs):
    """Whether two sets of weights are the same bits."""
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_run_that_is_looked_at_learns_the_same(settled, tmp_path, folder):
    (tmp_path / "seen").mkdir(), (tmp_path / "unseen").mkdir()
    train(settled(), tmp_path / "unseen")
    train(settled(probe=str(folder), probe_every=2), tmp_path / "seen")
    assert same(weights_of(tmp_path / "seen"), weights_of(tmp_path / "unseen"))
    looks = [line["step"] for line in logged(tmp_path / "seen") if "probe_mean" in line]
    assert looks == [2, 4, 6, 8] and not any("probe_mean" in line for line in logged(tmp_path / "unseen"))


def test_without_a_number_of_steps_it_is_looked_at_with_each_checkpoint(settled, tmp_path, folder):
    train(settled(probe=str(folder), checkpoint_every=3), tmp_path)
    assert [line["step"] for line in logged(tmp_path) if "probe_sts" in line] == [3, 6, 8]


def test_the_best_weights_are_released_also_after_an_interruption(settled, tmp_path, folder, monkeypatch):
    by_step, steps = {2: 0.1, 4: 0.5, 6: 0.3, 8: 0.2}, []

    def scored(self, encode, instruction="", alike=""):
        return {"probe_mean": by_step[steps[-1]]}

    monkeypatch.setattr(Probe, "scores", scored)
    look = Run.look

    def noted(run, step):
        steps.append(step + 1)
        return look(run, step)

    monkeypatch.setattr(Run, "look", noted)
    settings = settled(probe=str(folder), probe_every=2, release="best", checkpoint_every=3)
    (tmp_path / "once").mkdir(), (tmp_path / "twice").mkdir()
    train(settings, tmp_path / "once")
    with monkeypatch.context() as patched:
        patched.setattr("cpack_lib.training.optimiser.schedule", stop_at(5))
        with pytest.raises(KeyboardInterrupt):  # after the look at step 4, before the checkpoint at 6
            train(settings, tmp_path / "twice")
    assert [path.name for path in sorted((tmp_path / "twice").glob("best-*"))] == [
        "best-0000002",
        "best-0000004",
    ]
    train(settings, tmp_path / "twice")
    assert same(weights_of(tmp_path / "twice"), weights_of(tmp_path / "once"))
    assert [path.name for path in (tmp_path / "once").glob("best-*")] == ["best-0000004"]
    state = json.loads((tmp_path / "once/best-0000004/state.json").read_text())
    assert state == {"step": 4, "score": 0.5}
    best = load_file(tmp_path / "once/best-0000004/weights.safetensors")
    ours = weights_of(tmp_path / "once")
    assert all(torch.equal(best[f"backbone.{name}"], ours[name]) for name in ours)


def test_tensorboard_gets_the_log_and_nothing_twice(settled, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = settled(tensorboard=True, checkpoint_every=3)
    with monkeypatch.context() as patched:
        patched.setattr("cpack_lib.training.optimiser.schedule", stop_at(5))
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path)
    train(settings, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    assert found == [(line["step"], pytest.approx(line["loss"])) for line in logged(tmp_path)]
