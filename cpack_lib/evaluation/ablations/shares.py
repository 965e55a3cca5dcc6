"""What several stages add together, shared out among them: Shapley values and factorial effects.

Both take one value for every subset of the stages. A stage's Shapley value is what it adds on average over
all orders in which the stages could come (Shapley 1953); the values add up to what all stages add together. A
factorial effect is a contrast of means over all subsets (Fisher 1935): of one stage, with it minus without
it; of two, half of what one adds more where the other is there. Above 0 they help each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from math import factorial

import polars as pl

from cpack_lib.evaluation.ablations.spread import summed_up

NOTHING, AND = "start", "+"  # how a subset is written: start, contrast, pretrain+contrast

Subset = frozenset[str]


def subset_of(name: str) -> Subset:
    """The stages in a name; none in "start"."""
    return frozenset() if name == NOTHING else frozenset(name.split(AND))


def name_of(subset: Iterable[str], order: Sequence[str]) -> str:
    """The name of some stages, in their order."""
    return AND.join(stage for stage in order if stage in set(subset)) or NOTHING


def subsets(stages: Sequence[str]) -> list[Subset]:
    """All subsets, small ones first, in the order of the stages."""
    return [frozenset(some) for size in range(len(stages) + 1) for some in combinations(stages, size)]


def check_whole(values: Mapping[Subset, float], stages: Sequence[str]) -> None:
    """ValueError where the value of a subset is missing, or one that is none is there."""
    asked = set(subsets(stages))
    if missing := sorted(name_of(one, stages) for one in asked - values.keys()):
        raise ValueError(
            f"{len(stages)} stages have {len(asked)} subsets, and {missing[0]} has no value: run it"
        )
    if strange := [one for one in values if one not in asked]:
        raise ValueError(f"{AND.join(sorted(strange[0]))} is no subset of {', '.join(stages)}")


def shapley(values: Mapping[Subset, float], stages: Sequence[str]) -> dict[str, float]:
    """Each stage's Shapley value: the mean of what it adds to those before it, over all orders."""
    check_whole(values, stages)
    n, found = len(stages), {}
    for stage in stages:
        before = [subset for subset in subsets(stages) if stage not in subset]
        orders = {subset: factorial(len(subset)) * factorial(n - len(subset) - 1) for subset in before}
        added = (orders[subset] * (values[subset | {stage}] - values[subset]) for subset in before)
        found[stage] = sum(added) / factorial(n)
    return found


def factorial_effects(values: Mapping[Subset, float], stages: Sequence[str]) -> dict[Subset, float]:
    """The effect of each stage, and of each group of stages together, by subset."""
    check_whole(values, stages)
    found = {}
    for group in subsets(stages)[1:]:
        signs = {subset: -1 if len(group - subset) % 2 else 1 for subset in values}
        found[group] = sum(signs[subset] * values[subset] for subset in values) / 2 ** (len(stages) - 1)
    return found


Shared = Callable[[Mapping[Subset, float], Sequence[str]], dict]


def shared_out(scores: pl.DataFrame, stages: Sequence[str], share: Shared = shapley) -> pl.DataFrame:
    """(stages, seed, type, score) -> (type, stage, mean, low, high, seeds) of Shapley values or effects.

    `stages` is a column of names such as pretrain+contrast. Each seed is shared out by itself.
    """
    rows = []
    for (kind, seed), group in scores.group_by("type", "seed", maintain_order=True):
        values = {subset_of(name): score for name, score in group.select("stages", "score").iter_rows()}
        for stage, value in share(values, stages).items():
            name = stage if isinstance(stage, str) else name_of(stage, stages)
            rows.append((kind, name, seed, value))
    table = pl.DataFrame(rows, schema=["type", "stage", "seed", "score"], orient="row")
    return summed_up(table, ["type", "stage"])
