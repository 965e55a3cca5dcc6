"""The points of a sweep: one place on every axis, and a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from cpack_lib.work.sweeps.read import Changes, Sweep, meant


@dataclass(frozen=True)
class Point:
    """What one point is called in each column, and what it changes beside `fixed`."""

    columns: dict[str, Any]
    changes: Changes

    @property
    def name(self) -> str:
        """Such as rows_per_step=256,seed=1."""
        return ",".join(f"{name}={spelled(value)}" for name, value in self.columns.items())


def points_of(sweep: Sweep) -> list[Point]:
    """Every place of every axis with each other, and each with every seed."""
    points = []
    for places in product(*sweep.axes):
        columns = {name: value for place in places for name, value in place.columns.items()}
        changes = merged(sweep.fixed, *(place.changes for place in places))
        for seed in sweep.seeds:
            seeded = {notebook: {"seed": seed} for notebook in sweep.seeded}
            points.append(Point(columns | {"seed": seed}, merged(changes, seeded)))
        if not sweep.seeds:
            points.append(Point(columns, changes))
    names = [point.name for point in points]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{sweep.path}: there are two points {min(twice)}; take one value out")
    return points


def merged(*changes: Changes) -> Changes:
    """Differences of several places together."""
    together: Changes = {}
    for each in changes:
        for notebook, values in each.items():
            together.setdefault(notebook, {}).update(values)
    return together


def chosen(points: Sequence[Point], only: str | None) -> list[Point]:
    """The points that `only` names: one in full, or all that have NAME=VALUE,NAME=VALUE among theirs."""
    if only is None:
        return list(points)
    wanted = set(only.split(","))
    found = [point for point in points if wanted <= set(point.name.split(","))]
    if not found:
        parts = dict.fromkeys(part for point in points for part in point.name.split(","))
        unknown = next((part for part in only.split(",") if part not in parts), only)
        raise ValueError(f"no point has {unknown}; {meant(unknown, list(parts))}")
    return found


def spelled(value: Any) -> str:
    """A value as it stands in a point's name: without commas, which part its columns."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return "+".join(map(spelled, value))
    return str(value).replace(",", ";")
