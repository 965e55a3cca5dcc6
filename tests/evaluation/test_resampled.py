"""Promises of the tables: intervals around mteb's own scores, paired differences, means over tasks."""

import numpy as np
import polars as pl
import pytest

from cpack_lib.evaluation.models.names import open_models
from cpack_lib.evaluation.scores.averages import averages
from cpack_lib.evaluation.scores.intervals import holm
from cpack_lib.evaluation.scores.protocols import under
from cpack_lib.evaluation.scores.resampled import Resampled
from cpack_lib.evaluation.scores.running import evaluate
from cpack_lib.evaluation.tasks.local import local_tasks


@pytest.fixture
def made(data, tmp_path):
    """The scores of two lexical models on all six types, and their folder; labels from one text each."""
    tasks = local_tasks(data)
    tasks[4].samples_per_label = 1
    return evaluate(open_models(["tfidf", "bm25"]), tasks, tmp_path / "results"), tmp_path / "results"


def test_every_score_lies_in_its_interval(made):
    scores, folder = made
    found = Resampled(scores, folder, draws=400).intervals()
    assert found.drop("low", "high", "spread").equals(scores)
    assert found.select(pl.col("low") <= pl.col("score"), pl.col("score") <= pl.col("high")).select(
        pl.all().all()
    ).row(0) == (True, True)
    wide = found.filter(pl.col("high") - pl.col("low") > 1)["type"].unique()
    assert set(wide) >= {"Retrieval", "STS", "Classification", "Reranking"}


def test_an_interval_is_the_bootstrap_of_the_items(made):
    scores, folder = made
    row = under(scores).filter((pl.col("task") == "order") & (pl.col("model") == "bm25"))
    found = Resampled(row, folder, draws=2000).intervals().row(0, named=True)
    values = pl.read_parquet(folder / f"{row['result'][0]}.items.parquet")["map_at_1000"].to_numpy()
    draw = np.random.default_rng(0)
    means = [100 * draw.choice(values, len(values)).mean() for _ in range(2000)]
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=1.0)


def test_spread_is_over_the_draws_of_training_texts_and_over_bags(made):
    scores, folder = made
    found = Resampled(scores, folder, draws=50).intervals().filter(pl.col("model") == "tfidf")
    assert set(found.filter(pl.col("spread").is_not_null())["type"]) == {"Classification", "Clustering"}
    kind = found.row(by_predicate=pl.col("task") == "kind", named=True)
    right = pl.read_parquet(folder / f"{kind['result']}.items.parquet")["accuracy"].to_numpy()
    assert kind["spread"] == pytest.approx(100 * right.mean(axis=0).std(ddof=1)) and kind["spread"] > 0


def test_averages_have_the_same_values_and_narrower_intervals(made):
    scores, folder = made
    resampled = Resampled(scores, folder, draws=400)
    for protocol in ("paper", "today"):
        found, plain = resampled.averages(protocol), averages(scores, protocol)
        for model, name, score in found.select("model", "average", "score").rows():
            assert score == pytest.approx(plain.row(by_predicate=pl.col("model") == model, named=True)[name])
        assert (
            found.select((pl.col("low") <= pl.col("score")) & (pl.col("score") <= pl.col("high")))
            .to_series()
            .all()
        )
    widths = {name: high - low for name, low, high in found.select("average", "low", "high").rows()}
    assert widths["mean_over_datasets"] < max(widths["STS"], widths["PairClassification"])


def test_differences_are_those_of_the_scores_with_corrected_p(made):
    scores, folder = made
    found = Resampled(scores, folder, draws=400).differences(than="bm25")
    plain = under(scores).pivot("model", index="task", values="score")
    apart = dict(plain.select("task", pl.col("tfidf") - pl.col("bm25")).rows())
    tasks = found.filter(pl.col("task").is_not_null())
    assert dict(tasks.select("task", "difference").rows()) == pytest.approx(apart, abs=2e-3)  # mteb rounds
    assert tasks["p_holm"].to_list() == pytest.approx(holm(tasks["p"]).tolist())
    whole = found.filter(pl.col("task").is_null())
    assert whole["difference"].to_list() == pytest.approx([np.mean(list(apart.values()))], abs=2e-3)
    assert whole["model"].to_list() == ["tfidf"] and whole["p_holm"][0] is None


def test_two_bags_prove_nothing(made):
    scores, folder = made
    for path in folder.rglob("group.items.parquet"):  # values that would not survive mteb's rounding
        values = [1 / 3, 1 / 7] if "bm25" in str(path) else [2 / 3, 3 / 7]
        pl.read_parquet(path).with_columns(v_measure=pl.Series(values)).write_parquet(path)
    found = Resampled(scores, folder, draws=400).differences(than="bm25")
    group = found.row(by_predicate=pl.col("task") == "group", named=True)
    assert group["difference"] > 1 and group["p"] > 0.4  # of four exchanges, two are as large


def test_a_model_does_not_differ_from_itself(made):
    scores, folder = made
    twin = scores.filter(pl.col("model") == "tfidf").with_columns(model=pl.lit("twin"))
    found = Resampled(pl.concat([scores, twin]), folder, draws=100).differences(than="tfidf", models=["twin"])
    assert len(found) == 7
    assert found.select("difference", "low", "high").unique().rows() == [(0, 0, 0)] and set(found["p"]) == {
        1.0
    }


def test_results_on_other_data_are_not_compared_item_by_item(made, data):
    scores, folder = made
    changed = scores.with_columns(
        data=pl.when((pl.col("task") == "near") & (pl.col("model") == "bm25"))
        .then(pl.lit("x"))
        .otherwise("data")
    )
    with pytest.raises(ValueError, match="near was not scored on the same items for tfidf and bm25"):
        Resampled(changed, folder, draws=20).differences(than="bm25")
    with pytest.raises(ValueError, match="bm52 has no scores here: compare with one of tfidf, bm25"):
        Resampled(scores, folder).differences(than="bm52")


def test_scores_whose_items_are_gone_have_no_interval(made):
    scores, folder = made
    for path in folder.rglob("near.items.parquet"):
        path.unlink()
    resampled = Resampled(scores, folder, draws=50)
    lost = resampled.intervals().filter(pl.col("low").is_null())
    assert lost["task"].unique().to_list() == ["near"]
    means = resampled.averages().filter(pl.col("low").is_null())["average"].unique()
    assert set(means) == {"STS", "mean_over_datasets", "mean_over_task_types"}
    assert "near" not in resampled.differences(than="bm25")["task"]
