"""Promises of the neural adapter: the same vectors, each text once, prompts in searches and nowhere else."""

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models import neural
from cpack_lib.evaluation.models.adapter import DOCUMENT, QUERY, TEXT
from cpack_lib.evaluation.models.names import open_models, weights
from cpack_lib.evaluation.models.neural import batches
from cpack_lib.evaluation.scores.running import evaluate
from cpack_lib.evaluation.tasks.local import local_tasks

TEXTS = ["薄荷", "人们多半在春天谈起狮子", "谁都知道铜有什么用处" * 9, "", "薄荷", "加纳" * 60]


@pytest.fixture
def embedded(monkeypatch):
    """Every (prompt, text) that is really embedded from here on."""
    seen, embed = [], neural.embed

    def watch(model, texts, prompt):
        seen.extend((prompt, text) for text in texts)
        return embed(model, texts, prompt)

    monkeypatch.setattr(neural, "embed", watch)
    return seen


def test_vectors_are_those_of_sentence_transformers_in_every_role(encoder):
    (model,), plain = open_models([str(encoder)]), SentenceTransformer(str(encoder))
    np.testing.assert_allclose(model.vectors(TEXTS, TEXT), plain.encode(TEXTS), atol=1e-5)
    np.testing.assert_allclose(model.vectors(TEXTS, QUERY), plain.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(model.vectors(TEXTS, DOCUMENT), plain.encode_document(TEXTS), atol=1e-5)
    assert not np.allclose(model.vectors(TEXTS, QUERY), model.vectors(TEXTS, TEXT), atol=1e-2)


def test_no_text_is_embedded_twice_across_tasks(data, encoder, tmp_path, embedded):
    evaluate(open_models([str(encoder)]), local_tasks(data), tmp_path / "results")
    assert len(embedded) == len(set(embedded)) >= 60


def test_the_query_prompt_stands_before_queries_of_searches_and_nowhere_else(
    data, encoder, tmp_path, embedded
):
    evaluate(open_models([str(encoder)]), local_tasks(data), tmp_path / "results")
    instruction = SentenceTransformer(str(encoder)).prompts["query"]
    assert {text for prompt, text in embedded if prompt == instruction} == {
        text for _, text in embedded if text.startswith("请问")
    }
    assert {prompt for prompt, _ in embedded} == {instruction, ""}


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_batches_hold_every_row_once_and_keep_to_the_budget(budget):
    lengths = [5, 700, 1, 1, 33, 8, 8, 8, 90]
    found = list(batches(lengths, budget, longest=64))
    assert sorted(row for batch in found for row in batch) == list(range(9))
    for batch in found:
        tokens = [min(lengths[row] + 2, 64) for row in batch]
        assert len(batch) == 1 or len(batch) * max(tokens) <= budget
        assert tokens == sorted(tokens, reverse=True)


def test_release_forgets_weights_and_vectors(encoder, embedded):
    (model,) = open_models([str(encoder)])
    before = model.vectors(TEXTS, TEXT)
    model.release()
    assert model.model is None and not model.rows
    np.testing.assert_array_equal(model.vectors(TEXTS, TEXT), before)
    assert len(embedded) == 2 * len(set(TEXTS))


def test_weights_are_known_by_content(encoder):
    before = weights(encoder)
    (encoder / "README.md").write_text("a card")
    assert weights(encoder) == before
    config = encoder / "config_sentence_transformers.json"
    config.write_text(
        config.read_text("utf-8").replace("检索", "查找").replace("\\u68c0", "\\u67e5"), "utf-8"
    )
    assert weights(encoder) != before
