"""A result has one form, and what stands in results/ has it."""

import json

import pytest

from cpack_lib.work import results
from cpack_lib.work.files import ROOT

PARTS = {
    "what": str,
    "command": str,
    "machine": dict,
    "date": str,
    "figures": dict,
    "spread": dict,
    "rows": list,
}


def test_a_result_is_written_in_full(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    (tmp_path / "results").mkdir()
    row = {"name": "诗", "seconds": 1.123456789}
    results.write_result("one", "a", "python b", {"rows_per_s": 3}, {"rows_per_s": [2, 4]}, [row])
    found = json.loads((tmp_path / "results/one.json").read_text("utf-8"))
    assert {name: type(found[name]) for name in PARTS} == PARTS
    assert found["rows"] == [{"name": "诗", "seconds": 1.12346}] and found["spread"] == {"rows_per_s": [2, 4]}
    assert "rows_per_s" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*.json")), ids=lambda path: path.stem)
def test_what_is_kept_has_the_form_and_names_a_program_that_exists(path):
    found = json.loads(path.read_text("utf-8"))
    assert {name: type(found[name]) for name in PARTS} == PARTS
    assert all(isinstance(value, int | float) for value in found["figures"].values())
    program = next(word for word in found["command"].split() if word.endswith(".py"))
    assert (ROOT / program).exists()
