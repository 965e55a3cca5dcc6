"""What others published for C-MTEB and English MTEB: with source, protocol, and over what a mean runs.

    reported.tsv                 one row per model and table: the means of the types, and the printed average
    reported_datasets.tsv        the scores of single datasets, where a source prints them
    reported_disagreements.tsv   the printed numbers that others beside them contradict, and why

Two averages of C-MTEB are in circulation: over all 35 datasets, and over 31 of them (without the four Chinese
sets that MTEB had already). The FlagEmbedding README prints the second beside columns of types that hold all
35; its rows of other people's models repeat the columns of the paper's Table 2 (docs/paper.md 2.2, 2.3).
"""

from collections import Counter
from pathlib import Path

import polars as pl

from cpack_lib.corpus.read.evaluation_sets import evaluation_sets
from cpack_lib.evaluation.scores.averages import dataset_name, datasets_of
from cpack_lib.evaluation.scores.protocols import MAIN, PAPER, published_name, under

CHINESE, ENGLISH = "cmteb-35", "mteb-en-56"
LISTS = {35: "cmteb-35", 31: "cmteb-31", 56: "mteb-en-56"}  # a printed average's number of datasets
ROUNDING = 0.0101  # two numbers printed with two decimals may differ by one in the last


def per_type(suite: str) -> dict[str, int]:
    """How many datasets of each type a benchmark has, in the order of the paper's columns."""
    kinds = {one.part_of or one.task: one.kind for one in evaluation_sets(suite)}
    counts = Counter(kinds.values())
    return {kind: counts[kind] for kind in MAIN if kind in counts}


DATASETS = per_type(CHINESE)  # 35 in all


def reported_scores(suite: str = CHINESE) -> pl.DataFrame:
    """One row per published model: the means of its types, the printed `average`, and two recomputed ones.

    `over_35` (English: `over_56`) weighs the types by their datasets. Where `average_over` is 31 it cannot
    equal the printed one, because the columns of types hold all 35 even there. `over_types` weighs the types
    equally.
    """
    counts = per_type(suite)
    weights = [pl.col(kind) * count for kind, count in counts.items()]
    total = sum(counts.values())
    rows = read("reported").filter(pl.col("suite") == suite)
    return rows.select(
        "source",
        "model",
        "dimensions",
        *counts,
        "average",
        "average_over",
        "protocol",
        (pl.sum_horizontal(weights, ignore_nulls=False) / total).round(2).alias(f"over_{total}"),
        pl.mean_horizontal(list(counts), ignore_nulls=False).round(2).alias("over_types"),
    )


def reported_datasets() -> pl.DataFrame:
    """(source, model, task, score) of single datasets of C-MTEB, by mteb's names, in the paper's protocol."""
    return read("reported_datasets")


def read(name: str) -> pl.DataFrame:
    """One of the three tables."""
    return pl.read_csv(Path(__file__).with_name(f"{name}.tsv"), separator="\t", quote_char=None)


def recomputed() -> pl.DataFrame:
    """Every printed mean that can be computed again from other printed numbers.

    -> (source, model, what, from, printed, recomputed, agrees, reason): `what` is "average" or a type, `from`
    "types" or "datasets". `reason` is ours, for the known disagreements.
    """
    rows, single = [], reported_datasets()
    named = {one.task: dataset_name(one.task, one.subset) for one in evaluation_sets(CHINESE)}
    for row in read("reported").iter_rows(named=True):
        counts = per_type(row["suite"])
        mine = {"source": row["source"], "model": row["model"]}
        own = single.filter((pl.col("source") == mine["source"]) & (pl.col("model") == mine["model"]))
        scores = {named[task]: score for task, score in own.select("task", "score").iter_rows()}
        if row["average"] is not None and all(row[kind] is not None for kind in counts):
            mean = sum(row[kind] * count for kind, count in counts.items()) / sum(counts.values())
            rows.append(
                mine | {"what": "average", "from": "types", "printed": row["average"], "recomputed": mean}
            )
        for what, printed, names in printed_means(row):
            if names <= scores.keys():
                mean = sum(scores[name] for name in names) / len(names)
                rows.append(mine | {"what": what, "from": "datasets", "printed": printed, "recomputed": mean})
    found = pl.DataFrame(rows).with_columns(
        agrees=(pl.col("printed") - pl.col("recomputed")).abs() < ROUNDING
    )
    known = read("reported_disagreements").with_columns(agrees=pl.lit(False))
    return found.join(known, on=["source", "model", "what", "agrees"], how="left", maintain_order="left")


def printed_means(row: dict) -> list[tuple[str, float, set[str]]]:
    """The printed means of one row, and the datasets that each runs over: (what, mean, names)."""
    kinds = {
        one.part_of or dataset_name(one.task, one.subset): one.kind for one in evaluation_sets(row["suite"])
    }
    found = [
        (kind, row[kind], {name for name, of in kinds.items() if of == kind})
        for kind in per_type(row["suite"])
    ]
    if row["average"] is not None:
        found.append(("average", row["average"], datasets_of(LISTS[row["average_over"]])))
    return [(what, mean, names) for what, mean, names in found if mean is not None]


def published_beside(scores: pl.DataFrame, protocol: str = PAPER) -> pl.DataFrame:
    """Which published numbers compare with these scores, and why the others do not.

    -> (source, suite, model, what, over, score, compares, why_not): `what` is "average", a type or a dataset,
    `over` its number of datasets. A published mean compares if every one of its datasets was scored here on
    the same data, splits and metric. One caution remains: several sets were re-published since 2023, and
    mteb's code moved on; score one public model again before trusting a difference of some tenths.
    """
    same, hindered = comparable_datasets(under(scores, protocol))
    rows = []
    for row in read("reported").iter_rows(named=True):
        for what, mean, names in printed_means(row):
            rows.append((row["source"], row["suite"], row["model"], what, len(names), mean, names))
    subsets = {one.task: one.subset for one in evaluation_sets(CHINESE)}
    for source, model, task, score in reported_datasets().iter_rows():
        rows.append((source, CHINESE, model, task, 1, score, {dataset_name(task, subsets[task])}))
    told = [(*row[:-1], row[-1] <= same, why_not(row[-1] - same, hindered, len(row[-1]))) for row in rows]
    names = ["source", "suite", "model", "what", "over", "score", "compares", "why_not"]
    return pl.DataFrame(told, schema=names, orient="row", infer_schema_length=None)


def comparable_datasets(main: pl.DataFrame) -> tuple[set[str], dict[str, str]]:
    """The datasets that were scored as published, and for those scored otherwise, in what they differ."""
    public = [one for suite in (CHINESE, ENGLISH) for one in evaluation_sets(suite)]
    sets = {dataset_name(one.task, one.subset): one for one in public}
    same, hindered = set(), {}
    for row in main.unique(["task", "subset"], maintain_order=True).iter_rows(named=True):
        name = dataset_name(published_name(row["task"]), row["subset"])
        if name not in sets:
            continue
        if row["task"] != sets[name].task:
            hindered[name] = "only a sample of it was scored"
        elif row["revision"] != sets[name].revision:
            hindered[name] = f"its data are {row['revision'][:12]} and not {sets[name].revision[:12]}"
        elif PAPER not in row["protocol"]:
            hindered[name] = f"it was scored by {row['metric']} on {row['split']}, not as published"
        else:
            same.add(name)
    parts = {name: one.part_of for name, one in sets.items() if one.part_of}
    wholes = {whole for whole in parts.values() if {part for part in parts if parts[part] == whole} <= same}
    return same | wholes, hindered


def why_not(missing: set[str], hindered: dict[str, str], over: int) -> str | None:
    """A sentence for the first datasets in the way; None where none is."""
    if not missing:
        return None
    for name in sorted(missing & hindered.keys()):
        return f"{name}: {hindered[name]}"
    first = min(missing)
    if over == 1:
        return f"{first} was not scored here"
    rest = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{len(missing)} of its {over} datasets were not scored here: {first}{rest}"
