"""Promises of the neural adapter: mteb's scores, each text once, and prompts where mteb would put them."""

import itertools
import warnings

import mteb
import numpy as np
import pytest
import torch
from datasets import Dataset
from mteb.models import SentenceTransformerEncoderWrapper
from mteb.types import PromptType
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch.utils.data import DataLoader

from cpack_lib.evaluation.models import kept, neural
from cpack_lib.evaluation.models.adapter import DOCUMENT, QUERY, TEXT
from cpack_lib.evaluation.models.embedding import Embedder
from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.models.neural import Neural
from cpack_lib.evaluation.tasks.local import local_tasks

TEXTS = ["薄荷", "人们多半在春天谈起狮子", "谁都知道铜有什么用处" * 9, "", "薄荷", "加纳" * 60]


@pytest.fixture
def embedded(monkeypatch):
    """Every (prompt, text) that is really embedded from here on."""
    seen, batches = [], Embedder.batches

    def watch(embedder, texts, prompt, budget):
        for rows, items in batches(embedder, texts, prompt, budget):
            seen.extend((prompt, texts[row]) for row in rows)
            yield rows, items

    monkeypatch.setattr(Embedder, "batches", watch)
    return seen


def run(model, tasks):
    """Score a model on tasks by mteb, as `evaluate` does."""
    found = {}
    for task in tasks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
        found[task.metadata.name] = result.task_results[0].scores["test"][0]
    return found


def numbers(scores):
    """The plain numbers of a result."""
    return {name: value for name, value in scores.items() if isinstance(value, int | float)}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_scores_are_those_of_mteb_with_a_plain_sentence_transformer(data, encoder, tmp_path, pooling):
    plain = SentenceTransformer(str(encoder), device="cpu")
    if pooling == "mean":
        plain = SentenceTransformer(
            modules=[plain[0], Pooling(32, "mean")], prompts=plain.prompts, device="cpu"
        )
        plain.save_pretrained(str(tmp_path / "mean"), create_model_card=False)
        encoder = tmp_path / "mean"
    (ours,) = open_models([str(encoder)])
    found = run(ours, local_tasks(data))
    expected = run(SentenceTransformerEncoderWrapper(plain), local_tasks(data))
    assert len(expected) == 6
    for task, scores in expected.items():
        assert len(numbers(scores)) > 2
        assert numbers(found[task]) == pytest.approx(numbers(scores), abs=1e-4, nan_ok=True), task
    assert len({score for scores in expected.values() for score in numbers(scores).values()}) > 20


def test_vectors_are_those_of_sentence_transformers_in_every_role(encoder):
    (model,), plain = open_models([str(encoder)]), SentenceTransformer(str(encoder))
    np.testing.assert_allclose(model.vectors(TEXTS, TEXT), plain.encode(TEXTS), atol=1e-5)
    np.testing.assert_allclose(model.vectors(TEXTS, QUERY), plain.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(model.vectors(TEXTS, DOCUMENT), plain.encode_document(TEXTS), atol=1e-5)
    assert not np.allclose(model.vectors(TEXTS, QUERY), model.vectors(TEXTS, TEXT), atol=1e-2)
    assert model.vectors([], TEXT).shape == (0, 32)


def test_no_text_is_embedded_twice_across_tasks_and_models_opened_later(data, encoder, tmp_path, embedded):
    first = run(*open_models([str(encoder)], vectors=tmp_path / "vectors"), local_tasks(data))
    assert len(embedded) == len(set(embedded)) >= 60
    known = len(embedded)
    again = run(*open_models([str(encoder)], vectors=tmp_path / "vectors"), local_tasks(data))
    assert len(embedded) == known
    assert again["order"] == first["order"]


def test_a_killed_run_keeps_what_it_had_embedded(encoder, tmp_path, embedded, monkeypatch):
    texts = [f"人们多半在春天谈起{number}" for number in range(40)]
    monkeypatch.setattr(kept, "MOST", 1)  # to disk after every batch
    monkeypatch.setattr(neural, "BUDGETS", {"cpu": 64})
    embed = Embedder.embed

    def killed(embedder, items, prompt, side):
        if len(embedded) > 20:
            raise KeyboardInterrupt
        return embed(embedder, items, prompt, side)

    monkeypatch.setattr(Embedder, "embed", killed)
    with pytest.raises(KeyboardInterrupt):
        open_models([str(encoder)], vectors=tmp_path / "vectors")[0].vectors(texts, TEXT)
    monkeypatch.setattr(Embedder, "embed", embed)
    lost = len(embedded) - 20
    embedded.clear()
    (model,) = open_models([str(encoder)], vectors=tmp_path / "vectors")
    plain = SentenceTransformer(str(encoder), device="cpu")
    np.testing.assert_allclose(model.vectors(texts, TEXT), plain.encode(texts), atol=1e-5)
    assert 0 < len(embedded) <= 20 + lost


def test_the_query_prompt_stands_before_queries_of_searches_and_nowhere_else(data, encoder, embedded):
    (model,) = open_models([str(encoder)])
    run(model, local_tasks(data))
    instruction = model.prompt(QUERY)
    assert instruction == SentenceTransformer(str(encoder)).prompts["query"]
    queries = {text for prompt, text in embedded if prompt == instruction}
    assert queries == {text for _, text in embedded if text.startswith("请问")}
    assert {prompt for prompt, _ in embedded} == {instruction, ""}


NAMED = ["T2Retrieval-query", "T2Retrieval", "Retrieval-query", "Retrieval", "query", "STS", "ATEC"]
OTHERS = ["Retrieval-document", "document", "passage", "corpus", "odd", "Clustering"]


@pytest.mark.parametrize("default", [None, "odd"])
def test_prompts_are_chosen_as_mteb_and_sentence_transformers_choose_them(encoder, default, monkeypatch):
    plain = SentenceTransformer(str(encoder), device="cpu")
    asked, (ours,) = [], open_models([str(encoder)])
    monkeypatch.setattr(
        SentenceTransformer, "_inference", lambda *_, prompt, **__: asked.append(prompt) or []
    )
    tasks = [
        mteb.get_task(name).metadata
        for name in ("T2Retrieval", "CmedqaRetrieval", "ATEC", "CLSClusteringS2S")
    ]
    loader = DataLoader(Dataset.from_dict({"text": ["薄荷"]}))
    draw = np.random.default_rng(0)
    chosen = [list(itertools.compress([*NAMED, *OTHERS], draw.random(13) < 0.4)) for _ in range(25)]
    seen = set()
    for names in [[], *chosen]:
        prompts = {name: f"{name}: " for name in {*names, *([default] if default else [])}}
        plain.prompts, plain.default_prompt_name = prompts, default
        ours.opened().model.prompts, ours.opened().model.default_prompt_name = prompts, default
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = SentenceTransformerEncoderWrapper(plain)
        for task, side in itertools.product(tasks, [None, PromptType.query, PromptType.document]):
            theirs.encode(loader, task_metadata=task, hf_split="", hf_subset="", prompt_type=side)
            role = side.value if side else TEXT
            assert ours.prompt(role, task) == (asked[-1] or ""), (names, task.name, role)
            seen.add(asked[-1])
    assert len(seen) > 10


def test_the_prompt_of_a_task_reaches_its_searches_and_its_other_texts(data, encoder, embedded):
    (model,) = open_models([str(encoder)])
    model.opened().model.prompts = {"find-query": "1", "Reranking-query": "2", "Reranking": "3", "near": "4"}
    run(model, local_tasks(data)[:3])
    assert {prompt for prompt, text in embedded if text.startswith("请问")} == {"1", "2"}
    assert {prompt for prompt, text in embedded if not text.startswith("请问")} == {"", "3", "4"}


def test_bfloat16_has_a_fingerprint_and_vectors_of_its_own(encoder, tmp_path):
    folder = tmp_path / "vectors"
    (full,), (half,) = (
        open_models([str(encoder)], precision=precision, vectors=folder)
        for precision in ("float32", "bfloat16")
    )
    assert half.fingerprint == f"{full.fingerprint}-bfloat16" == half.mteb_model_meta.revision
    assert not np.array_equal(full.vectors(TEXTS, TEXT), half.vectors(TEXTS, TEXT))
    assert {path.name for path in folder.iterdir()} == {full.fingerprint, half.fingerprint}
    with pytest.raises(ValueError, match="precision is 'float16'; write one of float32, bfloat16"):
        open_models([str(encoder)], precision="float16")


def test_release_forgets_weights_and_vectors_and_their_folder(encoder, embedded):
    (model,) = open_models([str(encoder)])
    before = model.vectors(TEXTS, TEXT)
    folder = model.kept.folder
    model.release()
    assert model.embedder is None and model.kept is None and not folder.exists()
    np.testing.assert_array_equal(model.vectors(TEXTS, TEXT), before)
    assert len(embedded) == 2 * len(set(TEXTS))


def test_vectors_that_are_not_finite_are_an_error_that_names_a_text(encoder):
    def load(device=None):
        model = SentenceTransformer(str(encoder), device=device)
        with torch.no_grad():
            model[0].model.embeddings.word_embeddings.weight[model.tokenizer.convert_tokens_to_ids("铜")] = (
                torch.nan
            )
        return model

    model = Neural("diverged", "mark", load)
    assert model.vectors(["薄荷"], TEXT).shape == (1, 32)
    with pytest.raises(
        ValueError, match="the vector of '铜' is not finite: the model's training has diverged"
    ):
        model.vectors(["薄荷", "铜"], TEXT)


def test_a_corpus_is_indexed_in_windows_and_its_vectors_stay_on_disk(encoder, monkeypatch):
    monkeypatch.setattr(neural, "WINDOW", 5)
    texts = [f"人们谈起{number}" for number in range(13)]
    corpus = Dataset.from_dict({"id": list(map(str, range(13))), "text": texts})
    (model,) = open_models([str(encoder)])
    model.index(corpus)
    assert model.passages.shape == (13, 32) and not isinstance(model.passages, np.ndarray)
    np.testing.assert_array_equal(model.passages[2:9], model.vectors(texts, DOCUMENT)[2:9])


@pytest.mark.parametrize("dropped", [False, True])
def test_a_passage_with_the_querys_own_id_does_not_take_the_place_of_another(data, encoder, dropped):
    """Some tasks of mteb drop it afterwards, and should still have as many as they asked for."""
    task = local_tasks(data)[0]
    task.load_data()
    split = task.dataset["default"]["test"]
    corpus = split["corpus"].to_dict()
    query = split["queries"][0]
    if dropped:
        corpus = {"id": [query["id"], *corpus["id"]], "text": [query["text"], *corpus["text"]]}
    (model,) = open_models([str(encoder)])
    model.index(Dataset.from_dict(corpus))
    found = model.search(split["queries"], top_k=5)
    assert {len(passages) for qid, passages in found.items() if qid != query["id"]} == {5}
    others = [pid for pid in found[query["id"]] if pid != query["id"]]
    assert len(others) == 5
    scores = model.scores(model.vectors([query["text"]], QUERY), model.vectors(corpus["text"], DOCUMENT))[0]
    best = sorted(zip(scores, corpus["id"], strict=True), reverse=True)
    assert set(others) == {pid for _, pid in [pair for pair in best if pair[1] != query["id"]][:5]}
