"""The one door to what models are evaluated on: public benchmarks through mteb, a folder, the embedded world.

cmteb-35    C-MTEB as the paper scored it (docs/paper.md 1.1): 31 sets and AmazonReviews, MassiveIntent,
            MassiveScenario and STS22 in Chinese; one split each, MultilingualSentiment on validation
cmteb-31    as on mteb's board today: without those four, MultilingualSentiment on validation and test
cmteb-mini  64 queries, pairs or texts of each of the 35: minutes for a small encoder on 2 cores, and no score
            of it is C-MTEB's
mteb-en-56  English MTEB as on mteb's board MTEB(eng, v1)

A colon and task types or tasks behind a name choose from it: cmteb-35:Retrieval, cmteb-31:STSB,T2Retrieval.
mteb's own classes load, embed and score; each is told here which data at which revision it is about.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mteb
from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from huggingface_hub.utils import httpx
from mteb.abstasks import AbsTaskClassification
from mteb.abstasks.abstask import AbsTask

from cpack_lib.corpus.read.evaluation_sets import (
    SUITES,
    EvaluationSet,
    check_copy,
    content,
    data_of,
    evaluation_sets,
    sets_folder,
)
from cpack_lib.evaluation.tasks.layout import evaluation_folder, is_of_a_run
from cpack_lib.evaluation.tasks.local import Columns, local_tasks
from cpack_lib.evaluation.tasks.sampling import RULE, drawn

MINI = "cmteb-mini"
MINI_ROWS = 64


def open_tasks(name: str, rows: int | None = None, made: Path | None = None, seed: int = 0) -> list[AbsTask]:
    """The tasks behind a name; with `rows`, a sample of each whose name ends in `.sample<rows>`.

    "world:evaluation" is written to `made` from `seed`; "folder:PATH" is taken as it is, and so is what the
    run RUN/NOTEBOOK wrote. "mteb-en-56" gives 67 tasks, because CQADupstackRetrieval comes as its twelve
    forums (`averages` makes one score of them).
    """
    supply = name.partition(":")[0]
    if rows is not None and rows < 1:
        raise ValueError(f"a sample of {rows} rows cannot be scored: say how many, or None for all")
    if is_suite(name):
        rows = rows or (MINI_ROWS if supply == MINI else None)
        return [class_of(one.task)(one, rows) for one in evaluation_sets(name)]
    if supply == "world" and made is None:
        raise ValueError(f"{name} has to be written before it is read: say made=FOLDER")
    if supply in ("world", "folder") or is_of_a_run(name):
        return list(local_tasks(evaluation_folder(name, made, seed), rows))
    told = "; ".join(f"{known} ({meaning})" for known, meaning in SUITES.items())
    raise ValueError(
        f"{name!r} names nothing to evaluate on: write {told}; folder:PATH for sets of your own, "
        "RUN/NOTEBOOK for those that a run wrote, or world:evaluation; behind a suite a colon and "
        "task types or tasks choose from it"
    )


def is_suite(name: str) -> bool:
    """Whether a name chooses from a public benchmark, whose data are pinned."""
    return name.partition(":")[0] in SUITES


def chosen_tasks(tasks: Sequence[AbsTask], names: Sequence[str]) -> list[AbsTask]:
    """The tasks that some types or names choose, in their own order; all of them where there are no names."""
    for name in names:
        if not any(name in names_of(task) for task in tasks):
            known = dict.fromkeys(told for task in tasks for told in names_of(task))
            raise ValueError(f"{name!r} chooses no task here: write some of {', '.join(known)}")
    return [task for task in tasks if not names or names_of(task) & set(names)]


def names_of(task: AbsTask) -> set[str]:
    """What chooses a task: its type, and its name without the mark of a sample."""
    return {task.metadata.type, task.metadata.name.partition(".sample")[0]}


class PublicTask(AbsTask):
    """What stands before mteb's class of a task: the data's place and revision, a sample, plain errors."""

    def __init__(self, chosen: EvaluationSet, rows: int | None):
        super().__init__()
        self.chosen, self.rows = chosen, rows
        name = self.metadata.name + (f".sample{rows}" if rows else "")
        change = {"name": name, "dataset": data_of(chosen)}
        self.metadata = self.metadata.model_copy(update=change)  # mteb keeps one for all objects of the class
        self.filter_eval_splits(list(chosen.splits))
        self.filter_languages(None, hf_subsets=[chosen.subset] if chosen.subset else None)

    @property
    def data_fingerprint(self) -> str:
        """What a score depends on: the revision, or the bytes of the copy, and the rule of the sample."""
        data = content(self.chosen) if self.chosen.is_fetched else self.chosen.revision
        return f"{data}.sample{self.rows}.{RULE}" if self.rows else data

    def load_data(self, num_proc: int | None = None, *, timer: object = None, **kwargs: object) -> None:
        """mteb's loading, from the copy if there is one, then the sample; mteb's signature."""
        if self.data_loaded:
            return
        self.metadata.dataset.update(data_of(self.chosen))  # a copy may have come or gone
        with without_bars():
            if self.chosen.is_fetched:
                check_copy(self.chosen)
                super().load_data(num_proc, timer=timer, **kwargs)
            else:
                self.load_from_hub(num_proc, timer=timer, **kwargs)
        if self.rows:
            self.dataset = drawn(self, self.rows)
        if isinstance(self, AbsTaskClassification):
            self.dataset = as_columns(self.dataset)

    def load_from_hub(self, num_proc: int | None, **kwargs: object) -> None:
        """mteb's loading; one sentence where the hub does not give the data."""
        try:
            super().load_data(num_proc, **kwargs)
        except (OSError, ValueError, httpx.HTTPError) as error:
            raise ValueError(
                f"{self.chosen.task} needs {self.chosen.address}, which is not in {sets_folder()} and did "
                f"not come from the hub ({type(error).__name__}): run `cpack fetch {self.chosen.task}` where "
                "there is a network, or set CPACK_EVALUATION to the folder that holds it"
            ) from error

    def unload_data(self) -> None:
        """Forget the tables; mteb's own would forget the metadata as well, which here is the object's."""
        self.dataset, self.data_loaded = None, False

    def check_if_dataset_is_superseded(self) -> None:
        """Nothing: mteb would recommend a newer set, and a benchmark keeps those it has."""


@functools.cache
def class_of(task: str) -> type[PublicTask]:
    """mteb's class of a task, with PublicTask in front."""
    official = type(mteb.get_task(task))
    return type(official.__name__, (PublicTask, official), {})


@contextmanager
def without_bars() -> Iterator[None]:
    """No progress bars of `datasets`, which are done before they are read; a download keeps its own."""
    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


def as_columns(data: dict) -> dict:
    """Every table of a classification set as plain lists, which mteb reads row by row ten times over."""
    return {
        name: Columns(inner.to_dict()) if hasattr(inner, "to_dict") else as_columns(inner)
        for name, inner in data.items()
    }
