"""What chance adds to a score: other draws of training texts, other first centres of k-means.

mteb runs both from one seed. An interval holds the ten draws of a classification, but of k-means only the
bags.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import polars as pl
from mteb.abstasks import AbsTaskClusteringLegacy
from mteb.abstasks.abstask import AbsTask

from cpack_lib.evaluation.models.adapter import Adapter
from cpack_lib.evaluation.scores.protocols import PAPER, under
from cpack_lib.evaluation.scores.running import evaluate

CHANCE = ("Classification", "Clustering")  # types whose evaluators draw


def over_seeds(
    models: Sequence[Adapter],
    tasks: Sequence[AbsTask],
    folder: Path,
    seeds: Sequence[int],
    protocol: str = PAPER,
) -> pl.DataFrame:
    """Score the classifications and clusterings among the tasks from several seeds.

    -> (model, task, type, metric, seed, score). `folder` is that of `evaluate`; the results of a seed are
    kept beside it, in seed<seed>/results. Texts are embedded once if the models keep vectors in a folder.
    """
    drawing = [task for task in tasks if task.metadata.type in CHANCE]
    if not drawing:
        raise ValueError(f"none of the {len(tasks)} tasks has a seed: give some of {' or '.join(CHANCE)}")
    tables = []
    for seed in seeds:
        with seeded(drawing, seed):
            scores = evaluate(models, drawing, folder.parent / f"seed{seed}" / folder.name)
        columns = ("model", "task", "type", "metric", pl.lit(seed).alias("seed"), "score")
        tables.append(under(scores, protocol).select(columns))
    return pl.concat(tables)


@contextmanager
def seeded(tasks: Sequence[AbsTask], seed: int) -> Iterator[None]:
    """Tasks whose evaluators start from another seed, for a while."""
    before = [task.seed for task in tasks]
    clusterings = [task for task in tasks if isinstance(task, AbsTaskClusteringLegacy)]
    for task in tasks:
        task.seed = seed
    for task in clusterings:
        task.evaluator = partial(type(task).evaluator, seed=seed)
    try:
        yield
    finally:
        for task, own in zip(tasks, before, strict=True):
            task.seed = own
        for task in clusterings:
            del task.evaluator
