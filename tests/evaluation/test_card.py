"""Promises of the model card: the hub's library reads it, and every number in it is that of the table."""

import json

import polars as pl
import pytest
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer

from cpack_lib.evaluation.models.names import open_models, weights
from cpack_lib.evaluation.scores.averages import averages
from cpack_lib.evaluation.scores.card import parameters, write_card
from cpack_lib.evaluation.scores.protocols import under
from cpack_lib.evaluation.scores.resampled import Resampled
from cpack_lib.evaluation.scores.running import evaluate
from cpack_lib.evaluation.tasks.local import local_tasks
from tests.evaluation.scored import scored

FACTS = {"language": ["zh"], "license": "apache-2.0", "limits": ["It was trained on a made-up world."]}


@pytest.fixture
def scores(data, encoder, tmp_path):
    found = evaluate(open_models([str(encoder)]), local_tasks(data), tmp_path / "results")
    return Resampled(found, tmp_path / "results", draws=100).intervals()


def test_the_hub_reads_the_numbers_of_the_table(scores, encoder):
    write_card(encoder, scores, name="someone/tiny-zh", facts=FACTS)
    card = ModelCard.load(encoder / "README.md")
    read = {
        (result.dataset_name, result.metric_type): (result.metric_value, result.metric_args)
        for result in card.data.eval_results
    }
    told = scores.filter(pl.col("protocol") != "")
    assert len(read) == len(told) == 7
    for row in told.iter_rows(named=True):
        value, args = read[f"{row['task']} ({row['subset']})", row["metric"]]
        assert value == pytest.approx(row["score"], abs=5.1e-4)
        assert (args["low"], args["high"]) == pytest.approx((row["low"], row["high"]), abs=5.1e-3)
    assert card.data.license == "apache-2.0" and card.data.model_name == "someone/tiny-zh"
    assert "limits" not in card.data.to_dict() and "mteb" in card.data.tags


def test_the_text_tells_averages_prompt_size_and_limits(scores, encoder):
    write_card(encoder, scores, name="someone/tiny-zh", facts=FACTS)
    text = ModelCard.load(encoder / "README.md").text
    means = averages(scores).row(0, named=True)
    assert f"| mean over datasets | 6 | {means['mean_over_datasets']:.2f} |" in text
    plain = SentenceTransformer(str(encoder))
    assert f"| parameters | {parameters(encoder):,} |" in text
    assert parameters(encoder) == sum(weight.numel() for weight in plain.parameters())
    assert "| longest text | 64 tokens |" in text and "| pooling | cls |" in text
    assert (
        f"- `query`: `{plain.prompts['query']}`" in text and 'SentenceTransformer("someone/tiny-zh")' in text
    )
    assert (
        "- It was trained on a made-up world." in text
        and "- 6 of the sets are not public benchmarks." in text
    )
    assert "cosine_ap" in text and "max_accuracy" not in text.partition("## Scores")[2]


def test_a_card_changes_neither_model_nor_fingerprint(scores, encoder):
    before = weights(encoder)
    write_card(encoder, scores, name="someone/tiny-zh", facts=FACTS)
    assert weights(encoder) == before
    write_card(encoder, scores, name="someone/tiny-zh", facts=FACTS, protocol="today")
    assert "best accuracy, which does not compare" in (encoder / "README.md").read_text("utf-8")


def test_public_sets_stand_under_their_repository_and_revision(encoder):
    write_card(encoder, scored("cmteb-35"), name="a/b", facts={})
    results = ModelCard.load(encoder / "README.md").data.eval_results
    by_name = {result.dataset_name: result for result in results}
    assert len(results) == 35 and by_name["STS22 (zh)"].dataset_type == "mteb/sts22-crosslingual-sts"
    stsb = by_name["STSB (default)"]
    assert (stsb.dataset_type, stsb.dataset_split, stsb.task_type) == (
        "mteb/STSB",
        "test",
        "sentence-similarity",
    )
    assert stsb.dataset_revision.startswith("e036defee8f1")
    text = (encoder / "README.md").read_text("utf-8")
    assert "| mean over cmteb 35 | 35 | 50.00 |" in text and "no average over it" not in text
    write_card(encoder, scored("cmteb-35:STS"), name="a/b", facts={})
    assert "8 of the 35 tasks of cmteb-35 were run" in (encoder / "README.md").read_text("utf-8")


def test_a_card_is_about_one_model_and_a_whole_folder(scores, encoder):
    two = pl.concat([scores, scores.with_columns(model=pl.lit("other"))])
    with pytest.raises(ValueError, match="a card is about one model"):
        write_card(encoder, two, name="a/b", facts={})
    (encoder / "modules.json").unlink()
    with pytest.raises(ValueError, match="modules.json is missing"):
        write_card(encoder, scores, name="a/b", facts={})


def test_scores_without_intervals_have_a_card_too(scores, encoder):
    write_card(encoder, scores.drop("low", "high", "spread"), name="a/b", facts={})
    results = ModelCard.load(encoder / "README.md").data.eval_results
    assert all(result.metric_args is None for result in results) and len(results) == 7
    settings = json.loads((encoder / "config.json").read_text("utf-8"))
    assert f"| width | {settings['hidden_size']} |" in (encoder / "README.md").read_text("utf-8")
    assert under(scores).height == 6
