"""The notebook contract: what every notebook and every file of params/ keeps, however many there are."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

from cpack_lib.work.files import ROOT
from cpack_lib.work.notebooks import NAVIGATION, cleaned, linked, notebook_paths, opening
from cpack_lib.work.parameters import declared, read_changes, resolve

NOTEBOOKS = notebook_paths(ROOT)
OTHERS = ("sweeps", "sites")  # folders of params/ that are no profiles
PARAMS = sorted(path for path in ROOT.glob("params/*/*.yaml") if path.parent.name not in OTHERS)
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_file = pytest.mark.parametrize("path", PARAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")


def cells(path: Path, kind: str) -> list[dict]:
    """The cells of one kind, their source as one text."""
    found = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


def trees(path: Path) -> list[ast.Module]:
    """The code cells as syntax trees."""
    return [ast.parse(cell["source"]) for cell in cells(path, "code")]


def owned() -> set[str]:
    """The names of the library's public functions and classes."""
    bodies = [ast.parse(path.read_text("utf-8")).body for path in (ROOT / "cpack_lib").rglob("*.py")]
    made = [
        node.name for body in bodies for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ]
    return {name for name in made if not name.startswith("_")}


def test_every_notebook_is_numbered():
    assert sorted((ROOT / "notebooks").glob("*.ipynb")) == NOTEBOOKS


@every_notebook
def test_the_file_is_a_valid_notebook_for_the_kernel_python3(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.get("id") for cell in notebook.cells]
    assert None not in ids and len(set(ids)) == len(ids)


@every_notebook
def test_the_first_cell_asks_a_question_and_says_what_it_needs_and_makes(path):
    opening(path)
    words = NAVIGATION.sub("", cells(path, "markdown")[0]["source"]).split()
    assert len(words) <= 120, f"{len(words)} words; 120 at most"


@every_notebook
def test_the_opening_code_imports_declares_and_settles(path):
    imports, parameters, settled = cells(path, "code")[:3]
    assert "figures.use_style()" in imports["source"]
    assert parameters["metadata"].get("tags") == ["parameters"]
    assert "settle(globals())" in settled["source"]
    assert re.search(rf"""open_run\(\s*["']{path.stem}["']""", settled["source"]), (
        f"no open_run({path.stem!r}, …)"
    )


@every_notebook
def test_parameters_are_annotated_literals_each_with_a_comment(path):
    silent = [name for name, line in declared(path).items() if not line.comment]
    assert not silent, f"no comment with unit and consequence beside {', '.join(silent)}"
    assert "run_name" in declared(path)


@every_notebook
def test_imports_stand_in_the_first_code_cell_and_annotations_in_the_tagged_one(path):
    for number, tree in enumerate(trees(path)):
        imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert not imports or number == 0, f"code cell {number}: {ast.unparse(imports[0])}"
        assert not any(alias.name == "*" for node in imports for alias in node.names), "an import of *"
        annotated = [node for node in tree.body if isinstance(node, ast.AnnAssign)]
        assert not annotated or number == 1, (
            f"code cell {number}: settle() would take {ast.unparse(annotated[0])}"
        )


@every_notebook
def test_cells_are_short(path):
    long = [cell["source"][:50] for cell in cells(path, "code") if len(cell["source"].splitlines()) > 40]
    assert not long, f"over 40 lines: {long}"


@every_notebook
def test_no_outputs_no_counts_and_the_navigation_is_current(path):
    assert path.read_text("utf-8") == cleaned(path) == linked(ROOT)[path], "run `cpack tidy`"


@every_notebook
def test_nothing_is_defined_that_the_library_has(path):
    defined = {
        node.name
        for tree in trees(path)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    assert not defined & owned(), f"import {', '.join(sorted(defined & owned()))} from cpack_lib, or rename"


@every_notebook
def test_it_ends_with_summary_and_exercises(path):
    text = "\n".join(cell["source"] for cell in cells(path, "markdown"))
    assert re.search(r"^## Summary$", text, re.MULTILINE) and re.search(r"^## Exercises$", text, re.MULTILINE)
    assert "Roads not taken" in text
    assert "run.finish(" in "\n".join(cell["source"] for cell in cells(path, "code"))


@every_notebook
def test_it_needs_nobody_in_front_of_it(path):
    for cell in cells(path, "code"):
        found = re.search(
            r"^\s*[%!]\S|\?\s*$|sys\.path|\binput\(|/home/|/Users/", cell["source"], re.MULTILINE
        )
        assert not found, f"{found[0]!r} in {cell['source'][:60]!r}"


def test_the_table_in_readme_is_current():
    readme = ROOT / "README.md"
    assert readme.read_text("utf-8") == linked(ROOT)[readme], "run `cpack tidy`"


@every_file
def test_a_params_file_sets_declared_parameters_to_values_that_differ(path):
    notebook = ROOT / "notebooks" / f"{path.stem}.ipynb"
    values, lines = resolve(notebook, path), declared(notebook)
    idle = [name for name in read_changes(path) if values[name] == lines[name].default]
    assert not idle, f"{', '.join(idle)}: the default already; leave it out"


@every_file
def test_a_profile_keeps_its_runs_under_its_own_name(path):
    assert resolve(ROOT / "notebooks" / f"{path.stem}.ipynb", path)["run_name"] == path.parent.name
