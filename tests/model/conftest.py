"""What tests of the model share: two tokenizers trained on a few texts, and a BERT small enough for loops."""

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from cpack_lib.model.tokens import train_pieces, train_wordpiece

TEXTS = [
    "土豆和马铃薯是同一种植物。",
    "今天天气很好，我们去公园玩。",
    "The quick brown fox jumps over the lazy dog.",
    "秋天的第一场雨，落在北方的小城里。",
    "Potato, 又叫土豆，2024年产量很高！",
]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Five short texts, Chinese, English and mixed."""
    return TEXTS


@pytest.fixture(scope="session")
def pieces() -> PreTrainedTokenizerBase:
    """A tokenizer whose pieces span several characters."""
    return train_pieces(TEXTS * 5, vocab_size=300)


@pytest.fixture(scope="session")
def wordpiece() -> PreTrainedTokenizerBase:
    """A tokenizer with BERT's Chinese conventions."""
    return train_wordpiece(TEXTS * 5, vocab_size=300)


@pytest.fixture
def language_model() -> BertForMaskedLM:
    """One layer, 11 tokens, 12 wide, 3 heads; no dropout, weights large enough to matter."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=11,
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.5,
    )
    return BertForMaskedLM(config)
