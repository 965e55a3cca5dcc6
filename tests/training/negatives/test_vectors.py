"""Vectors on the disk: each text embedded once, whatever is interrupted, and never another encoder's."""

import json

import numpy as np
import polars as pl
import pytest

from cpack_lib.training.negatives import embedder, vectors
from cpack_lib.training.negatives.search import opposite, some_of
from cpack_lib.training.negatives.vectors import Rows, Vectors, write_vectors
from tests.training.conftest import random_texts

TEXTS = pl.Series("text", random_texts(50))


class Encoding:
    """Vectors by characters; it remembers what it was asked, and breaks at a text."""

    def __init__(self, width=32, breaks_at=None):
        self.width, self.breaks_at, self.asked = width, breaks_at, []

    def __call__(self, texts):
        if self.breaks_at in texts:
            raise KeyboardInterrupt
        self.asked += texts
        found = np.zeros((len(texts), self.width), dtype=np.float32)
        for i, text in enumerate(texts):
            for character in text:
                found[i, ord(character) % self.width] += 1
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch):
    """Small chunks, so that there are several."""
    monkeypatch.setattr(vectors, "TEXTS_AT_A_TIME", 8)
    monkeypatch.setattr(vectors, "ROWS_AT_A_TIME", 5)


def test_vectors_are_what_the_encoder_makes(tmp_path):
    encode = Encoding()
    written = write_vectors(tmp_path, TEXTS, encode)
    assert len(written) == 50 and written.shape == (50, 32) and encode.asked == TEXTS.to_list()
    exact, some = Encoding()(TEXTS.to_list()), np.array([3, 49, 3, 0, 17, 20, 1, 2])
    assert (written.rows(some) == exact[some]).all() and written.rows(some[:0]).shape == (0, 32)
    rows = Rows(written, np.arange(50)[::-1])
    assert rows.shape == (50, 32) and (rows[2:5] == exact[::-1][2:5]).all()
    assert (rows.some(some)[np.array([1, 0])] == exact[::-1][some[[1, 0]]]).all()
    assert (opposite(some_of(rows, some))[:] == -exact[::-1][some]).all()


def test_interrupted_it_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_vectors(tmp_path, TEXTS, Encoding(breaks_at=TEXTS[30]))
    with (tmp_path / "vectors.f32").open("ab") as file:
        file.write(b"half a row")
    with pytest.raises(ValueError, match="24 of 50 vectors; go on with write_vectors"):
        Vectors(tmp_path)
    encode = Encoding()
    written = write_vectors(tmp_path, TEXTS, encode)
    assert encode.asked == [TEXTS[0], *TEXTS[24:]]
    assert (written.rows(np.arange(50)) == Encoding()(TEXTS.to_list())).all()
    again = Encoding()
    write_vectors(tmp_path, TEXTS, again)
    assert again.asked == [TEXTS[0]]


def test_vectors_of_others_are_refused(tmp_path):
    write_vectors(tmp_path, TEXTS, Encoding())
    with pytest.raises(ValueError, match="holds vectors of 50 other texts; delete it"):
        write_vectors(tmp_path, TEXTS[1:], Encoding())
    for other in (Encoding(width=16), lambda texts: np.roll(Encoding()(texts), 1, axis=1)):
        with pytest.raises(ValueError, match="another encoder's vectors; delete it"):
            write_vectors(tmp_path, TEXTS, other)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_no_number_names_its_text(tmp_path, bad):
    def encode(texts):
        found = Encoding()(texts)
        found[[text == TEXTS[20] for text in texts]] = bad
        return found

    with pytest.raises(
        ValueError, match=f"makes NaN or infinity of '{TEXTS[20][:60]}' and 0 more of 8 texts"
    ):
        write_vectors(tmp_path, TEXTS, encode)
    assert json.loads((tmp_path / "state.json").read_text())["done"] == 16


def test_an_encoder_that_loses_texts_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"vectors of shape \(7, 32\) for 8 texts"):
        write_vectors(tmp_path, TEXTS, lambda texts: Encoding()(texts)[1:])


def test_no_texts_are_no_vectors(tmp_path):
    assert len(write_vectors(tmp_path, TEXTS[:0], Encoding())) == 0


def test_an_encoder_embeds_in_either_precision(encoder):
    texts = TEXTS.to_list()
    plain = embedder(encoder, longest=16)(texts)
    assert (plain == encoder.encode(texts, longest=16)).all()
    rough = embedder(encoder, longest=16, precision="bfloat16")(texts)
    assert rough.dtype == np.float32 and 0 < np.abs(rough - plain).max() < 0.05
    with pytest.raises(ValueError, match="precision is 'half'; choose float32 or bfloat16"):
        embedder(encoder, precision="half")
