"""A sweep's table as `cpack results` writes it, made up from a rule that says each score."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from cpack_lib.evaluation.scores.protocols import MAIN

TASKS = {"Retrieval": ("find", "seek"), "STS": ("near",), "PairClassification": ("same",)}
STAGE = "03_contrast_pairs"
NOTHING = dict.fromkeys(("minutes", "minutes_in_all", "pairs_seen"))  # what a baseline costs


def swept(
    places: Sequence[Mapping[str, Any]], seeds: Sequence[int], score: Callable[..., float]
) -> pl.DataFrame:
    """Rows of each place and seed: `score(place, seed, task)` of STAGE, a baseline of 10, two figures."""
    rows = []
    for place in places:
        for seed in seeds:
            at = {"point": f"{place},seed={seed}"} | dict(place) | {"seed": seed}
            for kind, tasks in TASKS.items():
                for task in tasks:
                    row = at | {"stage": STAGE, "task": task, "type": kind, "metric": MAIN[kind]}
                    row |= {"value": score(place, seed, task), "protocol": "paper+today", "split": "test"}
                    rows.append(row | {"minutes": 0.5, "minutes_in_all": 2.0, "pairs_seen": 512.0})
                    rows.append(row | {"stage": "tfidf", "value": 10.0} | NOTHING)
                    rows.append(row | {"metric": "beside", "value": -1.0, "protocol": ""})
            for metric, value in (("pairs", 100.0), ("seconds_per_step", 0.25)):
                rows.append(
                    at | {"stage": STAGE, "task": "", "type": "run", "metric": metric, "value": value}
                )
    table = pl.DataFrame(rows, infer_schema_length=None)
    first = ["point", *places[0], "seed", "stage", "task", "type", "metric", "value"]
    return table.select(*first, pl.exclude(first))
