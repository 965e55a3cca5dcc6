"""What a cluster asks of its users, in one file: params/sites/SITE.yaml."""

import sys
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin

from cpack_lib.work.files import ROOT
from cpack_lib.work.parameters import misfit, read_changes
from cpack_lib.work.sweeps.read import meant


@dataclass(frozen=True)
class Site:
    """Where and with what each job runs; params/sites/example.yaml says more of every line."""

    partition: str = ""  # "" leaves it to the cluster
    account: str = ""  # billed; "" where nobody is
    time: str = "04:00:00"  # of one job, hours:minutes:seconds; a run that needs more goes on in the next
    nodes: int = 1  # of one job
    gpus_per_node: int = 0  # 0 asks for none
    processes_per_node: int = 0  # that train together; 0: one for each GPU, or what the notebook says
    cpus_per_node: int = 2  # cores
    memory: str = "8G"  # of a node
    modules: list[str] = field(default_factory=list)  # module load, in this order
    setup: list[str] = field(default_factory=list)  # lines of bash before the work, such as source venv
    container: str = ""  # words before python, such as apptainer exec --nv IMAGE
    python: str = sys.executable  # with the packages of constraints.txt, on every node
    warning_seconds: int = 300  # before a job's end, when its training is asked for a checkpoint
    restarts: int = 50  # of one job, after which it is given up
    at_once: int = 16  # jobs of one array
    options: list[str] = field(default_factory=list)  # further options of sbatch, such as --qos=low
    notebooks: dict[str, dict[str, Any]] = field(default_factory=dict)  # NOTEBOOK: lines that differ for it

    @property
    def processes(self) -> int:
        """Training processes on each node; 0 leaves it to the notebook."""
        return self.processes_per_node or self.gpus_per_node or (1 if self.nodes > 1 else 0)

    def of(self, notebook: str) -> "Site":
        """The same site with what one notebook asks for."""
        return replace(self, **self.notebooks.get(notebook, {}))


def read_site(name: str | None, home: Path = ROOT) -> Site:
    """The site params/sites/NAME.yaml; ValueError names the file, the line and the value that is wrong."""
    known = sorted(path.stem for path in (home / "params" / "sites").glob("*.yaml"))
    if name not in known:
        wanted = f"there is no site {name!r}" if name else "a job needs a site"
        raise ValueError(f"{wanted}; write --site and one of params/sites/: {', '.join(known) or 'none yet'}")
    path = home / "params" / "sites" / f"{name}.yaml"
    told = read_changes(path)
    for place, values in [("", told), *notebook_lines(told, path)]:
        check_lines(values, f"{path}: {place}")
    return Site(**told)


def notebook_lines(told: dict[str, Any], path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The lines of each notebook, with the words that open an error about them."""
    found = told.get("notebooks", {})
    if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
        raise ValueError(f"{path}: notebooks is {found!r}; write NOTEBOOK: {{line: value}}")
    if any("notebooks" in values for values in found.values()):
        raise ValueError(f"{path}: notebooks stand within notebooks; write each once")
    return [(f"{notebook}: ", values) for notebook, values in found.items()]


def check_lines(values: dict[str, Any], opening: str) -> None:
    """Refuse what a site has not, or has in another type, or cannot mean."""
    kinds = {each.name: each.type for each in fields(Site)}
    for name, value in values.items():
        if name not in kinds:
            raise ValueError(f"{opening}{name} is no line of a site; {meant(name, kinds)}")
        kind = kinds[name]
        if get_origin(kind) is not dict and (reason := misfit(value, kind)):
            told = str(kind) if get_args(kind) else kind.__name__
            raise ValueError(f"{opening}{name} has to be {told}, but it is {value!r}{reason}")
        least = 0 if name in ("gpus_per_node", "processes_per_node", "restarts") else 1
        if kind is int and value < least:
            raise ValueError(f"{opening}{name} is {value}; it has to be at least {least}")
