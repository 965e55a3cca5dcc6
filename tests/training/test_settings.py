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
        ({"steps": -1}, "steps is -1; it has to be from 0"),
        ({"temperature": 0.0}, "temperature is 0.0; it has to be above 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf; it has to be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it has to be above 0"),
        ({"warmup_share": 1.5}, "warmup_share is 1.5; it has to be from 0 to 1"),
        ({"longest": 2}, "longest is 2; it has to be from 3"),
        ({"seed": -1}, "seed is -1"),
        ({"encoder_mask": 30}, "encoder_mask is 30; it has to be from 0 to 1"),
        ({"precision": "float16"}, "precision is 'float16'; choose one of float32, bfloat16"),
        ({"objective": "contrastive"}, "objective is 'contrastive'; choose one of bag, retromae, contrast"),
        ({"mixing": "blended"}, "mixing is 'blended'; choose one of mixed, one source, one task"),
        ({"sampled": "row"}, "sampled is 'row'; choose one of source, task"),
        ({"sampling_power": 1.5}, "sampling_power is 1.5; it has to be from 0 to 1"),
        (
            {"source_weights": ["诗=2"], "sampling_power": 0.5},
            "source_weights and sampling_power both tell shares",
        ),
        ({"group_size": -1}, "group_size is -1; it has to be from 0"),
        ({"distillation": 1.1}, "distillation is 1.1; it has to be from 0 to 1"),
        ({"teacher_temperature": 0.0}, "teacher_temperature is 0.0; it has to be above 0"),
        ({"distilled": "pair"}, "distilled is 'pair'; choose one of group, batch"),
        ({"distillation": 0.5, "distilled": "batch"}, "the column scores knows a query's own passages alone"),
        ({"teacher": "nowhere/teacher"}, "teacher is nowhere/teacher, which does not exist"),
        ({"teacher": "."}, "teacher is ., but distillation is 0; give it a share"),
        (
            {"teacher": ".", "distillation": 0.5, "objective": "bag"},
            "need an encoder, but the objective is bag",
        ),
        ({"watch": "nowhere.parquet"}, "watch is nowhere.parquet, which does not exist"),
        ({"watch_every": 5}, "watch_every is given, but watch names no held-out groups"),
        ({"watch_rows": 1}, "watch_rows is 1; it has to be from 2"),
        ({"widths": [64, "32=0"]}, "widths has '32=0'; write each width once, as 64 or"),
        ({"widths": [64, 64]}, "widths has 64; write each width once"),
        ({"widths": ["wide"]}, "widths has 'wide'; write each width once"),
        ({"widths": [True]}, "widths has True; write each width once"),
        ({"widths": [-8]}, "widths has -8; write each width once"),
        (
            {"widths": [64], "objective": "retromae"},
            "widths, group_size and in_batch_off are no part of retromae",
        ),
        ({"widths": [64], "objective": "bag", "width": 32}, "widths has 64, but a bag's embeddings have 32"),
        ({"instructed": "always"}, "instructed is 'always'; choose one of as written, searches, every task"),
        ({"language": "de"}, "language is 'de'; choose one of zh, en"),
        ({"mixing": "one task"}, "pairs.parquet has no column task, which is asked for"),
        ({"in_batch_off": ["sts"]}, "pairs.parquet has no column task, which is asked for"),
        ({"instructed": "searches"}, "pairs.parquet has no column task, which is asked for"),
        ({"distillation": 0.5}, "pairs.parquet has no column scores, which is asked for"),
        ({"schedule": "constant"}, "schedule is 'constant'; choose one of linear, cosine"),
        ({"margin": 2.5}, "margin is 2.5; it has to be from 0 to 2"),
        ({"activations_gib": 0.0}, "activations_gib is 0.0; it has to be above 0"),
        ({"keep_checkpoints": 0}, "keep_checkpoints is 0; it has to be above 0"),
        ({"release": "best"}, "release is best, but no probe tells"),
        ({"release": "best", "probe": ".", "steps": 0}, "release is best of 0 steps; take some"),
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


def test_a_watch_has_to_have_tasks(settled, pairs):
    with pytest.raises(ValueError, match="pairs.parquet has no column task, which is asked for"):
        settled(watch=str(pairs))


def test_widths_may_be_weighed(settled):
    assert settled(widths=[64, "32=0.5", "8"]).weighted_widths == {64: 1, 32: 0.5, 8: 1}
    assert settled().weighted_widths == {}


def test_a_file_of_settings_from_before_there_were_switches_is_valid(settled, tmp_path):
    given = json.loads((settled() and tmp_path / "config.json").read_text())
    assert not given.keys() & {"widths", "distillation", "instructed", "in_batch_off", "group_size", "watch"}
    settings = read_settings(tmp_path / "config.json")
    assert (settings.distillation, settings.group_size, settings.sampling_power) == (0, 0, 1)
    assert (settings.instructed, settings.sampled, settings.watch, settings.widths) == (
        "as written",
        "source",
        "",
        [],
    )


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
