"""One page for a run: runs/<run>/report.html, made of its folders' files only and in need of nothing else.

01 gives the funnel, 02 to 04 the losses, 05 the scores, 05 or 06 the map and the neighbours. What is absent
is said to be absent, and a run that is not finished is said not to be.
"""

import io
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import polars as pl

from cpack_lib.work import figures
from cpack_lib.work.files import runs_folder
from cpack_lib.work.pages import standalone
from cpack_lib.work.pages.grid import best_in_bold
from cpack_lib.work.progress import told
from cpack_lib.work.runs import finished_run, read_manifest, read_record

MOST_FIGURES, MOST_QUERIES, MOST_ANSWERS = 3, 12, 5  # on the page; the rest stays in the run folder
WINDOW = 40  # running medians over 1/40 of a log


def write_report(run: str) -> Path:
    """Write runs/<run>/report.html and return its path; ValueError where there is no such run."""
    folders = {path.name[:2]: path for path in sorted((runs_folder() / run).glob("[0-9][0-9]_*"))}
    if not folders:
        raise ValueError(f"there is no run {run!r} in {runs_folder()}; `cpack status` lists what there is")
    page = standalone.render(
        "report.html",
        run=run,
        facts=facts(folders),
        curation=curation(folders),
        training=training(folders),
        scores=scores(folders),
        space=space(folders),
    )
    path = runs_folder() / run / "report.html"
    path.write_text(page, "utf-8")
    return path


def facts(folders: dict[str, Path]) -> str:
    """Minutes, machine, commit and date of the run, from the folders that are finished."""
    done = [folder for folder in folders.values() if note(folder)["finished"]]
    if not done:
        return "Nothing in this run is finished."
    manifests, record = [read_manifest(folder) for folder in done], read_record(done[-1])
    device, commit = record["device"], (record["commit"] or "no commit")[:10]
    parts = [
        f"{len(done)} of {len(folders)} notebooks finished, the last on {manifests[-1]['finished'][:10]}",
        f"{sum(manifest['minutes'] for manifest in manifests):.1f} minutes",
        f"{device['cores']} cores, {device['memory_gib']:.0f} GiB",
        *device["gpus"],
        f"commit {commit}{' with changes' if record['dirty'] else ''}",
    ]
    return " · ".join(parts)


def note(folder: Path) -> dict[str, Any]:
    """Whether one folder's run is finished, in words."""
    try:
        manifest = read_manifest(finished_run(f"{folder.parent.name}/{folder.name}"))
    except ValueError:
        text = "not finished; what is shown of it may still change"
        return {"notebook": folder.name, "finished": False, "text": text}
    text = f"{manifest['minutes']:.1f} minutes · {told(manifest['figures'])}"
    return {"notebook": folder.name, "finished": True, "text": text}


def chosen(folders: dict[str, Path], numbers: list[str]) -> tuple[list[Path], list[dict[str, Any]]]:
    """The folders with these numbers that are there, and a note on each number."""
    missing = [{"notebook": number, "finished": False, "text": "not made in this run"} for number in numbers]
    notes = [
        note(folders[number]) if number in folders else gap
        for number, gap in zip(numbers, missing, strict=True)
    ]
    return [folders[number] for number in numbers if number in folders], notes


def curation(folders: dict[str, Path]) -> dict[str, Any]:
    """The funnel of 01, over all sources, and its figures."""
    found, notes = chosen(folders, ["01"])
    tables = [path for folder in found for path in folder.rglob("funnel.csv")]
    return {"notes": notes, "funnel": funnel(tables[0]) if tables else [], "figures": drawn(found, "*.png")}


def funnel(path: Path) -> list[dict[str, Any]]:
    """Rows in and left for each rule of a funnel.csv (stage, rule, source, rows_in, rows_out)."""
    table = pl.read_csv(path).group_by("stage", "rule", maintain_order=True)
    rows = []
    for row in table.agg(pl.col("rows_in", "rows_out").sum()).iter_rows(named=True):
        share = row["rows_out"] / max(row["rows_in"], 1)
        shown = {"rows_in": f"{row['rows_in']:,}", "rows_out": f"{row['rows_out']:,}"}
        rows.append(row | shown | {"bar": round(60 * share), "share": f"{100 * share:.1f} %"})
    return rows


def drawn(folders: list[Path], pattern: str) -> list[dict[str, str]]:
    """The figures of some runs whose file name fits, as data URIs."""
    paths = [path for folder in folders for path in sorted((folder / "figures").glob(pattern))]
    named = [(path.stem.replace("_", " "), path) for path in paths]
    return [{"name": name, "source": standalone.picture(path)} for name, path in named[:MOST_FIGURES]]


def training(folders: dict[str, Path]) -> dict[str, Any]:
    """The losses of 02, 03 and 04, one panel for each program that they started."""
    found, notes = chosen(folders, ["02", "03", "04"])
    logs = {
        f"{folder.name[:2]} · {path.parent.name}": losses(path)
        for folder in found
        for path in sorted(folder.rglob("log.jsonl"), key=lambda path: path.stat().st_mtime)
    }
    curves = [
        {"name": name, "source": plot_loss(name, log, colour)}
        for (name, log), colour in zip(logs.items(), figures.OKABE_ITO, strict=False)
        if len(log)
    ]
    return {"notes": notes, "curves": curves}


def losses(path: Path) -> pl.DataFrame:
    """`step` and `loss` of a log.jsonl; of a step logged twice (resumed) the last."""
    rows = []
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if line.endswith("\n"):  # a killed program may leave half a line
            entry = json.loads(line)
            if "step" in entry and "loss" in entry:
                rows.append((entry["step"], float(entry["loss"])))
    table = pl.DataFrame(rows, schema={"step": pl.Int64, "loss": pl.Float64}, orient="row")
    return table.unique("step", keep="last").sort("step")


def plot_loss(name: str, log: pl.DataFrame, colour: str) -> str:
    """Loss by step of one stage as an SVG data URI, its text drawn as paths."""
    thin = log.gather_every(max(len(log) // 600, 1))
    smooth = log["loss"].rolling_median(max(len(log) // WINDOW, 1), min_samples=1, center=True)
    with plt.rc_context():
        figures.use_style()
        plt.rcParams["svg.fonttype"] = "path"
        figure, ax = plt.subplots(figsize=(3.6, 2.6))
        ax.plot(thin["step"], thin["loss"], color=colour, alpha=0.25, linewidth=1)
        ax.plot(log["step"], smooth, color=colour)
        ax.set_title(name, fontsize=10, loc="left")
        ax.set_xlabel("step")
        ax.set_ylabel("loss")
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
    return standalone.data_uri(file.getvalue(), "image/svg+xml")


def scores(folders: dict[str, Path]) -> dict[str, Any]:
    """05's averages, and its scores with one column per model."""
    found, notes = chosen(folders, ["05"])
    tables = {
        name: pl.read_csv(path).with_columns(pl.col("model").str.strip_prefix(f"{folder.parent.name}/"))
        for name in ("averages", "scores")
        for folder in found
        if (path := folder / f"{name}.csv").exists()
    }
    averages, by_task = tables.get("averages"), tables.get("scores")
    if by_task is not None:
        by_task = by_task.pivot(
            "model", index=["type", "task", "metric"], values="score", aggregate_function="mean"
        )
    return {
        "notes": notes,
        "averages": None if averages is None else best_in_bold(averages, along="column"),
        "tasks": None if by_task is None else best_in_bold(by_task.sort("type"), along="row"),
    }


def space(folders: dict[str, Path]) -> dict[str, Any]:
    """The map of the embeddings and some neighbours, of 06 or else of 05."""
    found, notes = chosen(folders, ["06"])
    both = [*found, *[folders[number] for number in ("05",) if number in folders]]
    maps = [folder for folder in both if list(folder.glob("figures/*map*.png"))]
    answers = [path for folder in both for path in folder.rglob("neighbours.json")]
    entries = json.loads(answers[0].read_text("utf-8"))[:MOST_QUERIES] if answers else []
    cut = [{"query": entry["query"], "answers": entry["answers"][:MOST_ANSWERS]} for entry in entries]
    return {"notes": notes, "figures": drawn(maps[:1], "*map*.png"), "neighbours": cut}
