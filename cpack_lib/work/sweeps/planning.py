"""What a sweep would run: each point's runs, shared where they are equal, before a kernel starts.

A run's folder is runs/sweep.KEY/NOTEBOOK. KEY is a digest of all its parameters but run_name, of the tables
it reads and of the keys of the runs it reads. So equal runs are one run, in this sweep and in every other,
and a changed parameter never meets an old folder.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cpack_lib.work.files import ROOT, digest, runs_folder, table_identity
from cpack_lib.work.parameters import Declared, declared, filled, misfits, read_changes
from cpack_lib.work.plan import Planned, decide, missing_tables, texts
from cpack_lib.work.runs import SWEPT, identities
from cpack_lib.work.sweeps.estimates import Cost, Costs
from cpack_lib.work.sweeps.points import Point, chosen, points_of
from cpack_lib.work.sweeps.read import BASE, Changes, Sweep, read_sweep

SUPPLIES = ("folder:", "world:", "labelled:")  # tables whose contents may change under one name
PAIRS = "pairs_seen"  # steps: {pairs_seen: N} are as many as see N pairs


@dataclass(frozen=True)
class SweepRun:
    """One run that points share: `needs` are the runs of this plan that it reads.

    The action of `planned` is one of decide's; `look again` where an input is not there yet; `blocked` where
    one cannot be made.
    """

    planned: Planned
    needs: tuple[str, ...]
    points: tuple[str, ...] = ()
    cost: Cost = Cost()

    @property
    def name(self) -> str:
        """RUN/NOTEBOOK."""
        return f"{self.planned.folder.parent.name}/{self.planned.name}"

    @property
    def log(self) -> Path:
        """What its processes say, beside its folder: what lies inside is a result."""
        return self.planned.folder.with_suffix(".log")


@dataclass(frozen=True)
class SweepPlan:
    """The chosen points, the runs of each, and all runs, inputs before what reads them."""

    sweep: Sweep
    points: list[Point]
    stages: dict[str, dict[str, str]]  # point -> notebook, or base/notebook -> run
    runs: dict[str, SweepRun]

    @property
    def folder(self) -> Path:
        """Where the sweep's own tables and jobs are kept."""
        return runs_folder() / "sweeps" / self.sweep.name


def plan_sweep(name: str, only: str | None = None, home: Path = ROOT) -> SweepPlan:
    """Resolve every point, and look at what stands; ValueError lists every value that cannot be."""
    sweep = read_sweep(name, home)
    points = points_of(sweep)
    planner = Planner(sweep, home)
    planner.check(points)
    for point in points:
        planner.add(point)
    planner.check_use(points)
    kept = chosen(points, only)
    stages = {point.name: planner.stages[point.name] for point in kept}
    wanted = {run for stage in stages.values() for run in stage.values()}
    used = {run: [point for point, stage in stages.items() if run in stage.values()] for run in wanted}
    runs = {
        run: replace(each, points=tuple(used[run])) for run, each in planner.runs.items() if run in wanted
    }
    return SweepPlan(sweep, kept, stages, looked_at(runs))


@dataclass(frozen=True)
class Context:
    """Whose runs are meant: those of a point, or those that only `fixed` changes; `stages` collects them."""

    changes: Changes
    prefix: str
    stages: dict[str, str]


@dataclass
class Planner:
    """Builds runs from points; every notebook and every file is read once."""

    sweep: Sweep
    home: Path
    lines: dict[str, dict[str, Declared]] = field(default_factory=dict)
    profile: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    runs: dict[str, SweepRun] = field(default_factory=dict)
    stages: dict[str, dict[str, str]] = field(default_factory=dict)

    def check(self, points: Iterable[Point]) -> None:
        """Refuse, in one go, every value that a notebook would refuse."""
        sweep, problems = self.sweep, []
        for notebook in [*sweep.goals, *sweep.seeded]:
            problems += self.known(notebook)
        for changes in [sweep.fixed, *(point.changes for point in points)]:
            for notebook, values in changes.items():
                problems += [*self.known(notebook), *self.misfits(notebook, values)]
        if problems:
            raise ValueError("\n".join(dict.fromkeys(problems)))

    def known(self, notebook: str) -> list[str]:
        """What is wrong with a notebook or the profile's file for it; both are read here."""
        if notebook in self.lines:
            return []
        path = self.home / "params" / self.sweep.profile / f"{notebook}.yaml"
        try:
            lines, values = declared(self.home / "notebooks" / f"{notebook}.ipynb"), read_changes(path)
        except ValueError as error:
            return [f"{self.sweep.path}: {error}"]
        self.lines[notebook], self.profile[notebook] = lines, values
        problems = list(misfits(lines, values, f"{path}: ", notebook))
        if "run_name" not in lines:
            problems.append(f"{notebook} declares no run_name: str")
        return problems

    def misfits(self, notebook: str, values: Mapping[str, Any]) -> list[str]:
        """What a notebook would refuse of some values; a mapping stands for steps alone."""
        lines, opening = self.lines.get(notebook), f"{self.sweep.path}: {notebook}."
        if lines is None:
            return []
        problems, plain = [], dict(values)
        if "run_name" in values:
            problems.append(f"{opening}run_name is set; a sweep names its own runs")
        if isinstance(values.get("steps"), dict) and "steps" in lines and "rows_per_step" in lines:
            pairs = plain.pop("steps")
            if list(pairs) != [PAIRS] or type(pairs[PAIRS]) is not int or pairs[PAIRS] < 1:
                problems.append(f"{opening}steps is {pairs!r}; write a number, or {{{PAIRS}: NUMBER}}")
        return problems + list(misfits(lines, plain, opening, notebook))

    def add(self, point: Point) -> None:
        """The runs of a point's goals, and of all they read."""
        stages: dict[str, str] = {}
        for goal in self.sweep.goals:
            self.run(goal, Context(point.changes, "", stages), ())
        self.stages[point.name] = stages

    def check_use(self, points: Iterable[Point]) -> None:
        """Refuse changes, and seeds, of a notebook that no point runs."""
        run = {notebook.removeprefix(f"{BASE}/") for stages in self.stages.values() for notebook in stages}
        for notebook in dict.fromkeys(notebook for point in points for notebook in point.changes):
            if notebook not in run:
                raise ValueError(
                    f"{self.sweep.path}: {notebook} is changed, but no point runs it: "
                    f"{', '.join(self.sweep.goals)} does not read it, directly or not"
                )

    def run(self, notebook: str, context: "Context", above: tuple[str, ...]) -> str:
        """The name of a notebook's run in a context; it and what it reads are added where they are new."""
        if notebook in above:
            raise ValueError(f"{self.sweep.path}: {notebook} reads itself, by way of {' and '.join(above)}")
        if problems := self.known(notebook):
            raise ValueError("\n".join(problems))
        lines = self.lines[notebook]
        values = self.profile[notebook] | context.changes.get(notebook, {})
        parameters = filled(lines, counted(values, lines))
        if missing := missing_tables(parameters):
            raise ValueError(f"{self.sweep.path}: {notebook}: {'; '.join(missing)}")
        read: dict[str, str] = {}
        for _, text in texts(parameters):
            owner, _, other = text.partition("/")
            if owner == self.sweep.profile and other:
                read[text] = self.run(other, context, (*above, notebook))
            elif owner == BASE and other:
                base = Context(self.sweep.fixed, f"{BASE}/", context.stages)
                read[text] = self.run(other, base, (*above, notebook))
        name = self.named(notebook, replaced(parameters, read), tuple(dict.fromkeys(read.values())))
        context.stages.setdefault(context.prefix + notebook, name)
        return name

    def named(self, notebook: str, parameters: dict[str, Any], needs: tuple[str, ...]) -> str:
        """Name a run after what it depends on, and keep it."""
        asked = {name: value for name, value in parameters.items() if name != "run_name"}
        tables = {text: self.table(text) for _, text in texts(asked) if text.startswith(SUPPLIES)}
        run = SWEPT + digest({"notebook": notebook, "parameters": asked, "tables": tables})[:12]
        name = f"{run}/{notebook}"
        if name not in self.runs:
            parameters = parameters | {"run_name": run}
            lines = self.lines[notebook]
            changes = {name: value for name, value in parameters.items() if value != lines[name].default}
            path = self.home / "notebooks" / f"{notebook}.ipynb"
            folder = runs_folder() / run / notebook
            self.runs[name] = SweepRun(Planned(path, changes, parameters, folder, "run", ""), needs)
        return name

    def table(self, text: str) -> str:
        """What a table's name stands for now, looked at once."""
        if text not in self.tables:
            self.tables[text] = table_identity(text)
        return self.tables[text]


def counted(values: Mapping[str, Any], lines: Mapping[str, Declared]) -> dict[str, Any]:
    """The same values, steps worked out from the pairs that they see."""
    steps = values.get("steps")
    if not isinstance(steps, dict):
        return dict(values)
    rows = values.get("rows_per_step", lines["rows_per_step"].default)
    return {**values, "steps": max(1, round(steps[PAIRS] / rows))}


def replaced(parameters: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The same parameters, each name of a run exchanged for another, in lists too."""
    return {
        name: [names.get(item, item) if isinstance(item, str) else item for item in value]
        if isinstance(value, list)
        else names.get(value, value)
        if isinstance(value, str)
        else value
        for name, value in parameters.items()
    }


def looked_at(runs: Mapping[str, SweepRun]) -> dict[str, SweepRun]:
    """Each run with what is to happen to it and why, and what it will cost."""
    costs, seen = Costs({run.planned.name for run in runs.values()}), {}

    def identify(inputs: Mapping[str, str]) -> dict[str, dict]:
        for source in inputs.values():
            if source not in seen:
                seen[source] = identities({"": source})[""]
        return {name: seen[source] for name, source in inputs.items()}

    looked, made = {}, set()
    for name, run in runs.items():
        barred = [need for need in run.needs if looked[need].planned.action in ("refuse", "blocked")]
        if barred:
            action, why = "blocked", f"its input {barred[0]} cannot be made"
        else:
            action, why = look_at(run, made, identify)
        if action != "reuse":
            made.add(name)
        cost = costs.of(run.planned.name, run.planned.parameters)
        looked[name] = replace(run, planned=replace(run.planned, action=action, why=why), cost=cost)
    return looked


def look_at(run: SweepRun, made: Iterable[str] = (), identify: Callable = identities) -> tuple[str, str]:
    """Action and reason for one run, where those of `made` are made first."""
    planned = run.planned
    late = [need for need in run.needs if need in made]
    if late and (planned.folder / "run.json").exists():
        return "look again", f"its input {late[0]} is made first"
    notebooks = {path.stem for path in planned.notebook.parent.glob("*.ipynb")}
    others = [text for _, text in texts(planned.parameters) if text.rpartition("/")[2] in notebooks]
    needs = [text for text in others if text != run.name]
    return decide(planned.folder, planned.parameters, needs, set(made), identify=identify)
