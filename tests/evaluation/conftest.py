"""A tiny evaluation folder of all six types, and a tiny encoder that sentence-transformers can load."""

from pathlib import Path

import polars as pl
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

SUBJECTS = [
    "薄荷",
    "番椒",
    "狮子",
    "刺猬",
    "铜",
    "氦",
    "糖葫芦",
    "刀削面",
    "螺丝刀",
    "吹风机",
    "加纳",
    "摩洛哥",
]
SAYINGS = ["{}常见于南方的集市", "人们多半在春天谈起{}", "{}的来历写在一本旧书里", "谁都知道{}有什么用处"]
INSTRUCTION = "为这个句子生成表示以用于检索相关文章："


def write(folder: Path, **tables: dict) -> None:
    """Some tables as Parquet files of one task."""
    folder.mkdir(parents=True)
    for name, columns in tables.items():
        pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One task of each type, from 12 subjects in 4 sayings."""
    folder, told = tmp_path / "data", [[saying.format(s) for saying in SAYINGS] for s in SUBJECTS]
    number = range(len(told))
    questions = [f"请问{subject}是什么？" for subject in SUBJECTS]
    write(
        folder / "retrieval/find",
        corpus={"id": [f"p{i}{k}" for i in number for k in range(4)], "text": sum(told, [])},
        queries={"id": [f"q{i}" for i in number], "text": questions},
        qrels={"qid": [f"q{i}" for i in number], "pid": [f"p{i}{i % 4}" for i in number], "score": [1] * 12},
    )
    negatives = [[told[(i + step) % 12][step % 4] for step in range(1, 6)] for i in number]
    write(folder / "reranking/order", test={"query": questions, "positive": told, "negative": negatives})
    pairs = {
        "sentence1": [t[0] for t in told] * 2,
        "sentence2": [t[1] for t in told] + [t[2] for t in told[::-1]],
    }
    write(folder / "sts/near", test=pairs | {"score": [float(i % 5) for i in range(24)]})
    write(folder / "pairclass/same", test=pairs | {"label": [1] * 12 + [0] * 12})
    for_labels = {
        "text": sum(told, []),
        "label": [["植物", "动物", "矿物"][i % 3] for i in number for _ in range(4)],
    }
    write(folder / "classification/kind", train=for_labels, test={k: v[::3] for k, v in for_labels.items()})
    bags = {"sentences": [sum(told[:6], []), sum(told[6:], [])], "labels": [for_labels["label"][:24]] * 2}
    write(folder / "clustering/group", test=bags)
    return folder


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A random BERT of 2 layers, 32 wide, [CLS], length one, with an instruction for queries."""
    folder = tmp_path / "bert"
    folder.mkdir()
    pieces = BertWordPieceTokenizer()
    pieces.train_from_iterator([s.format(name) for s in SAYINGS for name in SUBJECTS] + [INSTRUCTION], 300)
    pieces.save_model(str(folder))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        initializer_range=0.3,
    )
    BertModel(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    modules = [Transformer(str(folder), max_seq_length=64), Pooling(32, pooling_mode="cls"), Normalize()]
    model = SentenceTransformer(modules=modules, prompts={"query": INSTRUCTION, "document": ""}, device="cpu")
    model.save_pretrained(str(tmp_path / "encoder"), create_model_card=False)
    return tmp_path / "encoder"
