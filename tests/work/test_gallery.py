"""Promises of cpack_lib.work.pages.gallery and cpack_lib.work.notebooks."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from cpack_lib.work.cli import main
from cpack_lib.work.files import ROOT, runs_folder
from cpack_lib.work.notebooks import BEGIN, END, opening, tidy
from cpack_lib.work.pages.contents import anchored, sections
from cpack_lib.work.pages.gallery import write_gallery

WIDTHS = [400, 1400]  # px: a phone, a screen
SMOKE = runs_folder() / "smoke"  # of this repository, looked up before any test has its own

FIRST = """# {number} · {title}

**What does {title} teach?** You will be able to count.

*Needs*: nothing; a minute | 1 GiB.
*Makes*: `rows.txt`, `figures/`
"""


def cells(number, title, *more):
    first = nbformat.v4.new_markdown_cell(FIRST.format(number=number, title=title), id="first")
    return nbformat.v4.new_notebook(cells=[first, *more])


@pytest.fixture
def home(tmp_path):
    """Two notebooks, the first with outputs left in it, and a README with markers."""
    code = nbformat.v4.new_code_cell(
        "a: int = 1", id="code", execution_count=3, metadata={"tags": ["parameters"]}
    )
    code.metadata["collapsed"] = True
    code.outputs = [nbformat.v4.new_output("stream", text="1")]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(cells(1, "Curate pairs", code), tmp_path / "notebooks/01_curate_pairs.ipynb")
    nbformat.write(cells(2, "Pre-train"), tmp_path / "notebooks/02_pretrain.ipynb")
    tables = "\n\n".join(
        f"{BEGIN.format(name)}\nold\n{END.format(name)}" for name in ("notebooks", "results")
    )
    (tmp_path / "README.md").write_text(f"# C-Pack\n\n{tables}\n\nEnd.\n")
    (tmp_path / "results").mkdir()
    told = {"what": "Speed | of one.", "command": "python benchmarks/one.py"}
    (tmp_path / "results/one.json").write_text(json.dumps(told))
    return tmp_path


def test_the_opening_of_a_notebook_has_its_parts(home):
    found = opening(home / "notebooks/01_curate_pairs.ipynb")
    assert (found.number, found.title, found.question) == (1, "Curate pairs", "What does Curate pairs teach?")
    assert (found.needs, found.makes) == (r"nothing; a minute \| 1 GiB", "`rows.txt`, `figures/`")


@pytest.mark.parametrize("part", ["# 1 · ", "teach?", "*Needs*", "*Makes*"])
def test_a_missing_part_is_named(home, part):
    path = home / "notebooks/01_curate_pairs.ipynb"
    path.write_text(path.read_text().replace(part, "x"))
    with pytest.raises(ValueError, match="01_curate_pairs.ipynb: the first cell"):
        opening(path)


def test_tidy_empties_links_and_lists_and_a_second_time_changes_nothing(home):
    assert len(tidy(home)) == 3
    one = json.loads((home / "notebooks/01_curate_pairs.ipynb").read_text())
    assert one["cells"][1]["outputs"] == [] and one["cells"][1]["execution_count"] is None
    assert one["cells"][1]["metadata"] == {"tags": ["parameters"]} and one["cells"][1]["id"] == "code"
    assert "".join(one["cells"][0]["source"]).endswith("\n\n[2 · Pre-train](02_pretrain.ipynb) →")
    two = nbformat.read(home / "notebooks/02_pretrain.ipynb", 4).cells[0].source
    assert two.endswith("\n\n← [1 · Curate pairs](01_curate_pairs.ipynb)")
    row = "| [02 · Pre-train](notebooks/02_pretrain.ipynb) | What does Pre-train teach? |"
    readme = (home / "README.md").read_text()
    assert row in readme and "old" not in readme and readme.endswith("End.\n")
    assert "| [one](results/one.json) | Speed \\| of one | `python benchmarks/one.py` |" in readme
    assert tidy(home) == []


def test_a_new_neighbour_replaces_the_old_way(home):
    tidy(home)
    nbformat.write(cells(3, "Contrast"), home / "notebooks/03_contrast.ipynb")
    tidy(home)
    lines = nbformat.read(home / "notebooks/02_pretrain.ipynb", 4).cells[0].source.splitlines()
    assert lines[-1] == "← [1 · Curate pairs](01_curate_pairs.ipynb) | [3 · Contrast](03_contrast.ipynb) →"
    assert sum("ipynb" in line for line in lines) == 1


def test_a_readme_without_markers_is_an_error(home, capsys):
    (home / "README.md").write_text("# C-Pack")
    assert main(["tidy"], home) == 2
    assert "README.md has lost a marker" in capsys.readouterr().err


@pytest.fixture
def executed(runs):
    """A run with one executed notebook: a formula, Chinese, a table, a figure, an error."""
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    shown = nbformat.v4.new_code_cell("show('检索')", execution_count=1)
    shown.outputs = [
        nbformat.v4.new_output("stream", text="北京\n"),
        nbformat.v4.new_output("display_data", data={"image/png": pixel, "text/plain": "figure"}),
        nbformat.v4.new_output(
            "execute_result", data={"text/html": "<table><tr><td>葱爆肉</td></tr></table>"}
        ),
        nbformat.v4.new_output(
            "error", ename="ValueError", evalue="no", traceback=["\x1b[31mValueError: no"]
        ),
        nbformat.v4.new_output("display_data", data={"application/javascript": "alert(1)"}),
    ]
    formula = nbformat.v4.new_markdown_cell("so $q \\cdot p / \\tau$ costs `$5`\n\n$$\\frac{a}{b}$$")
    folder = runs / "demo/03_contrast_pairs"
    folder.mkdir(parents=True)
    nbformat.write(cells(3, "Contrast pairs", formula, shown), folder / "03_contrast_pairs.ipynb")
    return runs / "demo"


def test_a_gallery_is_an_index_and_pages_that_need_no_other_host(executed, capsys):
    assert main(["gallery", "demo"]) == 0
    index = (executed / "gallery/index.html").read_text()
    page = (executed / "gallery/03_contrast_pairs.html").read_text()
    assert 'href="03_contrast_pairs.html"' in index and "not finished" in index
    assert page.count("<math") == 2 and "<mfrac>" in page and "<code>$5</code>" in page
    assert "<script" not in page and "alert(1)" not in page and "https://" not in page.replace("xmlns", "")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_shows_a_page_whole(executed, measure, width):
    seen = measure(write_gallery("demo").with_name("03_contrast_pairs.html"), width)
    assert seen["missing"] == [] and seen["chinese"] == 7 and seen["narrow"] == []
    assert seen["broken"] == [] and seen["images"] == 1 and seen["wide"] <= width


def test_a_run_without_executed_notebooks_is_named(runs):
    with pytest.raises(ValueError, match="no executed notebooks"):
        write_gallery("none")


def test_headings_become_targets_of_their_own_and_sections_hold_the_words_below():
    page = anchored(
        "<h1>A &amp; B</h1><p>检索</p><h2>A</h2><h2>A</h2><table><tr><td>x</td><td>y</td></tr></table>"
    )
    found = list(sections(page))
    assert [part.anchor for part in found] == ["a-b", "a", "a-2"] and found[0].title == "A & B"
    assert [part.text for part in found] == ["检索", "", "x y"] and found[1].level == 2


DRAWS = """import ipywidgets, matplotlib.pyplot as plt, polars as pl
from IPython.display import Markdown
from cpack_lib.work import figures
figures.use_style()"""
SHOWS = [
    'plt.plot([1, 2]); plt.xlabel("排名"); plt.show()',
    'pl.DataFrame({"查询": ["<script>alert(1)</script>", "葱爆羊肉怎么做？" * 12]})',
    "ipywidgets.Text(value='龘')",
    'Markdown("[1 · Curate](01_curate.ipynb) and [9 · Nowhere](09_nowhere.ipynb)")',
    "print('长' * 400)",
]
LONG = (
    "## 公式 and code\n\n$$"
    + " + ".join(f"x_{{{i}}}" for i in range(60))
    + "$$\n\n"
    + "`abc_"
    + "d" * 90
    + "`"
)


@pytest.fixture(scope="module")
def really_executed(tmp_path_factory):
    """Executed copies of two notebooks under demo/; the tiny ones of this test, run by papermill."""
    folder = tmp_path_factory.mktemp("gallery")
    for number, title in ((1, "Curate"), (2, "Show")):
        codes = [nbformat.v4.new_code_cell(code) for code in [DRAWS, *(SHOWS if number == 2 else [])]]
        notebook = cells(number, title, nbformat.v4.new_markdown_cell(LONG), *codes)
        notebook.metadata.language_info = {"name": "python"}
        name = f"{number:02}_{title.lower()}"
        (folder / "demo" / name).mkdir(parents=True)
        nbformat.write(notebook, folder / f"{name}.ipynb")
        out = folder / "demo" / name / f"{name}.ipynb"
        command = [sys.executable, "-m", "papermill", folder / f"{name}.ipynb", out, "-k", "python3"]
        seen = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # figures inline
        subprocess.run([*command, "--no-progress-bar"], check=True, capture_output=True, cwd=ROOT, env=seen)
    return folder


@pytest.fixture
def gallery(really_executed, monkeypatch):
    monkeypatch.setenv("CPACK_RUNS", str(really_executed))
    return write_gallery("demo")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", ["index.html", "01_curate.html", "02_show.html"])
def test_every_page_of_executed_notebooks_is_whole_readable_and_silent(gallery, measure, page, width):
    assert_whole(measure(gallery.with_name(page), width), gallery.parent, width)


def assert_whole(seen, folder, width):
    """What holds for every page: nothing missing, nothing too wide or too small, no fault, no other host."""
    assert seen["errors"] == [] and seen["foreign"] == []
    assert seen["broken"] == [] and seen["missing"] == [] and seen["narrow"] == []
    assert seen["wide"] <= width, f"{seen['wide']} px wide"
    assert seen["smallest"] >= 12 and (seen["prose"] or 16) >= 16, (seen["smallest"], seen["prose"])
    dead = [way for way in seen["links"] if ":" not in way and not (folder / way.partition("#")[0]).exists()]
    assert dead == [] and seen["lost"] == []


def test_pages_lead_to_their_neighbours_and_widgets_leave_a_word(gallery, measure):
    seen = measure(gallery.with_name("02_show.html"), 400)
    assert {"01_curate.html", "index.html", "#公式-and-code"} <= set(seen["links"])
    assert "9 · Nowhere" in seen["text"] and "09_nowhere.html" not in seen["links"]
    assert (
        "Here JupyterLab shows something to be used" in seen["text"] and seen["text"].count("Text(value") == 1
    )
    assert "<script>alert(1)</script>" in seen["text"] and seen["chinese"] > 10 and seen["scripts"] == 0


def test_the_index_has_a_small_figure_and_finds_chinese_and_english(gallery, tab):
    tab.open(gallery.as_uri(), 400)
    sizes = tab.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt])")
    assert [alt for _, alt in sizes] == ["a figure of 2 · Show"] and sizes[0][0] <= 320
    typed = "(() => { const line = document.getElementById('search'); line.value = %s;"
    typed += "line.dispatchEvent(new Event('input'));"
    typed += "return [...document.querySelectorAll('#found li')].map(entry => entry.innerText); })()"
    found = tab.evaluate(typed % json.dumps("葱爆羊肉 ALERT"))
    assert (
        found[-1] == "1 sections"
        and found[0].startswith("2 · Show › 公式 and code")
        and "葱爆羊肉" in found[0]
    )
    assert tab.evaluate(typed % '"nowhere to be found"') == ["nothing found"]
    tab.evaluate(typed % '"葱爆羊肉"')
    tab.click("document.querySelector('#found a')")
    tab.wait(
        "location.pathname.endsWith('02_show.html') && decodeURIComponent(location.hash) === '#公式-and-code'"
    )
    assert tab.errors == []


def test_the_pages_of_the_profile_smoke_are_whole(runs, measure):
    copies = [path for path in SMOKE.glob("*/*.ipynb") if path.stem == path.parent.name]
    if not copies:
        pytest.skip(f"no executed notebooks in {SMOKE}: `cpack run smoke` makes them")
    for copy in copies:
        (runs / "smoke" / copy.stem).mkdir(parents=True)
        shutil.copy(copy, runs / "smoke" / copy.stem)
    for page in sorted(write_gallery("smoke").parent.glob("*.html")):
        for width in WIDTHS:
            assert_whole(measure(page, width), page.parent, width)
