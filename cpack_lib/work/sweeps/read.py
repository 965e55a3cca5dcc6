"""A sweep as its file says it: params/sweeps/NAME.yaml, read once and checked in form.

    profile: demo                      what every point begins with: params/demo/
    goals: [05_evaluate_cmteb]         what every point makes, with whatever that reads, directly or not
    fixed:                             differences from the profile that all points share
      05_evaluate_cmteb: {sample_rows: 100}
    axes:                              each point takes one place on each axis
      - zip: {03_contrast_pairs: {rows_per_step: [64, 256], learning_rate: [1.0e-4, 2.0e-4]}}
      - list: {budget: {equal pairs: {03_contrast_pairs: {steps: {pairs_seen: 16384}}}}}
      - grid: {03_contrast_pairs: {temperature: [0.02, 0.05], margin: [0.1, 2.0]}}
    roles: {rows_per_step: scientific, learning_rate: nuisance, budget: scientific, ...}
    seeds: [0, 1, 2]                   every place on the axes, once with each
    seeded: [03_contrast_pairs]        notebooks that take it as their `seed`; the others keep their own

`zip` takes its lists side by side, `grid` each value with each, `list` gives sets of differences a name. The
roles are those of the tuning playbook: *scientific* is what the sweep asks about, *nuisance* what has to be
set well or averaged over so that the answer is fair, and what stands under `fixed` is fixed.

A value `PROFILE/NOTEBOOK` is the point's own run of that notebook, `base/NOTEBOOK` the run with nothing but
`fixed`: so a point can vary what it trains on, and begin with the same encoder as the others.
"""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from cpack_lib.work.files import ROOT
from cpack_lib.work.parameters import read_changes

Changes = dict[str, dict[str, Any]]  # notebook -> parameter -> value
KINDS = {"profile": str, "goals": list, "question": str, "fixed": dict, "axes": list, "roles": dict}
KINDS |= {"seeds": list, "seeded": list}
REQUIRED = ("profile", "goals", "axes", "roles")
ROLES = ("scientific", "nuisance")
RESERVED = ("seed", "point", "stage", "task", "type", "metric", "value")  # columns that the table has anyway
BASE = "base"  # stands in a value for the runs that no axis changes


@dataclass(frozen=True)
class Place:
    """One place on an axis: what it is called in each column, and what it changes."""

    columns: dict[str, Any]
    changes: Changes


@dataclass(frozen=True)
class Sweep:
    """What a file asks for; `axes` are lists of places."""

    name: str
    path: Path
    profile: str
    goals: list[str]
    axes: list[list[Place]]
    roles: dict[str, str]
    question: str = ""
    fixed: Changes = field(default_factory=dict)
    seeds: list[int] = field(default_factory=list)
    seeded: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The names of what differs between points, in order."""
        named = [name for axis in self.axes for name in axis[0].columns]
        return [*named, "seed"] if self.seeds else named


def read_sweep(name: str, home: Path = ROOT) -> Sweep:
    """The sweep params/sweeps/NAME.yaml; ValueError names the file, the part and the value that is wrong."""
    path = home / "params" / "sweeps" / f"{name}.yaml"
    if not path.exists():
        known = sorted(each.stem for each in path.parent.glob("*.yaml"))
        raise ValueError(f"there is no sweep {name!r}; params/sweeps/ has {', '.join(known) or 'none yet'}")
    told = read_changes(path)
    try:
        check_form(told)
        axes = read_axes(told["axes"])
        seeds = told.get("seeds", [])
        if any(type(seed) is not int for seed in seeds) or len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds are {seeds}; write different whole numbers")
        if bool(seeds) != bool(told.get("seeded")):
            raise ValueError("`seeds` are given to the notebooks that `seeded` lists; write both or none")
        sweep = Sweep(name, path, **{**told, "axes": axes})
        check_roles(sweep)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return sweep


def check_form(told: Mapping[str, Any]) -> None:
    """Refuse parts that a sweep has not, lacks, or has in another form."""
    for name, value in told.items():
        if name not in KINDS:
            raise ValueError(f"{name!r} is no part of a sweep; {meant(name, KINDS)}")
        if type(value) is not KINDS[name]:
            raise ValueError(f"{name} is {value!r}; it has to be a {KINDS[name].__name__}")
    if missing := [name for name in REQUIRED if not told.get(name)]:
        raise ValueError(f"{', '.join(missing)} is missing; a sweep needs {', '.join(REQUIRED)}")
    if told["profile"] == BASE:
        raise ValueError(f"the profile is called {BASE!r}, which stands for what no axis changes; rename it")
    check_changes(told.get("fixed", {}), "fixed")


def meant(name: object, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The name that may have been meant, or all that there are."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def check_changes(changes: Any, place: str) -> None:
    """Refuse what is no notebook -> parameter -> value."""
    flat = isinstance(changes, dict) and all(isinstance(values, dict) for values in changes.values())
    if not flat:
        raise ValueError(f"{place} is {changes!r}; write NOTEBOOK: {{parameter: value}}")


def read_axes(told: list[Any]) -> list[list[Place]]:
    """The places of each axis; a parameter's column is its name, or NN.name where two notebooks have it."""
    kinds = {"zip": zipped, "grid": crossed, "list": listed}
    for number, axis in enumerate(told, 1):
        if not isinstance(axis, dict) or len(axis) != 1 or next(iter(axis)) not in kinds:
            raise ValueError(f"axis {number} is {axis!r}; write one of {', '.join(kinds)}: {{...}}")
    pairs = [
        (notebook, name)
        for axis in told
        for kind, content in axis.items()
        if kind != "list"
        for notebook, name in varied(kind, content)
    ]
    if twice := [pair for pair, count in Counter(pairs).items() if count > 1]:
        raise ValueError(f"{'.'.join(twice[0])} stands on two axes; one of them would be lost")
    counts = Counter(name for _, name in pairs)
    titles = {(n, p): p if counts[p] == 1 else f"{n.partition('_')[0]}.{p}" for n, p in pairs}
    axes = [kinds[kind](content, titles) for axis in told for kind, content in axis.items()]
    check_columns(axes)
    return axes


def varied(kind: str, content: Any) -> list[tuple[str, str]]:
    """The notebook and name of each parameter that an axis gives a list of values."""
    check_changes(content, kind)
    for notebook, values in content.items():
        for name, items in values.items():
            if not isinstance(items, list) or not items:
                raise ValueError(f"{notebook}.{name} is {items!r}; a {kind} axis needs a list of values")
    return [(notebook, name) for notebook, values in content.items() for name in values]


def zipped(content: Changes, titles: Mapping[tuple[str, str], str]) -> list[Place]:
    """Lists side by side."""
    lists = {
        (notebook, name): items for notebook, values in content.items() for name, items in values.items()
    }
    lengths = {f"{notebook}.{name}": len(items) for (notebook, name), items in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"a zip axis needs lists of one length, but {told}")
    return [place_of(dict(zip(lists, row, strict=True)), titles) for row in zip(*lists.values(), strict=True)]


def crossed(content: Changes, titles: Mapping[tuple[str, str], str]) -> list[Place]:
    """Each value with each."""
    lists = {
        (notebook, name): items for notebook, values in content.items() for name, items in values.items()
    }
    return [place_of(dict(zip(lists, row, strict=True)), titles) for row in product(*lists.values())]


def place_of(values: Mapping[tuple[str, str], Any], titles: Mapping[tuple[str, str], str]) -> Place:
    """A place from (notebook, parameter) -> value."""
    changes: Changes = {}
    for (notebook, name), value in values.items():
        changes.setdefault(notebook, {})[name] = value
    return Place({titles[pair]: value for pair, value in values.items()}, changes)


def listed(content: Any, titles: Mapping[tuple[str, str], str]) -> list[Place]:
    """Named sets of differences, under the one name of the axis."""
    if (
        not isinstance(content, dict)
        or len(content) != 1
        or not isinstance(next(iter(content.values())), dict)
    ):
        raise ValueError(f"a list axis is {content!r}; write NAME: {{CASE: {{NOTEBOOK: {{...}}}}}}")
    name, cases = next(iter(content.items()))
    places = []
    for case, changes in cases.items():
        check_changes(changes or {}, f"{name}: {case}")
        places.append(Place({name: str(case)}, changes or {}))
    return places


def check_columns(axes: list[list[Place]]) -> None:
    """Refuse two axes of one name, an empty one, and one that sets what another does."""
    names = [name for axis in axes for name in (axis[0].columns if axis else [])]
    if empty := [number for number, axis in enumerate(axes, 1) if not axis]:
        raise ValueError(f"axis {empty[0]} has no places; list its values")
    for name in names:
        if name in RESERVED or names.count(name) > 1:
            remedy = "seeds stand under `seeds`" if name == "seed" else "choose another name"
            raise ValueError(f"{name} cannot name an axis here, the table has that column already; {remedy}")
    owners: dict[tuple[str, str], int] = {}
    for number, axis in enumerate(axes, 1):
        for pair in {(n, p) for place in axis for n, values in place.changes.items() for p in values}:
            if owners.setdefault(pair, number) != number:
                raise ValueError(f"{'.'.join(pair)} is set on axes {owners[pair]} and {number}; one is lost")


def check_roles(sweep: Sweep) -> None:
    """Refuse a role that there is not, a column without one, and a role of what does not vary."""
    varied = [name for name in sweep.columns if name != "seed"]
    for name, role in sweep.roles.items():
        if role not in ROLES:
            hint = "what is fixed stands under `fixed`" if role == "fixed" else meant(role, ROLES)
            raise ValueError(f"roles: {name} is {role!r}, but it varies; {hint}")
        if name not in varied:
            raise ValueError(f"roles: no axis varies {name}; {meant(name, varied)}")
    if missing := [name for name in varied if name not in sweep.roles]:
        raise ValueError(f"roles: {', '.join(missing)} has none; write scientific or nuisance")
    for notebook, values in sweep.fixed.items():
        for axis in sweep.axes:
            for place in axis:
                if both := set(values) & set(place.changes.get(notebook, {})):
                    raise ValueError(f"{notebook}.{min(both)} is fixed, and varied by an axis; choose")
