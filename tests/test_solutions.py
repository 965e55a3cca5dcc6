"""The solutions: each exercise quoted as it stands, and answered by cells that run and assert."""

import json
import re
import subprocess
import sys

import nbformat
import pytest

from cpack_lib.work.files import ROOT
from cpack_lib.work.notebooks import cleaned

SOLUTIONS = sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))
EXERCISE = re.compile(r"^(\d+)\. (.+?)(?=^\d+\. |\Z)", re.MULTILINE | re.DOTALL)
every_one = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


def cells_of(path):
    """(kind, source) of each cell."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]


def test_the_stages_have_solutions():
    numbers = [path.stem[:2] for path in SOLUTIONS]
    assert numbers == sorted(set(numbers)) and {"01", "02", "03", "04", "05", "06"} <= set(numbers)


@every_one
def test_each_exercise_is_quoted_and_answered_by_a_cell(path):
    notebook = path.parents[1] / path.name.replace("_solutions", "")
    exercises = EXERCISE.findall(cells_of(notebook)[-1][1])
    asked = [f"## Exercise {number}\n\n> {' '.join(text.split())}\n\n" for number, text in exercises]
    (_, opening), (_, imports), *answers = cells_of(path)
    assert f"(../{notebook.name})" in opening and "import" in imports and 10 <= len(answers) + 2 <= 20
    assert [kind for kind, _ in answers] == ["markdown", "code"] * len(asked)
    for question, (_, told), (_, source) in zip(asked, answers[::2], answers[1::2], strict=True):
        assert told.startswith(question), f"{path.name} does not quote {question!r}"
        assert len(told) > len(question) + 50 and "assert" in source


@every_one
def test_it_is_a_clean_notebook_that_runs(path, tmp_path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert path.read_text("utf-8") == cleaned(path)
    code = "\n\n".join(source for kind, source in cells_of(path) if kind == "code")
    program = [sys.executable, "-c", code]  # a process of its own: other tests leave random states behind
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(tmp_path.iterdir())
