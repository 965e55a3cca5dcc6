"""notebooks/use_elsewhere.md runs as it stands, and what it makes is equal to what the library has."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnx
import polars as pl
import pytest
from onnxruntime import InferenceSession

from cpack_lib.corpus.read.sources import open_table
from cpack_lib.evaluation.held_out import write_search
from cpack_lib.model.encoder import load_encoder, new_encoder, save_encoder
from cpack_lib.model.tokens import train_pieces
from cpack_lib.work.files import ROOT
from cpack_lib.work.notebooks import code_blocks

PAGE = ROOT / "notebooks/use_elsewhere.md"
INSTRUCTION = "为这个句子生成表示以用于检索相关文章："
RUN = "runs/demo/04_instruct_finetune"
ODD = ["", "泡菜", "狮子吃肉。" * 300, "USB 3.0 接口，一秒传 5 GB", "𠮷野家\n的饭"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The names that the page's blocks leave, run in a folder with an encoder and its held-out questions."""
    home = tmp_path_factory.mktemp("elsewhere")
    rows = open_table("world:labelled", "labelled", rows=400, seed=5).read()
    rows = rows.filter(pl.col("task") == "retrieval").unique("query", maintain_order=True)
    rows = rows.filter(pl.col("pos").list.first().is_unique()).select("query", "pos", "neg").head(60)
    tokens = train_pieces([*rows["query"], *rows["pos"].explode()], 800)
    save_encoder(new_encoder("nano", tokens), home / RUN / "encoder", INSTRUCTION)
    write_search(rows.head(20), rows, home / RUN / "evaluation/retrieval/held_out")
    names = {"__name__": "page"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for block in code_blocks(PAGE):
            exec(compile(block, PAGE.name, "exec"), names)
        yield SimpleNamespace(home=home, rows=rows, **names)


@pytest.fixture(scope="module")
def ours(made):
    """The library's own encoder, from the same folder."""
    return load_encoder(made.home / RUN / "encoder")


def test_sentence_transformers_gives_the_librarys_vectors(made, ours):
    np.testing.assert_allclose(made.stored, ours.encode(made.passages), atol=1e-5)
    np.testing.assert_allclose(made.asked, ours.encode([made.query], prompt=INSTRUCTION), atol=1e-5)


def test_mteb_gives_the_score_that_the_librarys_vectors_have(made, ours):
    queries = made.rows["query"].head(20).to_list()
    answers = made.rows["pos"].list.first().to_list()
    cosines = ours.encode(queries, prompt=INSTRUCTION) @ ours.encode(answers).T
    ranks = (cosines > np.diag(cosines)[:, None]).sum(axis=1) + 1
    by_hand = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0).mean()
    (result,) = made.found.task_results
    assert result.task_name == "held_out" and 0 < by_hand < 1
    assert result.get_score() == pytest.approx(by_hand, abs=1e-4)


def test_faiss_finds_what_the_cosines_say(made):
    cosines = (made.asked @ made.stored.T)[0]
    assert made.places[0].tolist() == np.argsort(-cosines)[:2].tolist()
    np.testing.assert_allclose(made.cosines[0], np.sort(cosines)[::-1][:2], atol=1e-6)


def test_onnx_gives_equal_vectors_of_any_texts(made, ours):
    onnx.checker.check_model(made.home / "runs/exported/encoder.onnx")
    np.testing.assert_allclose(made.by_onnx, made.asked, atol=1e-5)
    for texts in (ODD, ODD[:1], made.rows["query"].to_list()):
        by_onnx = made.embed("runs/exported/encoder.onnx", texts)
        np.testing.assert_allclose(by_onnx, ours.encode(texts), atol=1e-5)


def test_the_other_side_needs_no_pytorch(made):
    block = next(block for block in code_blocks(PAGE) if "def embed(" in block)
    said = "import sys\nprint(sorted({'torch', 'transformers', 'sentence_transformers'} & {*sys.modules}))\n"
    done = subprocess.run(
        [sys.executable, "-c", block + said], cwd=made.home, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_int8_weights_are_a_quarter_and_near(made):
    full, small = (made.home / f"runs/exported/{name}.onnx" for name in ("encoder", "int8"))
    assert small.stat().st_size < 0.3 * full.stat().st_size
    assert InferenceSession(small, providers=["CPUExecutionProvider"]).get_outputs()[0].name == "vectors"
    texts = made.rows["query"].to_list()
    cosines = (made.embed(str(full), texts) * made.embed(str(small), texts)).sum(axis=1)
    assert cosines.min() > 0.98 and cosines.min() < 1 - 1e-6


def test_int8_vectors_are_within_a_step_and_bits_are_signs(made):
    assert (np.abs(made.again - made.stored) <= made.steps + 1e-6).all()
    assert (made.bytes_of.nbytes, made.bits_of.nbytes) == (made.stored.nbytes / 4, made.stored.nbytes / 32)
    np.testing.assert_array_equal(np.unpackbits(made.bits_of, axis=1), made.stored > 0)
