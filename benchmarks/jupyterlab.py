"""Does every notebook run in JupyterLab, and how long does a person wait for it?

`python benchmarks/jupyterlab.py` runs the notebooks of the profile smoke, one after the other in the order in
which they read each other, and writes results/jupyterlab.json: in the JupyterLab that `make lab` starts, in
headless Chromium, by the menu. Then it looks at each as a person would: no cell failed or warned, every
figure, widget and page in a frame is drawn, none is cut off at the side, the browser's console has no error,
and what answers to a person (the box of 00, the controls of 01 and 05, the maps of 06) does answer.

Nothing is reused: all runs are made afresh in a temporary folder. `python benchmarks/jupyterlab.py demo
FOLDER` takes another profile and an absolute folder, which keeps the runs, what was measured, and pictures of
every notebook, screen by screen; started again, it opens only those that failed.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from nbformat import NotebookNode
from papermill.iorw import load_notebook_node, write_ipynb
from papermill.parameterize import parameterize_notebook

from cpack_lib.work.figures import packaged_font
from cpack_lib.work.files import ROOT
from cpack_lib.work.plan import Planned, plan_profile
from cpack_lib.work.results import write_result

sys.path.insert(0, str(ROOT))  # for the browser that the tests use, too
from tests.work.browser import Tab, browser, chromium  # noqa: E402
from tests.work.lab import CELLS, ask, end_kernels, jupyterlab, open_notebook, run_all, save  # noqa: E402
from tests.work.pointing import point_at, typed  # noqa: E402

PATIENCE = 3_600  # seconds for one notebook
QUESTION = "怎样保存豆腐？"
WIDGET = "application/vnd.jupyter.widget-view+json"
LOOK = """(async () => {
const all = selector => [...document.querySelectorAll('.jp-Notebook .jp-OutputArea ' + selector)];
for (const cell of document.querySelectorAll('.jp-Notebook .jp-Cell')) {  // what is not seen may not be drawn
  cell.scrollIntoView();
  await new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)));
}
const box = element => element.getBoundingClientRect();
const drawn = element => box(element).width > 30 && box(element).height > 10;
const sound = image => drawn(image) && image.naturalWidth > 0;
const cuts = each => getComputedStyle(each).overflowX !== 'visible';
const wide = each => [each, ...each.querySelectorAll('*')].some(
  part => part.scrollWidth > part.clientWidth + 1 && cuts(part));
const bad = ['Error displaying widget', 'Loading widget', 'Failed to load model', 'Javascript Error'];
const outputs = all('.jp-OutputArea-output'), frames = all('iframe'), images = all('img');
return {
  errors: all('[data-mime-type$=".error"], [data-mime-type$=".stderr"]').length,
  figures: all('.jp-RenderedImage img').filter(sound).length,
  broken: images.filter(image => !sound(image)).length,
  widgets: outputs.filter(each => [...each.querySelectorAll('.jupyter-widgets')].some(drawn)).length,
  frames: frames.filter(drawn).length,
  bad: bad.filter(words => outputs.some(each => each.textContent.includes(words))),
  wide: outputs.filter(wide).map(each => each.textContent),
};
})()"""
PANEL = "document.querySelector('.jp-WindowedPanel-outer')"
HTML = "[...document.querySelectorAll('.jp-OutputArea .widget-html-content')].at(-1)?.innerHTML"


def changes(tab: Tab, act: Callable[[], object]) -> None:
    """Do something to a control, and wait until the table below it is another one."""
    before = tab.evaluate(HTML)
    act()
    tab.wait(f"{HTML} !== {json.dumps(before)}")


def move_the_cut(tab: Tab) -> None:
    """Notebook 01: other examples by a button, another cut by the slider."""
    buttons = "[...document.querySelectorAll('.widget-toggle-button')]"
    changes(tab, lambda: tab.click(f"{buttons}.find(each => each.textContent.trim() === 'by lot')"))
    tab.evaluate("document.querySelector('.widget-slider .noUi-handle').focus()")
    changes(tab, lambda: tab.press("ArrowRight", 39))


def choose_another(tab: Tab) -> None:
    """Notebook 05: the mistakes of another model."""
    menu = "document.querySelector('.widget-dropdown select')"
    other = f"{menu}.selectedIndex = {menu}.selectedIndex ? 0 : 1"  # the list itself is none of the page
    told = f"{menu}.dispatchEvent(new Event('change', {{bubbles: true}}))"
    changes(tab, lambda: tab.evaluate(f"{other}; {told}"))


def read_the_maps(tab: Tab) -> None:
    """Notebook 06: point at a text and click, it is kept; search a word, and all that hold it are marked."""
    tab.evaluate("document.querySelector('.jp-OutputArea iframe').scrollIntoView()")
    frame = tab.frame()
    data = json.loads(frame.wait("document.getElementById('data').textContent"))
    N, maps = len(data["texts"]), len(data["maps"])
    assert frame.wait("document.querySelectorAll('.map .point').length") == maps * N
    point_at(frame, 0, 0)
    frame.wait("!document.getElementById('hover').hidden && document.getElementById('text').innerText")
    point_at(frame, 0, 0, "mousePressed", "mouseReleased")
    text = frame.evaluate("document.getElementById('text').innerText")
    assert text in data["texts"], text
    typed(frame, word := text.split()[0][:2].lower())
    found = sum(word in text.lower() for text in data["texts"])
    frame.wait(f"document.getElementById('count').innerText === '{found} of {N} texts'")
    assert frame.evaluate("document.querySelectorAll('.map .point.found').length") == maps * found
    assert frame.errors == [], frame.errors


USES: dict[str, Callable[[Tab], object]] = {
    "00_tour": lambda tab: ask(tab, QUESTION),
    "01_curate_pairs": move_the_cut,
    "05_evaluate_cmteb": choose_another,
    "06_map_embeddings": read_the_maps,
}


def held(notebook: NotebookNode) -> Counter[str]:
    """How many errors and warnings, figures, widgets and frames the outputs of a saved notebook hold."""
    found = Counter(errors=0, figures=0, widgets=0, frames=0)
    for output in (each for cell in notebook.cells for each in cell.get("outputs", [])):
        data = output.get("data", {})
        found["errors"] += output.output_type == "error" or output.get("name") == "stderr"
        if WIDGET in data:
            found["widgets"] += 1
        elif "text/html" in data:
            found["frames"] += data["text/html"].lstrip().startswith("<iframe")
        else:
            found["figures"] += "image/png" in data
    return found


def look(tab: Tab, saved: NotebookNode) -> dict[str, int]:
    """What the page shows of a notebook that has run; AssertionError unless it is all that its file holds."""
    left = [cell.source[:80] for cell in saved.cells if cell.cell_type == "code" and not cell.execution_count]
    assert not left, f"cells that did not run: {left}"
    shown, expected = tab.evaluate(LOOK), held(saved)
    seen = {name: shown[name] for name in expected}
    assert seen == expected, f"shown {seen}, in the file {dict(expected)}"
    assert seen["figures"] and not seen["errors"] and not shown["broken"], shown
    assert not shown["bad"], shown["bad"]
    assert not shown["wide"], f"wider than the page: {[text[:80] for text in shown['wide']]}"
    return seen


def keep_pictures(tab: Tab, folder: Path, name: str) -> None:
    """Save the notebook as PNG, screen by screen."""
    folder.mkdir(parents=True, exist_ok=True)
    high, screen = tab.evaluate(f"[{PANEL}.scrollHeight, {PANEL}.clientHeight]")
    for number, top in enumerate(range(0, high, screen)):
        tab.evaluate(f"{PANEL}.scrollTop = {top}")
        time.sleep(0.4)
        tab.picture(folder / f"{name}_{number:02}.png")


def visit(tab: Tab, address: str, step: Planned, path: Path, pictures: Path | None) -> dict[str, Any]:
    """Open a notebook, run it, look at it and use it -> its row; AssertionError for what is wrong with it."""
    shutil.rmtree(step.folder, ignore_errors=True)  # of a run that failed before
    write_ipynb(parameterize_notebook(load_notebook_node(str(step.notebook)), step.changes), str(path))
    painted, opened = open_notebook(tab, address.replace("NAME", path.name))
    ran = run_all(tab, step.folder / "manifest.json", PATIENCE)
    cells = len(load_notebook_node(str(path)).cells)
    tab.wait(f"{CELLS} === {cells}", PATIENCE)
    saved = save(tab, path)
    if pictures:
        keep_pictures(tab, pictures, step.name)
    seen = look(tab, saved)
    if step.name in USES:
        USES[step.name](tab)
    assert tab.errors == [], f"in the browser's console: {tab.errors[:3]}"
    own = (address.partition("/lab/")[0], "data:", "blob:", "about:")
    foreign = [url for url in tab.requests if not url.startswith(own)]
    assert not foreign, f"asked of other hosts: {foreign[:3]}"
    return {"cells": cells, "first_paint_s": painted, "open_s": opened, "run_s": ran} | seen


def measure(profile: str, folder: Path, pictures: Path | None) -> list[dict[str, Any]]:
    """A row for each notebook of a profile; what went wrong with it, in `problem`."""
    os.environ["CPACK_RUNS"] = str(folder / "runs")
    notebooks, journal = folder / "home" / "notebooks", folder / "rows.jsonl"
    notebooks.mkdir(parents=True, exist_ok=True)
    journal.touch()
    rows = {row["notebook"]: row for row in map(json.loads, journal.read_text("utf-8").splitlines())}
    steps = plan_profile(profile)
    with jupyterlab(folder / "home") as address:
        for step in steps:
            if rows.get(step.name, {"problem": "not opened yet"})["problem"]:
                path = notebooks / step.notebook.name
                rows[step.name] = row = {"notebook": step.name} | tried(address, step, path, pictures)
                with journal.open("a", encoding="utf-8") as file:
                    print(json.dumps(row, ensure_ascii=False), file=file)
                print(json.dumps(row, ensure_ascii=False), flush=True)
    return [rows[step.name] for step in steps]


def tried(address: str, step: Planned, path: Path, pictures: Path | None) -> dict[str, Any]:
    """What `visit` finds, in a browser of its own; or the problem, whatever it is. No kernel is left."""
    try:
        with browser(packaged_font().parent) as tab:  # a desktop has Chinese fonts
            return visit(tab, address, step, path, pictures) | {"problem": ""}
    except Exception as error:  # it is told in the table, and the others are still looked at
        return {"problem": f"{type(error).__name__}: {error}"[:2_000]}
    finally:
        end_kernels(address)


def main(profile: str = "smoke", kept: str | None = None) -> None:
    """Measure, and write results/jupyterlab.json; exit code 1 where a notebook failed."""
    if not chromium():
        sys.exit("no chromium here: .ci/chromium installs it on Debian as root")
    if kept:
        rows = measure(profile, Path(kept), Path(kept) / "pictures")
    else:
        with tempfile.TemporaryDirectory(prefix="cpack-lab-") as folder:
            rows = measure(profile, Path(folder), None)
    good = [row for row in rows if not row["problem"]]
    if not good:
        sys.exit(f"not one notebook ran: {rows[0]['problem']}")
    times = {name: [row[name] for row in good] for name in ("first_paint_s", "open_s", "run_s")}
    write_result(
        "jupyterlab",
        what=f"Every notebook of the profile {profile}, run in JupyterLab by the menu, looked at and used",
        command="python benchmarks/jupyterlab.py" + (f" {profile}" if profile != "smoke" else ""),
        figures={
            "notebooks": len(rows),
            "failed": len(rows) - len(good),
            "figures_drawn": sum(row["figures"] for row in good),
            "widgets_drawn": sum(row["widgets"] for row in good),
            "first_paint_s": round(median(times["first_paint_s"]), 2),
            "open_s": round(median(times["open_s"]), 2),
            "run_minutes": round(sum(times["run_s"]) / 60, 1),
        },
        spread={
            name: [round(min(times[name]), 2), round(max(times[name]), 2)]
            for name in ("first_paint_s", "open_s")
        },
        rows=rows,
    )
    if len(good) < len(rows):
        sys.exit(f"failed: {', '.join(row['notebook'] for row in rows if row['problem'])}")


if __name__ == "__main__":
    main(*sys.argv[1:])
