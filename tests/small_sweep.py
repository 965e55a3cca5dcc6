"""A small project for tests of sweeps: two notebooks of a second each, a profile, a sweep over two points."""

from collections.abc import Callable
from pathlib import Path

from cpack_lib.work.runs import open_run
from cpack_lib.work.sweeps.planning import SweepPlan

FIRST = (
    'run_name: str = "tiny"  # folder under runs/\n'
    "rows: int = 2  # rows\n"
    "wait: float = 0.0  # seconds\n"
    "boom: bool = False  # fail\n"
    "seed: int = 0  # of what is drawn"
)
SECOND = (
    'run_name: str = "tiny"  # folder under runs/\n'
    'first: str = "tiny/01_first"  # RUN/NOTEBOOK\n'
    'other: str = ""  # RUN/NOTEBOOK\n'
    "steps: int = 4  # steps\n"
    "rows_per_step: int = 2  # rows of a step\n"
    "rate: float = 0.5  # scale\n"
    "seed: int = 0  # of what is drawn"
)
OPEN = "import time\nfrom cpack_lib.work.parameters import settle\nfrom cpack_lib.work.runs import open_run\n"
OPEN += "parameters = settle(globals())\n"
SCORES = """
text = (run.inputs["first"] / "rows.txt").read_text()
value = rate * len(text) / 3 + seed / 7 + steps * rows_per_step / 11
lines = [f"{first},echo,STS,spearman,{value!r},1", "bm25,echo,STS,spearman,5.0,2"]
(run.folder / "scores.csv").write_text("\\n".join(["model,task,type,metric,score,rank", *lines, ""]))
run.finish(value=value)
"""
SWEEP = """
profile: tiny
goals: [02_second]
axes:
  - zip: {02_second: {rows_per_step: [1, 2], rate: [0.25, 0.5]}}
roles: {rows_per_step: scientific, rate: nuisance}
"""


def make_project(
    home: Path, write_notebook: Callable[..., Path], sweep: str = SWEEP, training: str = ""
) -> Path:
    """Write notebooks, profile and sweep into a folder; `training` is what the second one does first."""
    write_notebook(
        home / "notebooks/01_first.ipynb",
        FIRST,
        OPEN + 'run = open_run("01_first", run_name, parameters)',
        'assert not boom, "it went boom"\ntime.sleep(wait)',
        '(run.folder / "rows.txt").write_text("行" * (rows + seed))\nrun.finish(rows=rows)',
    )
    write_notebook(
        home / "notebooks/02_second.ipynb",
        SECOND,
        OPEN + 'run = open_run("02_second", run_name, parameters, {"first": first})',
        training,
        SCORES,
    )
    for notebook in ("01_first", "02_second"):
        path = home / f"params/tiny/{notebook}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    write_sweep(home, sweep)
    return home


def write_sweep(home: Path, text: str, name: str = "small") -> None:
    """Write params/sweeps/NAME.yaml."""
    path = home / f"params/sweeps/{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def finish(plan: SweepPlan, *but: str) -> None:
    """Make the runs of a plan as their notebooks would, without kernels, but those of some points."""
    for run in plan.runs.values():
        if set(run.points) <= set(but):
            continue
        planned = run.planned
        inputs = {"first": planned.parameters["first"]} if "first" in planned.parameters else {}
        made = open_run(planned.name, planned.folder.parent.name, planned.parameters, inputs)
        if made.finished:
            continue
        (made.folder / "rows.txt").write_text("行")
        if inputs:
            lines = [f"{inputs['first']},echo,STS,spearman,{planned.parameters['rate']},1"]
            text = "\n".join(
                ["model,task,type,metric,score,rank", *lines, "bm25,echo,STS,spearman,5.0,2", ""]
            )
            (made.folder / "scores.csv").write_text(text)
        made.finish(rows=2)
