"""What tests of training share: random Chinese texts, a tiny encoder with dropout, settings on disk."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from cpack_lib.model.encoder import Encoder, save_encoder
from cpack_lib.model.tokens import train_wordpiece
from cpack_lib.training.settings import Settings, read_settings

CHARACTERS = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏"


def random_texts(count: int, seed: int = 0) -> list[str]:
    """Different texts of 1 to 20 characters."""
    chance, found = random.Random(seed), {}
    while len(found) < count:
        found["".join(chance.choices(CHARACTERS, k=chance.randint(1, 20)))] = None
    return list(found)


def tiny_bert(tokenizer: PreTrainedTokenizerBase, seed: int = 0) -> BertForMaskedLM:
    """Two layers, 32 wide; the same weights for the same seed."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    return BertForMaskedLM(config)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """A WordPiece tokenizer of a few characters."""
    return train_wordpiece(random_texts(50), vocab_size=100)


@pytest.fixture
def encoder(tokenizer) -> Encoder:
    """A tiny encoder, dropout on."""
    return Encoder(tiny_bert(tokenizer).bert, tokenizer).train()


@pytest.fixture(scope="session")
def start(tokenizer, tmp_path_factory) -> Path:
    """A saved tiny encoder."""
    folder = tmp_path_factory.mktemp("start") / "encoder"
    save_encoder(Encoder(tiny_bert(tokenizer).bert, tokenizer), folder)
    return folder


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> Path:
    """32 pairs of different texts, of two sources."""
    texts, path = random_texts(64), tmp_path_factory.mktemp("data") / "pairs.parquet"
    columns = {"text_a": texts[:32], "text_b": texts[32:], "source": ["诗", "文"] * 16}
    pl.DataFrame(columns).write_parquet(path)
    return path


@pytest.fixture
def settled(start, pairs, tmp_path) -> Callable[..., Settings]:
    """A maker of settings, through the file a program reads: tmp_path/config.json."""

    def settle(**changes) -> Settings:
        given = {"objective": "contrast", "start": str(start), "data": str(pairs), "steps": 8}
        given |= {"rows_per_step": 8, "learning_rate": 1e-3, "checkpoint_every": 3} | changes
        (tmp_path / "config.json").write_text(json.dumps(given), "utf-8")
        return read_settings(tmp_path / "config.json")

    return settle
