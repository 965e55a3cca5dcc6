"""Promises of the command `cpack`: it starts at once, and takes commands of other rooms."""

import subprocess
import sys
from types import ModuleType

import pytest

from cpack_lib.work import cli


def test_help_names_every_command_and_imports_nothing_heavy():
    code = "import sys; from cpack_lib.work import cli\n"
    code += "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'polars', 'torch', 'papermill', 'yaml', 'matplotlib'} & sys.modules.keys()))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
    for command in ("run", "sweep", "status", "results", "report", "gallery", "tidy", *cli.ELSEWHERE):
        assert f"    {command} " in said


@pytest.fixture
def other(monkeypatch):
    """A command of another room."""
    module = ModuleType("another_room")

    def arguments(parser):
        parser.add_argument("suites", nargs="+")

    def run(options):
        if "none" in options.suites:
            raise ValueError("there is no suite 'none'")
        print(options.suites)
        return 7

    module.arguments, module.run = arguments, run
    monkeypatch.setitem(sys.modules, "another_room", module)
    monkeypatch.setitem(cli.ELSEWHERE, "other", ("another_room", "do something else"))


def test_a_command_of_another_room_gets_its_arguments_and_gives_its_exit_code(other, capsys):
    assert cli.main(["other", "one", "two"]) == 7
    assert capsys.readouterr().out == "['one', 'two']\n"
    assert cli.main(["other", "none"]) == 2
    assert "cpack: there is no suite 'none'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["other", "--help"])
    assert "usage: cpack other" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.ELSEWHERE)
def test_the_commands_of_other_rooms_are_there(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0 and f"usage: cpack {command}" in capsys.readouterr().out
