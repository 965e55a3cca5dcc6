"""The embedded world to those who know no meaning: BM25 and TF-IDF over characters on its evaluation sets.

Three worlds of three seeds; figures are means over them, spread their extremes. Also rows made per second of
one core.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from cpack_lib.corpus import world
from cpack_lib.corpus.world.facts import all_domains, all_entities
from cpack_lib.evaluation.models.lexical import BM25, TfIdf
from cpack_lib.evaluation.scores.protocols import under
from cpack_lib.evaluation.scores.running import evaluate
from cpack_lib.evaluation.tasks.local import local_tasks
from cpack_lib.work.results import write_result

SEEDS = (0, 1, 2)
ROWS = 10_000  # of each table, for its speed
TABLES = ("pairs", "labelled", "documents")


def scores_of(seed: int) -> pl.DataFrame:
    """The main metric of both baselines on every set of a seed: seed, task, type, metric, model, score."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "evaluation"
        world.write_evaluation(place, seed)
        found = evaluate([BM25(), TfIdf()], local_tasks(place), Path(folder) / "results")
    main = under(found)
    return main.select(
        pl.lit(seed).alias("seed"), "task", "type", "metric", "model", pl.col("score").round(2)
    )


def speeds() -> Iterator[tuple[str, float]]:
    """The rows of each table per second of processor time, files and caches read before."""
    for kind in TABLES:
        next(world.tables(kind, rows=100))
        start = time.process_time()
        next(world.tables(kind, rows=ROWS, first=100))
        yield f"{kind}_rows_per_s", round(ROWS / (time.process_time() - start))


def summary(scores: pl.DataFrame) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Mean, and least and most, over the seeds: `task_metric_model` -> number(s)."""
    name = pl.concat_str(pl.col("task").str.strip_prefix("world_"), "metric", "model", separator="_")
    groups = scores.with_columns(name=name).group_by("name", maintain_order=True)
    table = groups.agg(
        mean=pl.col("score").mean().round(2), least=pl.col("score").min(), most=pl.col("score").max()
    )
    rows = table.rows(named=True)
    return {row["name"]: row["mean"] for row in rows}, {
        row["name"]: [row["least"], row["most"]] for row in rows
    }


def main() -> None:
    """Measure, print the table, write results/world_baselines.json."""
    scores = pl.concat(scores_of(seed) for seed in SEEDS)
    figures, spread = summary(scores)
    entities = all_entities()
    sizes = {
        "entities": len(entities),
        "domains": len(all_domains()),
        "facts": sum(len(entity.attributes) for entity in entities),
    }
    write_result(
        "world_baselines",
        what="Lexical baselines on the evaluation sets of the embedded world: main metrics times 100.",
        command="python benchmarks/world_baselines.py",
        figures=figures | sizes | dict(speeds()),
        spread=spread,
        rows=scores.to_dicts(),
    )


if __name__ == "__main__":
    main()
