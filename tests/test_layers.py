"""Imports point left only: work ← corpus ← model ← training ← evaluation."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpack_lib.work.files import ROOT

ROOMS = ["work", "corpus", "model", "training", "evaluation"]
MODULES = sorted((ROOT / "cpack_lib").glob("*/**/*.py"))


def imported(source: str) -> Iterator[str]:
    """Every module of the library that a source names in an import, at any depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("cpack_lib"))
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import; write it from cpack_lib on"
            if node.module == "cpack_lib":
                yield from (f"cpack_lib.{alias.name}" for alias in node.names)
            elif node.module.startswith("cpack_lib."):
                yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_left(path: Path):
    room = path.relative_to(ROOT / "cpack_lib").parts[0]
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = [name for name in imported(path.read_text("utf-8")) if name.split(".")[1] not in allowed]
    assert not wrong, (
        f"{path.relative_to(ROOT)} imports {', '.join(wrong)}; {room} may import {', '.join(allowed)}"
    )


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / "cpack_lib" / room).is_dir()])
def test_a_room_opens_with_one_docstring_and_nothing_else(room):
    body = ast.parse((ROOT / "cpack_lib" / room / "__init__.py").read_text("utf-8")).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value.value, str)
