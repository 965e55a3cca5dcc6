"""What a profile would run: every parameter checked and every old run compared, before a kernel starts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpack_lib.work import lock
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.parameters import read_changes, resolve
from cpack_lib.work.runs import compare, finished_run, identities, read_manifest, read_record


@dataclass(frozen=True)
class Planned:
    """One notebook of a profile: its changed and full parameters, its run folder, what is to happen and why.

    `action` is run, resume (stopped before its end), renew (old folder moved aside), reuse or refuse.
    """

    notebook: Path
    changes: dict[str, Any]
    parameters: dict[str, Any]
    folder: Path
    action: str
    why: str

    @property
    def name(self) -> str:
        """The notebook's name without its ending."""
        return self.notebook.stem

    @property
    def copy(self) -> Path:
        """Where its executed copy is written."""
        return self.folder / self.notebook.name


@dataclass(frozen=True)
class Resolved:
    """One parameter file of a profile: the notebook, its changed and full parameters, and what is wrong."""

    notebook: Path
    changes: dict[str, Any]
    parameters: dict[str, Any]
    problems: list[str]

    @property
    def run(self) -> str:
        """RUN/NOTEBOOK, as others name it when they read it."""
        return f"{self.parameters.get('run_name')}/{self.notebook.stem}"


def plan_profile(
    profile: str,
    only: str | None = None,
    start: str | None = None,
    last: str | None = None,
    fresh: bool = False,
    home: Path = ROOT,
) -> list[Planned]:
    """The notebooks of params/<profile>/ in order; ValueError lists every parameter that cannot be.

    In the order of their numbers, but each after those that it reads: 00_tour after the runs it shows.
    """
    files = in_order([resolved(path, home) for path in profile_files(profile, home)])
    chosen = choose(files, only, start, last)
    if problems := [problem for each in chosen for problem in each.problems]:
        raise ValueError("\n".join(problems))
    return decide_all(chosen, fresh, known={path.stem for path in (home / "notebooks").glob("*.ipynb")})


def resolved(path: Path, home: Path) -> Resolved:
    """A parameter file with its notebook's own defaults; what is wrong with it is told, not raised."""
    notebook = home / "notebooks" / f"{path.stem}.ipynb"
    try:
        changes = read_changes(path)
        parameters = resolve(notebook, path)
        if "run_name" not in parameters:
            raise ValueError(f"{notebook} declares no run_name: str")
    except ValueError as error:
        return Resolved(notebook, {}, {}, [str(error)])
    problems = [f"{path}: {missing}" for missing in missing_tables(parameters)]
    return Resolved(notebook, {name: parameters[name] for name in changes}, parameters, problems)


def in_order(files: list[Resolved]) -> list[Resolved]:
    """Sorted so that each comes after those it reads, and else as they were; ValueError where none can."""
    waiting, ordered = list(files), []
    while waiting:
        runs = {each.run for each in waiting}
        ready = [
            each for each in waiting if not (runs - {each.run}) & {text for _, text in texts(each.parameters)}
        ]
        if not ready:
            raise ValueError(f"{', '.join(sorted(runs))} read each other; change what one of them reads")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered


def profile_files(profile: str, home: Path) -> list[Path]:
    """The parameter files of a profile, in the order of the notebooks' numbers."""
    files = sorted((home / "params" / profile).glob("*.yaml"))
    if not files:
        profiles = sorted({path.parent.name for path in home.glob("params/*/*.yaml")} - {"sweeps", "sites"})
        raise ValueError(f"there is no profile {profile!r}; params/ has {', '.join(profiles) or 'none yet'}")
    return files


def choose(files: list[Resolved], only: str | None, start: str | None, last: str | None) -> list[Resolved]:
    """The files that `only`, or `start` and `last`, leave; 03 may stand for 03_contrast_pairs."""
    names = [each.notebook.stem for each in files]
    first = find(names, only or start) if only or start else 0
    end = find(names, only or last) + 1 if only or last else len(files)
    if first >= end:
        raise ValueError(f"nothing lies from {names[first]} to {names[end - 1]}: that one runs before it")
    return files[first:end]


def find(names: list[str], wanted: str) -> int:
    """The place of a notebook named in full or by its number; ValueError names what there is."""
    found = [place for place, name in enumerate(names) if wanted in (name, name.partition("_")[0])]
    if len(found) != 1:
        raise ValueError(f"{wanted!r} is no notebook of this profile; it has {', '.join(names)}")
    return found[0]


def missing_tables(parameters: dict[str, Any]) -> list[str]:
    """Each "folder:PATH" among the values that does not exist, in words."""
    folders = [(name, value) for name, value in texts(parameters) if value.startswith("folder:")]
    paths = [(name, value, ROOT / value.removeprefix("folder:")) for name, value in folders]
    return [
        f"{name} is {value!r}, but {path} does not exist" for name, value, path in paths if not path.exists()
    ]


def texts(parameters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text among the values, those in lists too, with the parameter's name."""
    for name, value in parameters.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                yield name, item


def decide_all(files: list[Resolved], fresh: bool, known: set[str]) -> list[Planned]:
    """Decide notebook by notebook: what is made again here makes what reads it unequal."""
    steps, made = [], set()
    for each in files:
        name, parameters = each.run, each.parameters
        folder = runs_folder() / name
        needs = [
            value for _, value in texts(parameters) if value.rpartition("/")[2] in known and value != name
        ]
        action, why = decide(folder, parameters, needs, made, fresh)
        if action != "reuse":
            made.add(name)
        steps.append(Planned(each.notebook, each.changes, parameters, folder, action, why))
    return steps


def decide(
    folder: Path,
    parameters: dict,
    needs: list[str],
    made: set[str],
    fresh: bool = False,
    identify: Callable[[Mapping[str, str]], dict[str, dict]] = identities,
) -> tuple[str, str]:
    """Action and reason for one run folder; `needs` are the runs it reads, `made` those this plan makes.

    `identify` tells what its inputs are now, for a plan that asks often.
    """
    if lock.is_held(folder):
        return "refuse", "another process is writing it"
    try:
        for run in needs:
            if run not in made:
                finished_run(run)
        if fresh and folder.exists():
            return "renew", "asked to start afresh"
        if not (folder / "run.json").exists():
            return "run", "not made yet"
        record = read_record(folder)
        if again := [value["source"] for value in record["inputs"].values() if value["source"] in made]:
            return "refuse", f"its input {', '.join(again)} is made again"
        inputs = identify({name: value["source"] for name, value in record["inputs"].items()})
        if differences := compare(record, {"parameters": parameters, "inputs": inputs}):
            return "refuse", "; ".join(differences)
        if not (folder / "manifest.json").exists():
            return "resume", "stopped before its end"
        finished_run(f"{folder.parent.name}/{folder.name}")
        return "reuse", f"finished {read_manifest(folder)['finished']}, equal parameters and inputs"
    except ValueError as error:
        return "refuse", str(error)
