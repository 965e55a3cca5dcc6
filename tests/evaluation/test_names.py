"""Promises of open_models(): what a name stands for, and one sentence for a name that stands for nothing."""

import json
import shutil

import huggingface_hub.constants
import numpy as np
import pytest

from cpack_lib.evaluation.models import names as names_module
from cpack_lib.evaluation.models.adapter import TEXT
from cpack_lib.evaluation.models.names import downloaded, open_models, weights
from cpack_lib.work.runs import open_run


def test_a_run_stands_for_its_encoder(runs, encoder):
    run = open_run("03_contrast_pairs", "demo", {})
    shutil.copytree(encoder, run.folder / "encoder")
    run.finish(loss=1.0)
    ours, folder = open_models(["demo/03_contrast_pairs", str(encoder)])
    assert ours.fingerprint == folder.fingerprint
    np.testing.assert_array_equal(ours.vectors(["薄荷"], TEXT), folder.vectors(["薄荷"], TEXT))


def test_random_weights_take_the_tokenizer_of_another_model_and_are_the_same_each_time(runs, encoder):
    first, again = (open_models([str(encoder), "random:nano"])[1] for _ in range(2))
    assert first.fingerprint == again.fingerprint
    np.testing.assert_array_equal(first.vectors(["薄荷", "铜"], TEXT), again.vectors(["薄荷", "铜"], TEXT))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["random:nano"], "random:nano needs a tokenizer: list a trained encoder beside it"),
        (["bm25", "bm25"], "bm25 is listed twice"),
        (["demo/03_contrast_pairs"], "is no run in .*: check the name"),
    ],
)
def test_a_name_that_stands_for_nothing_gives_one_sentence(runs, names, sentence):
    with pytest.raises(ValueError, match=sentence):
        open_models(names)


def test_an_unknown_size_and_an_unfinished_run_are_named(runs, encoder):
    with pytest.raises(ValueError, match="'random:huge' names no size: write random: and one of nano"):
        open_models([str(encoder), "random:huge"])
    open_run("03_contrast_pairs", "demo", {})
    with pytest.raises(ValueError, match="demo/03_contrast_pairs is not finished"):
        open_models(["demo/03_contrast_pairs"])


def test_a_folder_without_modules_is_refused_because_its_pooling_would_be_a_guess(tmp_path, encoder):
    (encoder / "modules.json").unlink()
    with pytest.raises(ValueError, match="holds no modules.json"):
        open_models([str(encoder)])


@pytest.fixture
def hub(tmp_path, encoder, monkeypatch):
    """A local cache of the hub with one model: its branch main, and an older commit under the tag v1."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    repository = cache / "models--someone--encoder"
    for reference, commit in (("main", "a" * 40), ("v1", "b" * 40)):
        shutil.copytree(encoder, repository / "snapshots" / commit)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / reference).write_text(commit)
    parts = repository / "snapshots" / ("b" * 40) / "modules.json"
    parts.write_text(json.dumps(json.loads(parts.read_text("utf-8"))[:2]), "utf-8")  # not of length one
    return repository


def test_a_hub_id_stands_for_its_main_branch_or_for_the_revision_behind_an_at(hub, encoder):
    now, older, by_commit = open_models(
        ["someone/encoder", "someone/encoder@v1", f"someone/encoder@{'b' * 40}"]
    )
    assert now.fingerprint == weights(encoder) != older.fingerprint == by_commit.fingerprint
    assert [model.mteb_model_meta.name for model in (now, older)] == ["someone/encoder"] * 2
    assert [model.mteb_model_meta.revision for model in (now, older)] == ["a" * 40, "b" * 40]
    assert older.name == "someone/encoder@v1"
    assert not np.allclose(
        now.vectors(["薄荷常见于南方的集市"], TEXT), older.vectors(["薄荷常见于南方的集市"], TEXT)
    )
    with pytest.raises(
        ValueError, match="'someone/encoder@v2' is no run .* the hub has none .*: check the name"
    ):
        open_models(["someone/encoder@v2"])


def test_older_weights_are_asked_for_only_where_there_are_no_safetensors(hub, monkeypatch):
    asked, take = [], names_module.snapshot_download

    def watch(*given, **options):
        asked.append(options["allow_patterns"])
        assert "onnx/*" in options["ignore_patterns"]
        return take(*given, **options)

    monkeypatch.setattr(names_module, "snapshot_download", watch)
    folder = downloaded("someone/encoder")
    assert len(asked) == 1 and "*.bin" not in asked[0]
    for file in folder.rglob("*.safetensors"):
        file.rename(file.with_name("pytorch_model.bin"))
    assert downloaded("someone/encoder") == folder
    assert len(asked) == 3 and "*.bin" in asked[2]


def test_weights_are_known_by_content_and_not_by_cards_or_copies_for_other_engines(encoder):
    before = weights(encoder)
    (encoder / "README.md").write_text("a card")
    (encoder / "onnx").mkdir()
    (encoder / "onnx/model.onnx").write_text("the same weights")
    assert weights(encoder) == before
    config = encoder / "config_sentence_transformers.json"
    config.write_text(
        config.read_text("utf-8").replace("检索", "查找").replace("\\u68c0", "\\u67e5"), "utf-8"
    )
    assert weights(encoder) != before


def test_ways_of_embedding_reach_every_encoder_and_no_baseline(runs, encoder, tmp_path):
    found = open_models(
        [str(encoder), "random:nano", "bm25"], precision="bfloat16", workers="1", vectors=tmp_path
    )
    assert [getattr(model, "precision", None) for model in found] == ["bfloat16", "bfloat16", None]
    assert [getattr(model, "folder", None) for model in found] == [tmp_path, tmp_path, None]
