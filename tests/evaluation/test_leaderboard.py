"""Promises of a submission: mteb's layout and a whole description of the model, public sets alone."""

import json

import mteb
import polars as pl
import pytest
from mteb.results import TaskResult
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.leaderboard import described, identity, submission
from cpack_lib.evaluation.scores.running import evaluate, result_path
from cpack_lib.evaluation.tasks.local import local_tasks
from cpack_lib.evaluation.tasks.suites import open_tasks

FACTS = {
    "name": "someone/tiny-zh",
    "revision": "0123456789abcdef0123456789abcdef01234567",
    "languages": ["cmn-Hans"],
    "license": "apache-2.0",
    "open_weights": True,
    "training_datasets": {"LCQMC"},
}


@pytest.fixture
def model(encoder):
    return open_models([str(encoder)])[0]


def keep(model, task, folder, splits=None):
    """A finished result of a public task, made up: the score of a split is a tenth of its name's length."""
    scores = {
        split: {
            task.hf_subsets[0]: {"main_score": len(split) / 10, task.metadata.main_score: len(split) / 10}
        }
        for split in splits or task.eval_splits
    }
    result = TaskResult.from_task_results(task, scores, evaluation_time=1.0)
    mteb.ResultCache(folder.parent).save_to_cache(result, described(model))
    result_path(model, task, folder).with_suffix(".fingerprint").touch()


def test_a_model_is_described_by_its_folder(model, encoder, data, tmp_path):
    evaluate([model], local_tasks(data)[2:3], tmp_path / "results")
    (path,) = (tmp_path / "results").rglob("model_meta.json")
    found, plain = json.loads(path.read_text("utf-8")), SentenceTransformer(str(encoder))
    assert found["n_parameters"] == sum(weight.numel() for weight in plain.parameters())
    assert found["n_embedding_parameters"] == 32 * len(plain.tokenizer)
    assert (found["embed_dim"], found["max_tokens"], found["use_instructions"]) == (32, 64, True)
    assert found["name"].startswith("local/") and found["revision"] == model.fingerprint
    assert found["similarity_fn_name"] == "cosine" and found["framework"] == [
        "Sentence Transformers",
        "PyTorch",
    ]


def test_half_precision_is_an_experiment(encoder):
    (half,) = open_models([str(encoder)], precision="bfloat16")
    assert identity(half).experiment_kwargs == {"precision": "bfloat16"}


def test_a_submission_is_read_by_mteb_and_holds_public_sets_alone(model, data, tmp_path):
    folder, place = tmp_path / "results", tmp_path / "out"
    evaluate([model], local_tasks(data)[2:3], folder)
    for task in [*open_tasks("cmteb-31:STSB,Ocnli,MultilingualSentiment"), *open_tasks("cmteb-35:LCQMC", 9)]:
        keep(model, task, folder)
    table = submission(folder, model, place, FACTS)
    assert dict(table.select("task", "why_not").rows()) == {
        "STSB": None,
        "Ocnli": None,
        "MultilingualSentiment": None,
        "near": "a set of one's own",
        "LCQMC.sample9": "a sample of a set",
    }
    made = place / "results/someone__tiny-zh" / FACTS["revision"]
    names = {"STSB.json", "Ocnli.json", "MultilingualSentiment.json", "model_meta.json", "run_settings.jsonl"}
    assert {path.name for path in made.iterdir()} == names
    lines = [json.loads(line) for line in (made / "run_settings.jsonl").read_text("utf-8").splitlines()]
    assert {line["task"] for line in lines} == {"STSB", "Ocnli", "MultilingualSentiment"}
    (loaded,) = mteb.ResultCache(place).load_results(models=["someone/tiny-zh"]).model_results
    scores = {result.task_name: result.get_score() for result in loaded.task_results}
    assert scores == pytest.approx({"STSB": 0.4, "Ocnli": 1.0, "MultilingualSentiment": 0.7})
    meta = mteb.ResultCache(place)._load_model_meta_from_cache("someone/tiny-zh", FACTS["revision"])
    assert meta.license == "apache-2.0" and meta.training_datasets == {"LCQMC"} and meta.embed_dim == 32


def test_what_is_not_whole_is_left_out(model, tmp_path):
    folder = tmp_path / "results"
    sentiment, stsb = open_tasks("cmteb-31:MultilingualSentiment,STSB")
    keep(model, sentiment, folder, splits=["validation"])
    keep(model, stsb, folder)
    result_path(model, stsb, folder).with_suffix(".fingerprint").unlink()
    table = submission(folder, model, tmp_path / "out", FACTS)
    assert table.rows() == [
        ("MultilingualSentiment", False, "the board scores the split test too: evaluate cmteb-31")
    ]


def test_data_of_another_revision_are_left_out(model, tmp_path):
    folder, (stsb,) = tmp_path / "results", open_tasks("cmteb-31:STSB")
    stsb.metadata.dataset["revision"] = "another"
    keep(model, stsb, folder)
    (why,) = submission(folder, model, tmp_path / "out", FACTS)["why_not"]
    assert why.startswith("its data are another, not the board's ")


def test_twelve_forums_make_mtebs_result_of_the_whole(model, tmp_path):
    folder = tmp_path / "results"
    for task in open_tasks("mteb-en-56:CQADupstackRetrieval"):
        keep(model, task, folder)
    assert submission(folder, model, tmp_path / "out", FACTS)["taken"].sum() == 12
    (whole,) = (tmp_path / "out").rglob("CQADupstackRetrieval.json")
    assert TaskResult.from_disk(whole).scores["test"][0]["main_score"] == pytest.approx(0.4)


def test_what_the_board_would_miss_is_asked_for(model, data, tmp_path):
    with pytest.raises(ValueError, match="holds no results of .*: evaluate it first"):
        submission(tmp_path / "results", model, tmp_path / "out", FACTS)
    evaluate([model], local_tasks(data)[2:3], tmp_path / "results")
    with pytest.raises(
        ValueError, match="the board asks for name, languages, license, open_weights, training_d"
    ):
        submission(tmp_path / "results", model, tmp_path / "out", {})
    with pytest.raises(ValueError, match="'licence' is no fact of a model: mteb knows adapted_from, "):
        submission(tmp_path / "results", model, tmp_path / "out", FACTS | {"licence": "mit"})
    assert pl.DataFrame(submission(tmp_path / "results", model, tmp_path / "out", FACTS))["taken"].sum() == 0
