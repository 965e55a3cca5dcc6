"""Run folders: runs/<run>/<notebook>/, opened by one process at a time, believed only once finished.

`run.json` (what was asked) is written first, `manifest.json` (what was made) last, both aside and renamed.
So a folder without a manifest is never taken for a result, whenever its process died.
"""

import math
import re
import resource
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpack_lib.work import lock, provenance
from cpack_lib.work.files import ROOT, describe, digest, read_json, runs_folder, table_identity, write_json

if TYPE_CHECKING:  # they take a second, and a launcher only looks at folders
    import polars as pl
    from matplotlib.figure import Figure

__all__ = ["ROOT", "Run", "compare", "finished_run", "open_run", "run_identity", "runs_folder"]

NAME = re.compile(r"\w[\w.-]*")
SWEPT = "sweep."  # a run of a sweep is named so, and after what it depends on
UNREAD_BY_OTHERS = ("run.json", "figures/*", "*.log", "log.jsonl")  # of a run, when it is another one's input


@dataclass
class Run:
    """A run folder while its notebook works. A finished one keeps its files: writing into it does nothing."""

    folder: Path
    parameters: dict[str, Any]
    inputs: dict[str, Path]
    finished: bool
    started: float = field(default_factory=time.monotonic)

    @property
    def figures(self) -> Path:
        """The folder of its figures."""
        return self.folder / "figures"

    def figure(self, figure: "Figure", name: str) -> None:
        """Save a figure as figures/name.png and figures/name.svg."""
        if self.finished:
            return
        self.figures.mkdir(exist_ok=True)
        figure.savefig(self.figures / f"{name}.png", dpi=160)
        figure.savefig(self.figures / f"{name}.svg", metadata={"Date": None})

    def table(self, table: "pl.DataFrame", name: str) -> None:
        """Save a table as name.csv."""
        if not self.finished:
            table.write_csv(self.folder / f"{name}.csv")

    def finish(self, **figures: float) -> None:
        """Check this run's files and figures and write its manifest: from here on it counts as finished.

        Checkpoints of its trainings go, three times the size of the encoder: nothing comes back to them.
        """
        for name, value in figures.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"{self.folder}: {name} is {value!r}; finish() takes finite numbers")
        if self.finished:
            return
        for checkpoint in self.folder.glob("*/checkpoint-*"):
            shutil.rmtree(checkpoint)
        files = describe(self.folder, self.folder.name)
        if empty := [name for name, file in files.items() if not file["size"] and not name.endswith(".log")]:
            raise ValueError(f"{self.folder}: {', '.join(empty)} is empty; make it again before finish()")
        manifest = {
            "finished": now(),
            "minutes": round((time.monotonic() - self.started) / 60, 2),
            "peak_gib": peak_gib(),
            "figures": figures,
            "files": files,
        }
        write_json(self.folder / "manifest.json", manifest)
        self.finished = True
        lock.release(self.folder)


def open_run(
    notebook: str, run_name: str, parameters: dict[str, Any], inputs: Mapping[str, str] | None = None
) -> Run:
    """The folder runs/<run_name>/<notebook>/, locked for this process, with run.json written.

    `inputs` names what the notebook reads: "RUN/NOTEBOOK" (becomes a Path in Run.inputs) or a table such as
    "folder:PATH". A finished run with equal parameters and inputs is handed back with `finished` set; one
    with others is a ValueError naming the difference, and so is a folder that another process is writing.
    """
    for name in (notebook, run_name):
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a run folder; use letters, digits, '_', '-' and '.'")
    inputs = dict(inputs or {})
    folder, newly = runs_folder() / run_name / notebook, False
    record = new_record(notebook, run_name, parameters, identities(inputs))
    paths = {name: finished_run(value) for name, value in inputs.items() if ":" not in value}
    if not (folder / "manifest.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        newly = lock.take(folder)
    try:
        refuse_other(folder, record)
        if (folder / "manifest.json").exists():  # perhaps finished by another process while this one waited
            finished_run(f"{run_name}/{notebook}")
            lock.release(folder)
            return Run(folder, parameters, paths, finished=True)
        write_json(folder / "run.json", record | {"opened": [*opened(folder), now()]})
    except Exception:
        if newly:
            lock.release(folder)
        raise
    return Run(folder, parameters, paths, finished=False)


def finished_run(name: str) -> Path:
    """The folder of the finished run "RUN/NOTEBOOK"; ValueError says what to run where it is not finished."""
    run_name, _, notebook = name.partition("/")
    if not NAME.fullmatch(run_name) or not NAME.fullmatch(notebook):
        raise ValueError(f"{name!r} names no run; write RUN/NOTEBOOK, for example demo/01_curate_pairs")
    folder = runs_folder() / run_name / notebook
    command = "cpack sweep NAME" if run_name.startswith(SWEPT) else f"cpack run {run_name} --only {notebook}"
    again = f"make it with `{command}`, or run the notebook in JupyterLab"
    if not (folder / "manifest.json").exists():
        state = "is not finished" if folder.exists() else "does not exist"
        raise ValueError(f"the run {name} {state} ({folder}); {again}")
    for file, expected in read_manifest(folder)["files"].items():
        path = folder / file
        if not path.is_file() or path.stat().st_size != expected["size"]:
            change = "has changed" if path.is_file() else "is gone"
            raise ValueError(f"{path} {change} since {name} finished; move {folder} away, then {again}")
    return folder


def run_identity(name: str) -> str:
    """16 hex digits for what a finished run offers others: its files without run.json, figures, logs."""
    files = read_manifest(finished_run(name))["files"]
    read = {file: about["sha256"] for file, about in files.items()}
    return digest(
        {file: mark for file, mark in read.items() if not any(map(Path(file).match, UNREAD_BY_OTHERS))}
    )


def identities(inputs: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Input name -> its `source` and the `fingerprint` of what stands there now."""
    return {
        name: {
            "source": source,
            "fingerprint": table_identity(source) if ":" in source else run_identity(source),
        }
        for name, source in inputs.items()
    }


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """How two run.json differ in parameters and inputs, one short sentence each; empty where equal."""
    before, after = (
        {**record["parameters"], **{f"input {name}": value for name, value in record["inputs"].items()}}
        for record in (before, after)
    )
    return [
        difference(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if name not in before or name not in after or before[name] != after[name]
    ]


def difference(name: str, before: Any, after: Any) -> str:
    """One difference in words; for an input that changed under an unchanged name, that it did."""
    if isinstance(before, dict) and isinstance(after, dict):
        if before["source"] == after["source"]:
            return f"{name} {before['source']} holds other files than it did"
        before, after = before["source"], after["source"]
    return f"{name} was {before!r}, now {after!r}"


def refuse_other(folder: Path, record: Mapping[str, Any]) -> None:
    """ValueError if the folder holds a run with other parameters or inputs, finished or not."""
    if not (folder / "run.json").exists():
        return
    if differences := compare(read_record(folder), record):
        raise ValueError(
            f"{folder} holds another run: {'; '.join(differences)}. Choose another run_name, or move the "
            f"folder away (`cpack run PROFILE --only {folder.name} --fresh` puts it under runs/.aside)"
        )


def read_record(folder: Path) -> dict[str, Any]:
    """run.json of a folder; ValueError where it is damaged."""
    return read_json(folder / "run.json", {"parameters": dict, "inputs": dict})


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a folder; ValueError where it is damaged."""
    return read_json(folder / "manifest.json", {"files": dict, "figures": dict})


def opened(folder: Path) -> list[str]:
    """When this run was opened before, each time by a process that did not finish."""
    return read_record(folder).get("opened", []) if (folder / "run.json").exists() else []


def new_record(notebook: str, run_name: str, parameters: dict[str, Any], inputs: dict) -> dict[str, Any]:
    """What run.json says of a run that is opened now, but for the times."""
    asked = {"notebook": notebook, "run": run_name, "parameters": parameters, "inputs": inputs}
    return asked | {"seed": parameters.get("seed")} | provenance.here()


def now() -> str:
    """The local time with its offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def peak_gib() -> float:
    """The highest memory of this process or of one program it started, GiB of host memory."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    unit = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss counts bytes there, KiB on Linux
    return round(max(resource.getrusage(kind).ru_maxrss for kind in kinds) / unit, 3)
