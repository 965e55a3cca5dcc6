"""Promises of open_models(): what a name stands for, and one sentence for a name that stands for nothing."""

import shutil

import numpy as np
import pytest

from cpack_lib.evaluation.models.adapter import TEXT
from cpack_lib.evaluation.models.names import open_models
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
