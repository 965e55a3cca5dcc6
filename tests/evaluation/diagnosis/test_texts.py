"""What texts tell: instructions, lengths, tokens, evaluation texts in training data, harmed tasks."""

import numpy as np
import pytest

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.evaluation.diagnosis.opening import sample_texts
from cpack_lib.evaluation.diagnosis.tasks import contamination, harmed_task
from cpack_lib.evaluation.diagnosis.texts import (
    beginning,
    doubled_instruction,
    ids_without_a_row,
    missing_instruction,
    rows_without_an_id,
    too_long_for_the_model,
    truncated_texts,
    unknown_tokens,
    unused_instruction,
)
from cpack_lib.model.tokens import token_ids, train_wordpiece

INSTRUCTION = "为这个句子生成表示以用于检索相关文章："
ENGLISH = "Represent this sentence for searching relevant passages: "


@pytest.fixture(scope="module", params=range(3))
def queries(request):
    """Queries of the embedded world, of several seeds."""
    rows = open_table("world:labelled", "labelled", 400, request.param).read()
    return rows["query"].to_list()


@pytest.mark.parametrize("instruction", [INSTRUCTION, ENGLISH])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_an_instruction_in_training_and_not_in_the_prompt_is_missing(queries, instruction, share):
    count = int(share * len(queries))
    trained = [instruction + query for query in queries[:count]] + queries[count:]
    found = missing_instruction(trained, prompt="")
    assert found.severity == "failure" and abs(found.value - share) < 0.05
    assert not missing_instruction(trained, prompt=instruction).fires
    assert missing_instruction(trained, prompt="query: ").fires


def test_questions_that_go_on_alike_behind_the_prompt_miss_nothing():
    trained = [f"{INSTRUCTION}请问，第{number}个问题是什么？" for number in range(40)]
    assert beginning(trained).startswith(INSTRUCTION + "请问")
    assert not missing_instruction(trained, prompt=INSTRUCTION).fires
    assert missing_instruction(trained, prompt="").severity == "failure"


def test_queries_without_an_instruction_miss_none(queries):
    assert beginning(queries) == ""
    assert not missing_instruction(queries, prompt="").fires


def test_queries_that_bring_the_models_prompt_along_double_it(queries):
    begun = [INSTRUCTION + query for query in queries]
    assert doubled_instruction(begun, INSTRUCTION).severity == "failure"
    assert doubled_instruction([query.replace("：", ": ", 1) for query in begun], INSTRUCTION).fires
    assert not doubled_instruction(queries, INSTRUCTION).fires
    assert not doubled_instruction(begun, "").fires


def test_a_prompt_that_is_an_instruction_twice_is_doubled(queries):
    found = doubled_instruction(queries, 2 * INSTRUCTION)
    assert found.severity == "failure" and "twice" in found.evidence


@pytest.mark.parametrize("seed", range(5))
def test_an_instruction_counts_where_it_surely_helps(seed):
    chance = np.random.default_rng(seed)
    plain = chance.uniform(size=300)
    assert unused_instruction(plain, np.clip(plain + 0.2, 0, 1), INSTRUCTION).severity == "failure"
    other = np.clip(plain + chance.normal(scale=0.1, size=300), 0, 1)
    assert not unused_instruction(plain, other, INSTRUCTION).fires


def test_texts_that_are_cut_lose_tokens():
    found = truncated_texts([10, 20, 100], longest=32)
    assert np.isclose(found.value, 68 / 130) and found.severity == "failure" and "33% of 3" in found.evidence
    assert not truncated_texts([10, 20, 32], longest=32).fires
    assert too_long_for_the_model(1_024, positions=512).fires
    assert not too_long_for_the_model(512, positions=512).fires


def test_a_tokenizer_of_another_alphabet_reads_nothing(queries):
    own = train_wordpiece(queries, 4_000)
    latin = train_wordpiece(["the quick brown fox jumps over the lazy dog"] * 3, 200)
    ids = [token_ids(each, queries, 64) for each in (latin, own)]
    assert unknown_tokens(ids[0], latin.unk_token_id).severity == "failure"
    assert not unknown_tokens(ids[1], own.unk_token_id).fires
    with pytest.raises(ValueError, match="2 texts without a token"):
        unknown_tokens([[], []], 1)


def test_a_vocabulary_and_a_table_of_other_sizes_do_not_belong_together():
    assert ids_without_a_row(30_000, rows=21_128).fires and not ids_without_a_row(21_128, rows=21_128).fires
    assert rows_without_an_id(13_000, rows=21_128).severity == "failure"
    assert not rows_without_an_id(21_128, rows=21_248).fires


@pytest.fixture(scope="module")
def articles():
    """Texts of the world that stand for an evaluation set."""
    return sample_texts("world", 200, seed=7)


def test_evaluation_texts_in_the_training_data_are_found_whole_and_in_stretches(articles, queries):
    long = [text for text in articles if len(text) > 80]
    exact = contamination(queries + articles[:40], {"set": articles})
    assert exact.severity == "failure" and exact.value >= 40 / len(articles)
    stretch = contamination(
        queries + ["据说，" + text[: len(text) // 2 + 10] for text in long], {"set": long}
    )
    assert stretch.severity == "failure" and stretch.value > 0.9
    spaced = contamination([" ".join(text) for text in articles[:40]], {"set": articles})
    assert spaced.value == exact.value or spaced.fires


def test_other_texts_of_the_same_world_are_no_contamination(articles, queries):
    fine = contamination(queries, {"set": articles, "other": articles[:50]})
    assert not fine.fires and fine.value == 0
    with pytest.raises(ValueError, match="no text"):
        contamination(queries, {"set": []})


@pytest.mark.parametrize("seed", range(8))
def test_a_task_is_harmed_where_its_items_surely_fell(seed):
    chance = np.random.default_rng(seed)
    before = {"retrieval": chance.uniform(size=300), "sts": chance.uniform(size=300)}
    noisy = {task: np.clip(each + chance.normal(scale=0.1, size=300), 0, 1) for task, each in before.items()}
    assert not harmed_task(before, noisy).fires
    worse = noisy | {"retrieval": np.clip(before["retrieval"] - 0.15, 0, 1)}
    found = harmed_task(before, worse)
    assert found.severity == "failure" and found.evidence.startswith("retrieval falls")
    with pytest.raises(ValueError, match="score the same tasks"):
        harmed_task(before, {"sts": before["sts"]})
