"""Every model on every task, in C-MTEB's main metrics; what is finished stays in a folder and is reused.

A result is mteb's own JSON in mteb's own layout, FOLDER/<model>/<revision>/<task>.json. Beside it stands
<task>.fingerprint (hashes of data and weights, the protocol), because mteb itself goes by names; and for
searches <task>.parquet: the ten passages found for each query.
"""

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import mteb
import polars as pl
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.abstask import AbsTask
from mteb.results import TaskResult
from sklearn.exceptions import UndefinedMetricWarning

from cpack_lib.evaluation.models.adapter import Adapter
from cpack_lib.evaluation.scores.retrieved import ranked
from cpack_lib.work.files import write_json
from cpack_lib.work.progress import Progress

MAIN = {  # C-MTEB's column per type, under mteb's name for it
    "Retrieval": "ndcg_at_10",
    "Reranking": "map_at_1000",
    "STS": "cosine_spearman",
    "PairClassification": "cosine_ap",
    "Classification": "accuracy",
    "Clustering": "v_measure",
}
BESIDE = {"PairClassification": ("max_accuracy",), "Retrieval": ("recall_at_10",)}
PROTOCOL = ("samples_per_label", "n_experiments", "k_values", "ignore_identical_ids", "seed")
SCHEMA = {"model": pl.String, "task": pl.String, "type": pl.String, "metric": pl.String, "score": pl.Float64}


def evaluate(models: Sequence[Adapter], tasks: Sequence[AbsTask], folder: Path) -> pl.DataFrame:
    """Score every model on every task -> (model, task, type, metric, score), scores times 100.

    A model's weights and vectors are given back after its last task: one model at a time lies in memory.
    """
    rows = []
    with Progress("evaluate", len(models) * len(tasks)) as progress:
        for number, model in enumerate(models):
            for done, task in enumerate(tasks, number * len(tasks) + 1):
                result = finished_result(model, task, folder) or run_task(model, task, folder)
                rows += score_rows(model, task, result)
                progress.show(done, model=model.name, task=task.metadata.name)
            model.release()
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def run_task(model: Adapter, task: AbsTask, folder: Path) -> TaskResult:
    """Run mteb's evaluation of one task, and keep its result; the fingerprint is written last."""
    path = result_path(model, task, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".fingerprint").unlink(missing_ok=True)
    task.load_data()
    model.prepare(task)
    with warnings.catch_warnings():  # precision of a label that was never given: not our score
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        found = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    result = found.task_results[0]
    result.to_disk(path)
    if isinstance(task, AbsTaskRetrieval):
        ranked(model.found, task).write_parquet(path.with_suffix(".parquet"))
    write_json(path.parent / "model_meta.json", model.mteb_model_meta.to_dict())
    write_json(path.with_suffix(".fingerprint"), fingerprint(model, task))
    return result


def finished_result(model: Adapter, task: AbsTask, folder: Path) -> TaskResult | None:
    """The kept result of this model and task, if weights, data, protocol and mteb are the same."""
    path = result_path(model, task, folder)
    mark = path.with_suffix(".fingerprint")
    if not mark.is_file() or json.loads(mark.read_text("utf-8")) != fingerprint(model, task):
        return None
    return TaskResult.from_disk(path)


def found_passages(model: Adapter, task: AbsTaskRetrieval, folder: Path) -> pl.DataFrame:
    """What a finished evaluation found -> (qid, rank, pid, score, relevance), ten per query."""
    return pl.read_parquet(result_path(model, task, folder).with_suffix(".parquet"))


def fingerprint(model: Adapter, task: AbsTask) -> dict:
    """What a score depends on."""
    protocol = {name: getattr(task, name) for name in PROTOCOL if hasattr(task, name)}
    names = {"model": model.name, "weights": model.fingerprint, "task": task.metadata.name}
    content = {"data": task.metadata.revision, "protocol": protocol, "mteb": mteb.__version__}
    return json.loads(json.dumps(names | content))


def result_path(model: Adapter, task: AbsTask, folder: Path) -> Path:
    """FOLDER/<model>/<revision>/<task>.json."""
    name = re.sub(r"[^\w.-]+", "__", model.name).strip("_")
    return folder / name / model.fingerprint / f"{task.metadata.name}.json"


def score_rows(model: Adapter, task: AbsTask, result: TaskResult) -> list[tuple]:
    """The rows of one result: the main metric, then those kept beside it; a mean over the task's subsets."""
    kind = task.metadata.type
    subsets = [scores for split in result.scores.values() for scores in split]
    return [
        (model.name, task.metadata.name, kind, metric, 100 * sum(s[metric] for s in subsets) / len(subsets))
        for metric in (MAIN[kind], *BESIDE.get(kind, ()))
    ]


def averages(scores: pl.DataFrame) -> pl.DataFrame:
    """Per model `mean_over_datasets`, `mean_over_task_types` and the mean of each type, in one row.

    The first weighs types by their number of datasets, as the paper's "Average" does; the second weighs them
    equally. Models that were not scored on the same tasks are an error, because their means do not compare.
    """
    main = scores.filter(pl.col("metric") == pl.col("type").replace_strict(MAIN))
    tasks = main.group_by("model", maintain_order=True).agg(pl.col("task").sort())
    for model, names in tasks.iter_rows():
        if names != tasks["task"][0].to_list():
            raise ValueError(
                f"{model} was not scored on the same tasks as {tasks['model'][0]}: evaluate all models "
                "on all tasks before comparing their averages"
            )
    types = main.pivot("type", index="model", values="score", aggregate_function="mean", maintain_order=True)
    kinds = [kind for kind in MAIN if kind in types.columns]
    overall = main.group_by("model", maintain_order=True).agg(mean_over_datasets=pl.col("score").mean())
    by_type = types.select("model", pl.mean_horizontal(kinds).alias("mean_over_task_types"), *kinds)
    return overall.join(by_type, on="model", maintain_order="left")
