"""Tables that say how sure a score is: intervals, differences to another model, means over tasks.

Every model meets the same draws of a task's items, and tasks are drawn independently. So an interval holds
what other queries, pairs, texts or bags of the same kind would have changed: not other topics, and not
another seed of the training.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from cpack_lib.evaluation.scores.averages import check_tasks, mean, named_averages
from cpack_lib.evaluation.scores.intervals import DRAWS, Sample, generator, holm, interval, tail
from cpack_lib.evaluation.scores.items import samples
from cpack_lib.evaluation.scores.protocols import PAPER, under

Cells = dict[tuple[str, str], Sample]
AVERAGES = {
    "model": pl.String,
    "average": pl.String,
    "tasks": pl.Int64,
    "score": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}
DIFFERENCES = {
    "model": pl.String,
    "task": pl.String,
    "type": pl.String,
    "metric": pl.String,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p": pl.Float64,
    "p_holm": pl.Float64,
}


class Resampled:
    """The items behind a table of scores, drawn anew `draws` times. `folder` is that of `evaluate`."""

    def __init__(
        self, scores: pl.DataFrame, folder: Path, draws: int = DRAWS, level: float = 0.95, seed: int = 0
    ):
        self.scores, self.folder = scores, folder
        self.draws, self.level, self.seed = draws, level, seed
        self.kept: dict[tuple[str, str], np.ndarray] = {}

    def cells(self, row: dict) -> Cells | None:
        """A score's samples, one per subset and split; None where its type of task has no items."""
        path = self.folder / f"{row['result']}.items.parquet"
        found = samples(pl.read_parquet(path), row["metric"]) if row["result"] and path.is_file() else None
        if found is None:
            return None
        splits = row["split"].split("+")
        return {cell: sample for cell, sample in found.items() if cell[1] in splits}

    def drawn(self, row: dict) -> np.ndarray | None:
        """(R,) draws of a score, times 100; None without items, and for fewer than two of them."""
        key = row["result"], row["metric"], row["split"]
        if key not in self.kept:
            cells = self.cells(row)
            if not cells or min(map(len, cells.values())) < 2:
                return None
            each = [
                sample.drawn(self.draws, generator(self.seed, row["task"], cell))
                for cell, sample in cells.items()
            ]
            self.kept[key] = 100 * np.mean(each, axis=0)
        return self.kept[key]

    def intervals(self) -> pl.DataFrame:
        """The table of scores with `low` and `high`, and `spread` over mteb's own draws or bags.

        `spread` is the standard deviation of a classification's accuracy over the draws of training texts, or
        of the V-measure over the bags.
        """
        rows = []
        for row in self.scores.iter_rows(named=True):
            drawn = self.drawn(row)
            known = drawn is not None and np.isfinite(drawn).any()
            bounds = interval(row["score"], drawn, self.level) if known else None
            low, high = (bounds.low, bounds.high) if bounds else (None, None)
            rows.append(row | {"low": low, "high": high, "spread": self.spread(row)})
        more = {name: pl.Float64 for name in ("low", "high", "spread")}
        return pl.DataFrame(rows, schema=self.scores.schema | more)

    def spread(self, row: dict) -> float | None:
        """The standard deviation over repeats, times 100: draws of training texts, or bags."""
        cells = self.cells(row) if row["type"] in ("Classification", "Clustering") else None
        if not cells:
            return None
        axis = 0 if row["type"] == "Classification" else 1
        repeats = [cell.values.mean(axis=axis) for cell in cells.values()]
        return 100 * float(np.mean([one.std(ddof=1) for one in repeats])) if len(repeats[0]) > 1 else None

    def averages(self, protocol: str = PAPER) -> pl.DataFrame:
        """The averages of a protocol, one per row -> (model, average, tasks, score, low, high).

        An average that includes a task without items has no interval.
        """
        main = under(self.scores, protocol)
        check_tasks(main)
        found = []
        for (model,), of_model in main.group_by("model", maintain_order=True):
            for name, weighed in named_averages(of_model).items():
                drawn = [self.drawn(row) for row in weighed.iter_rows(named=True)]
                low = high = None
                if all(one is not None for one in drawn):
                    bounds = interval(mean(weighed), weighed["weight"].to_numpy() @ drawn, self.level)
                    low, high = bounds.low, bounds.high
                found.append((model, name, len(weighed), mean(weighed), low, high))
        return pl.DataFrame(found, schema=AVERAGES, orient="row")

    def differences(
        self, than: str, protocol: str = PAPER, models: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """What each model has more than the model `than`, task by task, and in the mean over the tasks.

        -> (model, task, type, metric, difference, low, high, p, p_holm). `low` and `high` are the paired
        bootstrap's; p is from exchanging the two models' answers item by item; p_holm is corrected for the
        number of tasks. The last row of a model, task null, is the mean over those tasks that have items.
        """
        main = under(self.scores, protocol)
        known = main["model"].unique(maintain_order=True).to_list()
        if than not in known:
            raise ValueError(f"{than} has no scores here: compare with one of {', '.join(known)}")
        check_tasks(main)
        others = main.filter(pl.col("model") == than).to_dicts()
        other = {(row["task"], row["subset"]): row for row in others}
        tables = []
        for model in models or [name for name in known if name != than]:
            rows = named_averages(main.filter(pl.col("model") == model))["mean_over_datasets"]
            pairs = [(row, other[row["task"], row["subset"]]) for row in rows.to_dicts()]
            tables.append(self.differences_of(pairs))
        return pl.concat(tables)

    def differences_of(self, pairs: list[tuple[dict, dict]]) -> pl.DataFrame:
        """The rows of one model: each task, then their mean."""
        rows, drawn, exchanged, weights = [], [], [], []
        for ours, theirs in pairs:
            difference, apart, swapped = self.compare(ours, theirs)
            if apart is None:
                continue
            row = {name: ours[name] for name in ("model", "task", "type", "metric")}
            rows.append(row | self.tested(difference, apart, swapped))
            drawn.append(apart)
            exchanged.append(swapped)
            weights.append(ours["weight"])
        corrected = holm([row["p"] for row in rows])
        rows = [row | {"p_holm": float(p)} for row, p in zip(rows, corrected, strict=True)]
        if len(rows) > 1:
            means = [np.average(of, axis=0, weights=weights) for of in (drawn, exchanged)]
            difference = float(np.average([row["difference"] for row in rows], weights=weights))
            rows.append({"model": rows[0]["model"]} | self.tested(difference, *means))
        return pl.DataFrame(rows, schema=DIFFERENCES)

    def compare(self, ours: dict, theirs: dict) -> tuple[float, np.ndarray | None, np.ndarray | None]:
        """The difference, (R,) paired draws of it, and (R,) differences after exchanges; None without items.

        The difference is that of the items: mteb's scores are rounded, and of few items the largest exchange
        is the difference itself.
        """
        drawn = self.drawn(ours), self.drawn(theirs)
        if any(one is None for one in drawn):
            return ours["score"] - theirs["score"], None, None
        left, right = self.cells(ours), self.cells(theirs)
        check_items(ours, theirs, left, right)
        swapped = [
            sample.exchanged(right[cell], self.draws, generator(self.seed, ours["task"], cell, "exchanged"))
            for cell, sample in left.items()
        ]
        difference = np.mean([sample.score() - right[cell].score() for cell, sample in left.items()])
        return 100 * float(difference), drawn[0] - drawn[1], 100 * np.mean(swapped, axis=0)

    def tested(self, difference: float, drawn: np.ndarray, exchanged: np.ndarray) -> dict[str, float]:
        """A difference with its interval and p."""
        bounds = interval(difference, drawn, self.level)
        return {
            "difference": difference,
            "low": bounds.low,
            "high": bounds.high,
            "p": tail(difference, exchanged),
        }


def check_items(ours: dict, theirs: dict, left: Cells, right: Cells) -> None:
    """ValueError where two results of a task are not about the same items."""
    same = left.keys() == right.keys() and all(len(left[cell]) == len(right[cell]) for cell in left)
    if not same or ours["data"] != theirs["data"]:
        raise ValueError(
            f"{ours['task']} was not scored on the same items for {ours['model']} and {theirs['model']}: "
            "evaluate both on the same data before comparing them item by item"
        )
