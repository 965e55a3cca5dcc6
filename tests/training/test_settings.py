"""Settings: what does not fit fails before any work, in one sentence that names it."""

import json

import pytest

from cpack_lib.training.objectives import OBJECTIVES
from cpack_lib.training.settings import CHOICES, read_settings, weights


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"learning_rte": 1e-3}, "learning_rte is no setting"),
        ({"learning_rate": "2e-5"}, "learning_rate is '2e-5', but it has to be of type float"),
        ({"steps": 10.0}, "steps is 10.0, but it has to be of type int"),
        ({"steps": True}, "steps is True, but it has to be of type int"),
        ({"steps": 0}, "steps is 0; it has to be above 0"),
        ({"temperature": 0.0}, "temperature is 0.0; it has to be above 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf; it has to be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it has to be above 0"),
        ({"warmup_share": 1.5}, "warmup_share is 1.5; it has to be from 0 to 1"),
        ({"longest": 2}, "longest is 2; it has to be from 3"),
        ({"seed": -1}, "seed is -1"),
        ({"encoder_mask": 30}, "encoder_mask is 30; it has to be from 0 to 1"),
        ({"precision": "float16"}, "precision is 'float16'; choose one of float32, bfloat16"),
        ({"objective": "contrastive"}, "objective is 'contrastive'; choose one of bag, retromae, contrast"),
        ({"mixing": "blended"}, "mixing is 'blended'; choose one of mixed, one source"),
        ({"schedule": "constant"}, "schedule is 'constant'; choose one of linear, cosine"),
        ({"margin": 2.5}, "margin is 2.5; it has to be from 0 to 2"),
        ({"activations_gib": 0.0}, "activations_gib is 0.0; it has to be above 0"),
        ({"keep_checkpoints": 0}, "keep_checkpoints is 0; it has to be above 0"),
        ({"release": "best"}, "release is best, but no probe tells"),
        ({"release": "first"}, "release is 'first'; choose one of last, best"),
        ({"probe": "nowhere/probe"}, "probe is nowhere/probe, which does not exist"),
        ({"source_weights": ["诗"]}, "source_weights has '诗'; write SOURCE=WEIGHT"),
        ({"source_weights": ["诗=much"]}, "source_weights has '诗=much'; write SOURCE=WEIGHT"),
        ({"memory_gib": -1.0}, "memory_gib is -1.0; it has to be from 0"),
        ({"decoding": "other"}, "decoding is 'other'; choose one of enhanced, basic"),
        ({"guide": "nowhere/guide"}, "guide is nowhere/guide, which does not exist"),
        ({"start": "nowhere/encoder"}, "start is nowhere/encoder, which does not exist"),
        ({"data": "nowhere.parquet"}, "data is nowhere.parquet, which does not exist"),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence_with_the_file(settled, tmp_path, changes, said):
    with pytest.raises(ValueError) as caught:
        settled(**changes)
    message = str(caught.value)
    assert said in message and str(tmp_path / "config.json") in message and "\n" not in message


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"objective": "contrast", "steps": 3}))
    with pytest.raises(ValueError, match="start, data, rows_per_step, learning_rate is missing"):
        read_settings(tmp_path / "config.json")


def test_an_int_is_a_float(settled):
    assert settled(learning_rate=1).learning_rate == 1


def test_every_objective_can_be_chosen():
    assert CHOICES["objective"] == tuple(OBJECTIVES)


def test_weights_are_read_by_source(settled):
    assert weights(settled(source_weights=["诗=2", "a=b=0.5"]).source_weights, "here") == {
        "诗": 2,
        "a=b": 0.5,
    }
    assert weights([], "here") is None


@pytest.mark.parametrize("name, missing", [("tensorboard", "find_spec"), ("compiled", "shutil.which")])
def test_what_is_not_installed_is_missed_before_any_work(settled, monkeypatch, name, missing):
    monkeypatch.setattr(f"cpack_lib.training.settings.{missing}", lambda _: None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=f"{name} (is not installed|needs g)"):
        settled(**{name: True})
