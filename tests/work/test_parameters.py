"""Promises of cpack_lib.work.parameters."""

import math
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cpack_lib.work.parameters import declared, misfit, remedy, resolve, settle

CELL = """texts: int = 4  # queries per step, all GPUs together
learning_rate: float = 2.0e-5  # peak, after warm-up
run_name: str = "demo"  # folder under runs/
mixed: bool = True  # sources together in a batch
models: list = [  # run folders
    "demo/03_contrast_pairs",
]
sizes: list[float] = [1.0, 2.0]  # shares
"""


@pytest.fixture
def notebook(tmp_path, write_notebook):
    return write_notebook(tmp_path / "03_contrast_pairs.ipynb", CELL)


def settled(cell: str, **injected):
    names = {}
    exec(cell, names)
    return settle(names | injected)


def test_declared_gives_type_default_and_comment_in_order(notebook):
    lines = declared(notebook)
    assert list(lines) == ["texts", "learning_rate", "run_name", "mixed", "models", "sizes"]
    assert (lines["texts"].type, lines["texts"].default) == (int, 4)
    assert lines["texts"].comment == "queries per step, all GPUs together"
    assert lines["models"].comment == "run folders"
    assert lines["sizes"].type == list[float]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("steps: int = 10 * 10", "is computed; write a literal"),
        ("steps = 10", "no `name: type = literal`"),
        ("steps: int", "no `name: type = literal`"),
        ("steps: dict = {}", "is annotated dict; allowed are"),
        ("steps: int | None = None", "is annotated int | None"),
        ("steps: int = 1.5", "its default is 1.5, a float"),
    ],
)
def test_a_parameters_cell_holds_annotated_literals_only(tmp_path, write_notebook, line, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        declared(write_notebook(tmp_path / "x.ipynb", line))


def test_a_notebook_needs_exactly_one_tagged_cell(tmp_path, write_notebook):
    path = write_notebook(tmp_path / "x.ipynb", "a: int = 1")
    path.write_text(path.read_text().replace('["parameters"]', "[]"))
    with pytest.raises(ValueError, match="x.ipynb has 0 cells tagged `parameters`"):
        declared(path)


def test_a_damaged_notebook_is_named(tmp_path):
    (tmp_path / "x.ipynb").write_text("{")
    with pytest.raises(ValueError, match="x.ipynb is no notebook"):
        declared(tmp_path / "x.ipynb")


def test_resolve_fills_in_defaults_and_makes_ints_floats(notebook):
    values = resolve(notebook, {"learning_rate": 1, "sizes": [1, 2]})
    assert values["learning_rate"] == 1.0 and type(values["learning_rate"]) is float
    assert [type(size) for size in values["sizes"]] == [float, float]
    assert values["texts"] == 4 and list(values)[0] == "texts"


@pytest.mark.parametrize("text", ["", "{}", "# nothing differs\n"])
def test_an_empty_file_keeps_every_default(notebook, tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    assert resolve(notebook, tmp_path / "x.yaml")["run_name"] == "demo"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("learning_rte: 2.0e-5", "no parameter of 03_contrast_pairs; did you mean learning_rate?"),
        ("zzz: 1", "it has texts, learning_rate"),
        ("learning_rate: 2e-5", "learning_rate is declared float, but it is '2e-5', a str"),
        ("learning_rate: 2e-5", "; YAML reads it as text, write 2.0e-05"),
        ("texts: 1e3", "write 1000"),
        ("texts: 4.0", "texts is declared int, but it is 4.0, a float"),
        ("texts: true", "texts is declared int, but it is True, a bool"),
        ("mixed: 1", "mixed is declared bool, but it is 1"),
        ("run_name: no", "put it in quotes"),
        ("learning_rate: .nan", "which is not finite"),
        ("sizes: [1.0, two]", "'two', a str"),
        ("models: demo", "models is declared list, but it is 'demo'"),
        ("texts: 1\ntexts: 2", "texts is set 2 times"),
        ("- texts", "holds a list"),
        ("a: [", "is not readable YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_file_name_value_and_remedy(notebook, tmp_path, text, complaint):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(complaint)) as error:
        resolve(notebook, tmp_path / "x.yaml")
    assert "x.yaml" in str(error.value)


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_the_remedy_for_a_number_read_as_text_is_that_number_in_yaml(number):
    written = remedy(repr(number), float).rpartition("write ")[2]
    assert yaml.safe_load(written) == number and isinstance(yaml.safe_load(written), float)


@given(value=st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_a_value_fits_its_own_type_and_an_int_a_float_and_nothing_else(value):
    fitting = {kind for kind in (int, float, str, bool, list) if not misfit(value, kind)}
    own = {type(value)} - {type(None)}
    if isinstance(value, float) and not math.isfinite(value):
        own = set()
    assert fitting == own | ({float} if type(value) is int else set())


def test_a_missing_file_is_named(notebook, tmp_path):
    with pytest.raises(ValueError, match="gone.yaml does not exist"):
        resolve(notebook, tmp_path / "gone.yaml")


def test_settle_returns_injected_values_and_refuses_other_types():
    assert settled(CELL, texts=8)["texts"] == 8
    assert settled(CELL, learning_rate=1)["learning_rate"] == 1.0
    with pytest.raises(TypeError, match="learning_rate is declared float, but it is '2e-5'"):
        settled(CELL, learning_rate="2e-5")
    with pytest.raises(TypeError, match="texts is declared int, but it is 4.0"):
        settled(CELL, texts=4.0)


def test_settle_without_declarations_says_so():
    with pytest.raises(TypeError, match="run the cell tagged `parameters` first"):
        settle({})
