"""The house in order: lists that agree, small files, short modules, no path of this machine."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cpack_lib.work.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
STARTED = {
    "ipykernel",
    "ipywidgets",
    "jupyterlab",
    "mplfonts",
    "onnxscript",
    "pytest-timeout",
    "ruff",
}  # used without an import of ours
LARGEST = 1 << 20  # bytes of a file in git
MODULES = sorted((ROOT / "cpack_lib").rglob("*.py"))
IDS = {"ids": lambda path: str(path.relative_to(ROOT))}


def in_git() -> list[Path]:
    """Every file that git has or would take; the test is skipped outside git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git repository")
    return [path for name in listed.splitlines() if (path := ROOT / name).is_file()]


def names(requirements: list[str]) -> set[str]:
    """The packages of some requirements, in the spelling of the index."""
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def code_of(path: Path) -> str:
    """The Python of a module or of a notebook's code cells."""
    if path.suffix == ".py":
        return path.read_text("utf-8")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def packages_imported(paths: list[Path]) -> Iterator[str]:
    """The distributions that the files import, at any depth."""
    owners = importlib.metadata.packages_distributions()
    for path in paths:
        for node in ast.walk(ast.parse(code_of(path))):
            imports = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imports += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for module in (
                {name.partition(".")[0] for name in imports} - sys.stdlib_module_names - {"cpack_lib"}
            ):
                yield canonicalize_name(owners.get(module, [module])[0])


def test_environment_yml_lists_what_pyproject_lists():
    packages = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    assert packages[0] == f"python{PROJECT['requires-python']}"
    assert packages[-1]["pip"] == [*PROJECT["dependencies"], "-e ."]


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *EXTRAS["dev"]])
def test_what_was_tested_lies_in_the_range_that_is_allowed(line):
    pins = dict(
        pin.split("==") for pin in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in pin
    )
    wanted = Requirement(line)
    pin = {canonicalize_name(name): version for name, version in pins.items()}.get(
        canonicalize_name(wanted.name)
    )
    assert pin is not None, f"constraints.txt has no {wanted.name}; take it from `pip freeze`"
    assert wanted.specifier.contains(pin), f"constraints.txt has {wanted.name} {pin}, pyproject.toml {line}"


def test_constraints_name_no_file_and_no_local_build():
    assert not re.search(r"file:|@|\+|^-", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)


def test_what_the_library_and_the_notebooks_import_is_declared():
    paths = [*MODULES, *sorted((ROOT / "notebooks").glob("*.ipynb"))]
    optional = [line for extra, lines in EXTRAS.items() if extra != "dev" for line in lines]
    missing = set(packages_imported(paths)) - names([*PROJECT["dependencies"], *optional])
    assert not missing, (
        f"pyproject.toml (and environment.yml, constraints.txt) lack {', '.join(sorted(missing))}"
    )


def test_what_the_tests_and_benchmarks_import_is_declared_for_development():
    paths = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    paths = [path for path in paths if path.parent.name != "peers"]  # these have a Python of their own
    declared = names([*PROJECT["dependencies"], *EXTRAS["dev"]])
    missing = set(packages_imported(paths)) - declared - {"tests", "cpack-notebooks"}
    assert not missing, f"the extra dev of pyproject.toml lacks {', '.join(sorted(missing))}"


def test_what_is_declared_is_used():
    folders = ["cpack_lib", "notebooks", "tests", "benchmarks"]
    paths = [
        path for folder in folders for kind in ("py", "ipynb") for path in (ROOT / folder).rglob(f"*.{kind}")
    ]
    idle = names([*PROJECT["dependencies"], *EXTRAS["dev"]]) - set(packages_imported(paths)) - STARTED
    assert not idle, f"nothing imports {', '.join(sorted(idle))}; take them out of pyproject.toml"


def test_no_file_in_git_is_large():
    large = [f"{path.relative_to(ROOT)}" for path in in_git() if path.stat().st_size > LARGEST]
    assert not large, f"over 1 MiB: {', '.join(large)}"


def test_no_file_in_git_names_a_path_of_this_machine():
    here = [str(folder) for folder in (ROOT.parent, Path.home()) if len(folder.parts) > 1]
    pattern = re.compile(rf"(?<![\w./-])({'|'.join(map(re.escape, [*here, '/home', '/Users']))})/\w")
    found = []
    for path in in_git():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", MODULES, **IDS)
def test_modules_have_300_lines_and_functions_40_at_most(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 300
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if node.end_lineno - node.lineno >= 40]
    assert not long, f"over 40 lines: {', '.join(long)}"


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]])
def test_ruff_has_nothing_to_say(check):
    said = subprocess.run(
        [sys.executable, "-m", "ruff", *check, "."], cwd=ROOT, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout


def test_make_alone_prints_the_targets():
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(["make"], cwd=ROOT, env=alone, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in said.splitlines()] == [
        "help", "run", "test", "lab", "gallery", "bench", "clean",
    ]  # fmt: skip
