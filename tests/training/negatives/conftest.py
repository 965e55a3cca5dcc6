"""Labelled rows, and an encoder that knows characters alone."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

ROWS = [  # query, pos, neg, source, task
    ("首都是哪里", ["北京", "北京市"], ["上海"], "地理", "retrieval"),
    ("首都 是哪里", ["北 京"], [], "地理", "retrieval"),  # the same query, and the same positive
    ("最长的河", ["长江"], ["黄河", "长江"], "地理", "search"),
    ("雨停了", ["雨不下了"], ["雨还在下"], "句子", "nli"),
    ("雨不下了", ["雨停了"], [], "句子", "sts"),
    ("没有答案", [], ["什么"], "句子", "sts"),
    ("一", ["壹"], [], "孤行", "retrieval"),
]


def table(rows: list[tuple]) -> pl.DataFrame:
    """Labelled rows as a table."""
    types = {"query": pl.String, "pos": pl.List(pl.String), "neg": pl.List(pl.String)}
    return pl.DataFrame(rows, schema=types | {"source": pl.String, "task": pl.String}, orient="row")


def by_characters(texts: list[str]) -> np.ndarray:
    """A vector for each text, by its characters: (N, 64)."""
    found = np.zeros((len(texts), 64), dtype=np.float32)
    for i, text in enumerate(texts):
        for character in text:
            found[i, ord(character) % 64] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def encode() -> Callable[[list[str]], np.ndarray]:
    """The encoder; `asked` holds every text that it has embedded."""

    def encode(texts: list[str]) -> np.ndarray:
        encode.asked += texts
        return by_characters(texts)

    encode.asked = []
    return encode
