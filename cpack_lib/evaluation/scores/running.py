"""Every model on every task; what is finished stays in a folder and is reused, and a failure stops no other.

The folder is mteb's own cache of results, CACHE/results, which mteb.ResultCache(CACHE) reads back:
<model>/<revision>/ holds <task>.json as mteb writes it, model_meta.json and run_settings.jsonl. Ours beside
them: <task>.items.parquet (what stands behind the score, item by item), <task>.found.parquet (ten passages
for each query of a search) and <task>.fingerprint, written last: without it a result is not believed.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mteb
import polars as pl
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.abstask import AbsTask
from mteb.results import TaskResult
from sklearn.exceptions import UndefinedMetricWarning

from cpack_lib.evaluation.models.adapter import Adapter
from cpack_lib.evaluation.scores.items import recorded
from cpack_lib.evaluation.scores.leaderboard import described, identity
from cpack_lib.evaluation.scores.protocols import SCHEMA, score_rows
from cpack_lib.evaluation.tasks.suites import PublicTask
from cpack_lib.work.files import write_json
from cpack_lib.work.progress import Progress

SETTINGS = (  # of a task, that its score depends on
    "eval_splits",
    "hf_subsets",
    "samples_per_label",
    "n_experiments",
    "k_values",
    "ignore_identical_ids",
    "seed",
)


@dataclass(frozen=True)
class Failure:
    """A model and a task that gave no result, and why."""

    model: str
    task: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.task} with {self.model}: {type(self.error).__name__}: {self.error}"


class Unfinished(RuntimeError):
    """Some tasks failed. `scores` is the table of the others, whose results are kept; `failures` says why."""

    def __init__(self, failures: list[Failure], scores: pl.DataFrame):
        self.failures, self.scores = failures, scores
        finished = scores.n_unique(["model", "task"])
        told = "\n".join(f"- {failure}" for failure in failures)
        super().__init__(
            f"{len(failures)} of {len(failures) + finished} evaluations failed; the other {finished} are "
            f"kept, and the next call goes on with what is missing:\n{told}"
        )


def evaluate(models: Sequence[Adapter], tasks: Sequence[AbsTask], folder: Path) -> pl.DataFrame:
    """Score every model on every task -> a table of scores (`protocols` says its columns), times 100.

    A model's weights and vectors are given back after its last task: one model at a time lies in memory. A
    task that fails is left out, and Unfinished tells of it after the last one.
    """
    rows, failures = [], []
    with Progress("evaluate", len(models) * len(tasks)) as progress:
        for number, model in enumerate(models):
            named = "/".join(model.name.split("/")[-2:])  # of a path its end
            for done, task in enumerate(tasks, number * len(tasks) + 1):
                try:
                    result = finished_result(model, task, folder) or run_task(model, task, folder)
                    place = result_path(model, task, folder).relative_to(folder).with_suffix("").as_posix()
                    rows += score_rows(model.name, task, result, data_fingerprint(task), place)
                except Exception as error:  # whatever it is, the other tasks need not suffer from it
                    failures.append(Failure(model.name, task.metadata.name, error))
                progress.show(done, model=named, task=task.metadata.name, failed=len(failures))
            model.release()
    scores = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    if failures:
        raise Unfinished(failures, scores) from failures[0].error
    return scores


def run_task(model: Adapter, task: AbsTask, folder: Path) -> TaskResult:
    """Run mteb's evaluation of one task, and keep its result; the fingerprint is written last."""
    path = result_path(model, task, folder)
    path.with_suffix(".fingerprint").unlink(missing_ok=True)
    task.load_data()
    model.prepare(task)
    with warnings.catch_warnings(), recorded(task) as record:
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # precision of a label never given: not ours
        found = mteb.evaluate(
            model,
            task,
            cache=None,
            co2_tracker=False,
            show_progress_bar=False,
            prediction_folder=record.folder,
        )
        result = found.task_results[0]
        items, best = record.items(result), record.found()
    cache_of(folder).save_to_cache(result, described(model))
    for name, table in (("items", items), ("found", best)):
        if table is not None:
            table.write_parquet(path.with_suffix(f".{name}.parquet"))
    write_json(path.with_suffix(".fingerprint"), fingerprint(model, task))
    return TaskResult.from_disk(path)  # six decimals, the same now and when it is read again


def finished_result(model: Adapter, task: AbsTask, folder: Path) -> TaskResult | None:
    """The kept result of this model and task, if weights, data, protocol and mteb are the same."""
    path = result_path(model, task, folder)
    mark = path.with_suffix(".fingerprint")
    if not mark.is_file() or json.loads(mark.read_text("utf-8")) != fingerprint(model, task):
        return None
    return TaskResult.from_disk(path)


def found_passages(model: Adapter, task: AbsTaskRetrieval, folder: Path) -> pl.DataFrame:
    """What a finished search found, ten per query -> (subset, split, qid, rank, pid, score, relevance)."""
    return pl.read_parquet(result_path(model, task, folder).with_suffix(".found.parquet"))


def fingerprint(model: Adapter, task: AbsTask) -> dict:
    """What a score depends on."""
    settings = {name: getattr(task, name) for name in SETTINGS if hasattr(task, name)}
    names = {"model": model.name, "weights": model.fingerprint, "task": task.metadata.name}
    content = {"data": data_fingerprint(task), "settings": settings, "mteb": mteb.__version__}
    return json.loads(json.dumps(names | content))


def data_fingerprint(task: AbsTask) -> str:
    """What stands for the data of a task: their hash, or the revision they are pinned to."""
    return task.data_fingerprint if isinstance(task, PublicTask) else task.metadata.revision


def result_path(model: Adapter, task: AbsTask, folder: Path) -> Path:
    """FOLDER/<model>/<revision>/<task>.json, as mteb has it."""
    return cache_of(folder).get_task_result_path(task.metadata.name, identity(model))


def cache_of(folder: Path) -> mteb.ResultCache:
    """mteb's cache that a folder named results belongs to."""
    if folder.name != "results":
        raise ValueError(f"{folder} is to hold results that mteb reads: name it {folder / 'results'}")
    return mteb.ResultCache(folder.parent)
