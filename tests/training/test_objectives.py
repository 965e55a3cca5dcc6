"""Objectives: what stands in a step, counted and compared by loops."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from cpack_lib.model.encoder import load_encoder
from cpack_lib.model.tokens import token_ids, write_store
from cpack_lib.training.loop import train
from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.objectives.bags import document_share
from cpack_lib.training.objectives.groups import Groups, hashes, stored
from tests.training.conftest import random_texts, tiny_bert

GROUPS = [
    ("天地", ["玄黄", "宇宙", "洪荒"], "诗"),
    ("日月", ["盈昃"], "文"),
    ("Ａ 日", ["宿列", "玄 黄"], "诗"),
    ("a日", ["宿列", "张"], "诗"),
]


@pytest.fixture
def groups(settled, tokenizer, tmp_path):
    """Four groups of different sizes, with repeated texts."""
    path = tmp_path / "groups.parquet"
    pl.DataFrame(GROUPS, schema=["query", "passages", "source"], orient="row").write_parquet(path)
    return Groups(settled(data=str(path)), tmp_path / "tokens", tokenizer)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 0], [1], [2, 2]])
def test_a_step_holds_the_queries_and_all_their_passages(groups, tokenizer, rows):
    step = groups.step(np.asarray(rows))
    passages = [text for row in rows for text in GROUPS[row][1]]
    targets = [sum(len(GROUPS[row][1]) for row in rows[:i]) for i in range(len(rows))]
    assert step.targets.tolist() == targets
    for found, texts in ((step.queries, [GROUPS[row][0] for row in rows]), (step.passages, passages)):
        assert [ids.tolist() for ids in found] == [ids.tolist() for ids in token_ids(tokenizer, texts, 128)]
    assert len(step.texts) == len(passages) and len(step.query_texts) == len(rows)


def test_texts_are_the_same_but_for_spaces_widths_and_capitals(groups):
    step = groups.step(np.arange(4))
    assert step.query_texts[2] == step.query_texts[3] != step.query_texts[0]
    assert step.texts[0] == step.texts[5] and step.texts[4] == step.texts[6]  # 玄黄 and 玄 黄; 宿列 twice
    assert len(set(step.texts.tolist())) == 6
    assert hashes(pl.Series(["一", "１", "1"])).tolist()[1:] == [hashes(pl.Series(["1"]))[0]] * 2


def test_pairs_are_groups_of_one(settled, tokenizer, tmp_path, pairs):
    groups = Groups(settled(), tmp_path / "tokens", tokenizer)
    assert groups.rows == 32 and groups.sources == ["诗", "文"] * 16
    assert groups.step(np.asarray([4, 9])).targets.tolist() == [0, 1]


@pytest.mark.parametrize("passages", [[["玄"], []], [["玄"], None], [["玄"], [None]]])
def test_a_group_without_a_passage_is_refused(settled, tokenizer, tmp_path, passages):
    path = tmp_path / "groups.parquet"
    columns = {"query": ["天", "地"], "passages": passages, "source": "诗"}
    pl.DataFrame(columns, schema_overrides={"passages": pl.List(pl.String)}).write_parquet(path)
    with pytest.raises(ValueError, match="groups.parquet has 2 rows, 1 of them without a passage"):
        Groups(settled(data=str(path)), tmp_path / "tokens", tokenizer)


def test_a_store_is_written_once_and_never_half(tokenizer, tmp_path):
    texts = pl.Series(random_texts(5))
    (tmp_path / ".queries.new").mkdir()
    (tmp_path / ".queries.new/offsets.npy").write_bytes(b"torn")
    store = stored(tmp_path / "queries", tokenizer, texts, longest=8)
    assert len(store) == 5 and not (tmp_path / ".queries.new").exists()
    assert len(stored(tmp_path / "queries", tokenizer, texts[:2], longest=8)) == 5


def test_the_share_of_texts_a_token_stands_in(tokenizer, tmp_path):
    texts = random_texts(40)
    store = write_store(tmp_path / "store", tokenizer, [texts], longest=12)
    share = document_share(store, tokenizer)
    for token in range(len(tokenizer)):
        count = sum(token in store[i].tolist() for i in range(40))
        inside = token in (tokenizer.cls_token_id, tokenizer.sep_token_id)
        assert share[token] == (1 if inside else (count + 1) / 41)


@pytest.mark.parametrize("tokens_per_chunk", [1, 64, 8_192])
def test_the_mean_of_retromae_does_not_depend_on_chunks(settled, tokenizer, tmp_path, tokens_per_chunk):
    texts = random_texts(10)
    pl.DataFrame({"text": texts, "source": "诗"}).write_parquet(tmp_path / "texts.parquet")
    model = tiny_bert(tokenizer)
    model.save_pretrained(tmp_path / "lm"), tokenizer.save_pretrained(tmp_path / "lm")
    settings = settled(
        objective="retromae",
        start=str(tmp_path / "lm"),
        data=str(tmp_path / "texts.parquet"),
        tokens_per_chunk=tokens_per_chunk,
        decoder_labels=0.5,
    )
    objective = OBJECTIVES["retromae"](settings, tmp_path)
    calls, forward = [], objective.model.forward
    objective.model.forward = lambda *given: calls.append(forward(*given)) or calls[-1]
    facts = objective.backward(objective.prepare(np.arange(10)))
    for name in ("encoder", "decoder"):
        mean = sum(float(call[f"{name}_loss"].detach()) for call in calls) / sum(
            int(call[f"{name}_count"]) for call in calls
        )
        assert facts[f"{name}_loss"] == pytest.approx(mean, rel=1e-5)
    assert facts["loss"] == pytest.approx(facts["encoder_loss"] + facts["decoder_loss"])


@pytest.mark.parametrize("objective", ["bag", "contrast"])
def test_both_contrasts_learn_from_groups(settled, start, tmp_path, objective, groups):
    settings = settled(
        objective=objective,
        data=str(tmp_path / "groups.parquet"),
        rows_per_step=4,
        steps=60,
        width=16,
        weight_decay=0.0,
        learning_rate=0.01,
    )
    train(settings, tmp_path)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0] / 3


def test_an_encoder_learns_in_bfloat16(settled, tmp_path):
    train(settled(precision="bfloat16", steps=3), tmp_path)
    assert load_encoder(tmp_path / "encoder").backbone.dtype == torch.float32


@pytest.mark.parametrize("objective", ["contrast", "retromae"])
def test_dropout_is_what_is_asked_for(settled, start, tokenizer, tmp_path, objective):
    tiny_bert(tokenizer).save_pretrained(tmp_path / "lm"), tokenizer.save_pretrained(tmp_path / "lm")
    pl.DataFrame({"text": random_texts(4), "source": "诗"}).write_parquet(tmp_path / "texts.parquet")
    begun = {
        "contrast": {},
        "retromae": {"start": str(tmp_path / "lm"), "data": str(tmp_path / "texts.parquet")},
    }
    model = OBJECTIVES[objective](
        settled(objective=objective, dropout=0.25, **begun[objective]), tmp_path
    ).model
    assert {part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)} == {0.25}
