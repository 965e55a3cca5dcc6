"""Promises of cpack_lib.work.pages.gallery and cpack_lib.work.notebooks."""

import json

import nbformat
import pytest

from cpack_lib.work.cli import main
from cpack_lib.work.notebooks import BEGIN, END, opening, tidy
from cpack_lib.work.pages.gallery import write_gallery

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


@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_a_page_whole(executed, measure, width):
    seen = measure(write_gallery("demo").with_name("03_contrast_pairs.html"), width)
    assert seen["missing"] == [] and seen["chinese"] == 7 and seen["narrow"] == []
    assert seen["broken"] == [] and seen["images"] == 1 and seen["wide"] <= width


def test_a_run_without_executed_notebooks_is_named(runs):
    with pytest.raises(ValueError, match="no executed notebooks"):
        write_gallery("none")
