"""The paper's own ablations, shaped as a sweep's scores: (place, type, score), MEAN over types.

All are of 1,024 numbers, 100 million pairs and C-MTEB's 35 sets (docs/paper.md 2.4), but for the sizes, which
are the released models' (2.1). So they compare with a sweep here in their direction, never in their level.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cpack_lib.evaluation.ablations.tables import MEAN
from cpack_lib.evaluation.scores.protocols import MAIN
from cpack_lib.evaluation.scores.reported import reported_scores

BATCHES = {
    "BGE-pretrain, batch of 256": 256,
    "BGE-pretrain, batch of 2,048": 2_048,
    "BGE-pretrain, batch of 19,200": 19_200,
}
STAGES = {
    "BGE-pretrain without RetroMAE": "contrast",
    "BGE-pretrain": "pretrain+contrast",
    "BGE-finetune": "pretrain+contrast+instruct",
}
MODELS = {"BGE-small": "small", "BGE-base": "base", "BGE-large": "large"}


def chosen(table: str, column: str, places: Mapping[str, Any]) -> pl.DataFrame:
    """Some rows of one of the paper's tables -> (column, type, score)."""
    rows = reported_scores().filter(
        pl.col("source").str.ends_with(table), pl.col("model").is_in(list(places))
    )
    kinds = [kind for kind in MAIN if kind in rows.columns]
    rows = rows.rename({"over_types": MEAN}).with_columns(
        pl.col("model").replace_strict(places).alias(column)
    )
    return rows.unpivot([*kinds, MEAN], index=column, variable_name="type", value_name="score")


def published_batches() -> pl.DataFrame:
    """Table 4 -> (rows_per_step, type, score)."""
    return chosen("table 4", "rows_per_step", BATCHES)


def published_stages() -> pl.DataFrame:
    """Table 3 -> (stages, type, score): three of the eight subsets; all have begun with a public BERT."""
    return chosen("table 3", "stages", STAGES)


def published_sizes() -> pl.DataFrame:
    """Table 2 -> (size, type, score)."""
    return chosen("table 2", "size", MODELS)
