"""Ranks in a pool: those of a plain loop, in a frame as in a folder, whatever the blocks; and what ties."""

import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import cloudpickle
import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.clean import ranked
from cpack_lib.corpus.clean.ranked import TIE, Ranked, nearer, rank_folder, ranks
from cpack_lib.corpus.clean.relevance import Relevant, directions
from cpack_lib.work.files import ROOT

SIDES = ("text_a", "text_b")
WORDS = [f"text {number}" for number in range(60)]
TABLE = dict(zip(WORDS, np.random.default_rng(5).normal(size=(60, 6)), strict=True))
TABLE |= {"text 1": TABLE["text 0"] * 3, "text 2": TABLE["text 0"]}
TABLE |= dict.fromkeys(["text 3", "text 4"], np.zeros(6))


def look_up(texts: list[str]) -> np.ndarray:
    """A fixed vector of each text; some are equal but for their length, some zero."""
    return np.array([TABLE[text] for text in texts]).reshape(len(texts), 6)


def some_pairs(rows: int, seed: int = 0) -> pl.DataFrame:
    """Pairs of random words: many texts come again, on either side."""
    drawn = np.random.default_rng([rows, seed]).choice(WORDS, size=(2, rows))
    return pl.DataFrame(dict(zip(SIDES, drawn, strict=True)), schema=dict.fromkeys(SIDES, pl.String))


def by_loop(pairs: pl.DataFrame, pool: int) -> list[int]:
    """The ranks, pair by pair and text by text, in float64."""
    rows, found = pairs.rows(), []
    unit = {text: vector / (np.linalg.norm(vector) or 1) for text, vector in TABLE.items()}
    parts = -(-len(rows) // pool)
    for number in range(parts):
        part = rows[len(rows) * number // parts : len(rows) * (number + 1) // parts]
        assert 1 <= len(part) <= pool
        for a, b in part:
            others = {text for _, text in part} - {a, b}
            found.append(1 + sum(unit[a] @ unit[text] > unit[a] @ unit[b] + TIE for text in others))
    return found


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks that nothing fills evenly."""
    for name, size in {"QUERIES": 7, "TEXTS": 5, "ROWS_AT_ONCE": 11}.items():
        monkeypatch.setattr(ranked, name, size)


@pytest.mark.parametrize("rows", [0, 1, 2, 37, 300])
@pytest.mark.parametrize("pool", [1, 7, 100, 1_000_000])
def test_ranks_are_those_of_a_plain_loop(rows, pool, small_blocks):
    pairs = some_pairs(rows)
    assert ranks(pairs, look_up, pool).to_list() == by_loop(pairs, pool)


def test_blocks_of_the_usual_size_give_the_same_ranks():
    pairs = some_pairs(2500)
    assert ranks(pairs, look_up).to_list() == by_loop(pairs, 1_000_000)


def test_what_float32_cannot_tell_apart_is_decided_as_in_float64():
    rng = np.random.default_rng(1)
    queries, partners = rng.normal(size=(2, 40, 768))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    partners /= np.linalg.norm(partners, axis=1, keepdims=True)
    steps = TIE + rng.uniform(-2e-7, 2e-7, size=(40, 50, 1))  # nearer by almost exactly a tie
    pool = np.concatenate([partners, (partners[:, None] + steps * queries[:, None]).reshape(-1, 768)])
    queries, pool = queries.astype(np.float32), pool.astype(np.float32)
    exact = queries.astype(np.float64) @ pool.T.astype(np.float64)
    expected = (exact > exact.diagonal()[:, None] + TIE).sum(axis=1)
    none = np.full(40, -1)
    assert nearer(queries, np.arange(40), pool, np.arange(40), none).tolist() == expected.tolist()


def test_equal_texts_and_ties_never_count_against_a_pair():
    same = pl.DataFrame({"text_a": ["text 5"] * 4, "text_b": ["text 6", "text 6", "text 5", "text 6"]})
    assert ranks(same, look_up).to_list() == [1, 1, 1, 1]  # text 5 itself is nearer, and no rival
    tied = pl.DataFrame({"text_a": ["text 7"] * 3, "text_b": ["text 0", "text 1", "text 2"]})
    assert ranks(tied, look_up).to_list() == [1, 1, 1]
    zero = pl.DataFrame({"text_a": ["text 3"] * 2, "text_b": ["text 8", "text 9"]})
    assert ranks(zero, look_up).to_list() == [1, 1]


def test_each_different_text_is_encoded_once():
    asked = []
    pairs = some_pairs(100)
    ranks(pairs, lambda texts: asked.extend(texts) or look_up(texts), pool=30)
    assert sorted(asked) == sorted({*pairs["text_a"], *pairs["text_b"]})


@pytest.mark.parametrize("pool", [1, 10, 33, 1000])
def test_a_folder_is_ranked_as_one_frame(pool, tmp_path, small_blocks):
    shards = [some_pairs(rows, seed=1) for rows in (5, 0, 23, 1, 40)]
    for number, shard in enumerate(shards):
        shard.write_parquet(tmp_path / f"train-{number:05}.parquet")
    pairs = pl.concat(shards)
    frames = list(rank_folder(tmp_path, look_up, pool))
    assert max(map(len, frames)) <= 11
    found = pl.concat(frames)
    assert found.drop("rank").equals(pairs)
    assert found["rank"].to_list() == ranks(pairs, look_up, pool).to_list()


def test_a_folder_hands_the_encoder_few_texts_at_once_and_each_of_a_pool_once(tmp_path, small_blocks):
    some_pairs(90).with_columns(text_a=pl.lit("text 0")).write_parquet(tmp_path / "0.parquet")
    asked = []
    list(rank_folder(tmp_path, lambda texts: asked.append(texts) or look_up(texts)))
    assert max(map(len, asked)) <= 11
    of_pool = [text for texts in asked if texts != ["text 0"] for text in texts]
    assert len(of_pool) == len(set(of_pool))


def test_half_the_memory_gives_almost_the_same_ranks(tmp_path):
    some_pairs(200).write_parquet(tmp_path / "0.parquet")
    half = pl.concat(rank_folder(tmp_path, look_up, stored=np.float16))["rank"].cast(pl.Int64)
    full = ranks(some_pairs(200), look_up).cast(pl.Int64)
    assert (half - full).abs().max() <= 3 and (half == full).mean() > 0.8


def test_an_empty_shard_is_a_folder_without_pairs_and_no_shard_an_error(tmp_path):
    with pytest.raises(ValueError, match="holds no .parquet file"):
        list(rank_folder(tmp_path, look_up))
    some_pairs(0).write_parquet(tmp_path / "0.parquet")
    assert list(rank_folder(tmp_path, look_up)) == []


def test_memory_is_that_of_a_block_and_not_of_all_scores(monkeypatch):
    monkeypatch.setattr(ranked, "QUERIES", 64)
    monkeypatch.setattr(ranked, "TEXTS", 256)
    vectors = np.random.default_rng(2).normal(size=(4000, 8)).astype(np.float32)
    every = np.arange(4000)
    tracemalloc.start()
    nearer(vectors, every, vectors, every, every)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000 * 4000 * 4 / 16


def test_pairs_up_to_the_rank_stay_and_all_in_a_pool_that_is_no_larger():
    pairs = some_pairs(200)
    found = ranks(pairs, look_up)
    for k in (1, 2, 9):
        assert Ranked("kept", look_up, k=k).judge(pairs).to_list() == (found <= k).to_list()
    assert Ranked("kept", look_up, k=60).judge(pairs).all()
    assert Ranked("kept", look_up, k=1, pool=1).judge(pairs).all()
    assert Ranked("kept", look_up).judge(pairs.clear()).is_empty()


def test_a_rank_that_keeps_nothing_and_a_pool_without_texts_are_errors():
    with pytest.raises(ValueError, match="k is 0"):
        Ranked("kept", look_up, k=0)
    with pytest.raises(ValueError, match="a pool of 0 texts"):
        Ranked("kept", look_up, pool=0)


@pytest.mark.parametrize("rule", [partial(Ranked, k=3), partial(Relevant, limit=0.2)])
def test_rules_travel_to_another_process_with_their_encoder(rule):
    table, pairs = TABLE, some_pairs(50)
    made = rule("kept", lambda texts: np.array([table[text] for text in texts]))
    there = (
        "import sys, cloudpickle as c; rule, pairs = c.load(sys.stdin.buffer); print(rule.judge(pairs).sum())"
    )
    sent = cloudpickle.dumps((made, pairs))
    said = subprocess.run(
        [sys.executable, "-c", there], input=sent, capture_output=True, check=True, cwd=ROOT
    )
    assert 0 < int(said.stdout) == made.judge(pairs).sum() < 50


def test_directions_have_length_one_but_for_zeros():
    lengths = np.linalg.norm(directions(pl.Series(WORDS), look_up), axis=1)
    zero = np.array([text in ("text 3", "text 4") for text in WORDS])
    np.testing.assert_allclose(lengths, ~zero, atol=1e-6)


def test_an_encoder_that_gives_something_else_is_an_error(tmp_path: Path):
    some_pairs(3).write_parquet(tmp_path / "0.parquet")
    with pytest.raises(ValueError, match="give a finite vector for each"):
        ranks(some_pairs(3), lambda texts: np.full((len(texts), 4), np.nan))
    with pytest.raises(ValueError, match="give a finite vector for each"):
        list(rank_folder(tmp_path, lambda texts: np.zeros((1, 4, 4))))
