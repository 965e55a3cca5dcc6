"""Promises of `cpack run` and `cpack status`, with real kernels on two small notebooks."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from cpack_lib.work.cli import main
from cpack_lib.work.plan import plan_profile
from cpack_lib.work.runs import open_run

FIRST = 'run_name: str = "demo"  # folder under runs/\nrows: int = 2  # rows\nwait: float = 0.0  # seconds'
SECOND = (
    'run_name: str = "demo"  # folder under runs/\n'
    'curated: str = "demo/01_first"  # run folder\n'
    "boom: bool = False  # fail"
)
OPEN = """import sys, time
from cpack_lib.work.parameters import settle
from cpack_lib.work.runs import open_run
parameters = settle(globals())
"""


@pytest.fixture
def home(tmp_path, write_notebook, runs):
    """A small project: two notebooks, the second reads the first; profiles demo and smoke."""
    write_notebook(
        tmp_path / "notebooks/01_first.ipynb",
        FIRST,
        OPEN + 'run = open_run("01_first", run_name, parameters)',
        "print(sys.executable, flush=True)\ntime.sleep(0.3)\nprint('!')",
        "time.sleep(wait)",
        '(run.folder / "rows.txt").write_text("行" * rows)\nrun.finish(rows=rows)',
    )
    write_notebook(
        tmp_path / "notebooks/02_second.ipynb",
        SECOND,
        OPEN + 'run = open_run("02_second", run_name, parameters, {"curated": curated})',
        'assert not boom, "it went boom"',
        'text = (run.inputs["curated"] / "rows.txt").read_text()\nrun.finish(characters=len(text))',
    )
    set_params(tmp_path, "demo", first="{}", second="")
    set_params(tmp_path, "smoke", first="run_name: smoke", second="run_name: smoke\ncurated: smoke/01_first")
    return tmp_path


def set_params(home, profile, **texts):
    for name, text in texts.items():
        path = home / f"params/{profile}/{'01_first' if name == 'first' else '02_second'}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def already(run_name="demo", notebooks=("01_first", "02_second"), content="行行"):
    """Finished runs as the notebooks leave them, made here without a kernel."""
    asked = {
        "01_first": ({"run_name": run_name, "rows": 2, "wait": 0.0}, {}),
        "02_second": (
            {"run_name": run_name, "curated": f"{run_name}/01_first", "boom": False},
            {"curated": f"{run_name}/01_first"},
        ),
    }
    for notebook in notebooks:
        run = open_run(notebook, run_name, *asked[notebook])
        (run.folder / "rows.txt").write_text(content)
        run.finish()


def actions(home, profile="demo", **options):
    return {step.name: step.action for step in plan_profile(profile, home=home, **options)}


def test_a_profile_runs_then_is_reused(home, runs, capfd):
    assert main(["run", "demo"], home) == 0
    said = capfd.readouterr().out
    assert re.search(r"01_first +run +not made yet", said) and "02_second: finished in" in said
    copy = json.loads((runs / "demo/01_first/01_first.ipynb").read_text())
    assert [output["text"] for output in copy["cells"][2]["outputs"]] == [[f"{sys.executable}\n", "!\n"]]
    assert json.loads((runs / "demo/02_second/manifest.json").read_text())["figures"] == {"characters": 2}
    assert main(["run", "demo"], home) == 0
    assert capfd.readouterr().out.count("equal parameters and inputs") == 2


def test_a_dry_run_starts_nothing(home, runs, capfd):
    assert main(["run", "demo", "--dry-run"], home) == 0
    assert "01_first   run" in capfd.readouterr().out and not runs.exists()


def test_every_notebook_is_checked_before_the_first_starts(home, runs, capfd):
    set_params(home, "demo", first="rows: 1e3", second="bom: true")
    assert main(["run", "demo"], home) == 2
    said = capfd.readouterr().err
    assert "write 1000" in said and "did you mean boom?" in said and not runs.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "none"], "there is no profile 'none'; params/ has demo, smoke"),
        (["run", "demo", "--only", "07"], "it has 01_first, 02_second"),
        (["run", "demo", "--only", "02"], "the run demo/01_first does not exist"),
    ],
)
def test_what_cannot_start_says_why(home, capfd, arguments, complaint):
    assert main(arguments, home) == 2
    said = capfd.readouterr()
    assert complaint in said.err + said.out


def test_missing_notebooks_and_tables_are_found_first(home, capfd):
    (home / "params/demo/09_gone.yaml").write_text("{}")
    set_params(home, "demo", second="curated: folder:no/such/place")
    assert main(["run", "demo"], home) == 2
    said = capfd.readouterr().err
    assert "09_gone.ipynb does not exist" in said and "no/such/place does not exist" in said


def test_changed_parameters_are_refused_until_fresh_and_nothing_is_deleted(home, runs, capfd):
    already("smoke")
    set_params(home, "smoke", first="run_name: smoke\nrows: 5")
    assert main(["run", "smoke"], home) == 2
    said = capfd.readouterr()
    assert "rows was 2, now 5" in said.out and "its input smoke/01_first is made again" in said.out
    assert "cpack run smoke --from 01_first --fresh" in said.err
    assert actions(home, "smoke", fresh=True) == {"01_first": "renew", "02_second": "renew"}
    assert main(["run", "smoke", "--only", "01", "--fresh"], home) == 0
    aside = list(runs.glob(".aside/*/smoke/01_first/rows.txt"))
    assert [path.read_text() for path in aside] == ["行行"]
    assert (runs / "smoke/01_first/rows.txt").read_text() == "行" * 5
    assert "input curated smoke/01_first holds other files" in plan_profile("smoke", home=home)[1].why


def test_what_reads_a_run_that_is_made_again_is_not_reused(home, runs):
    already()
    assert actions(home) == {"01_first": "reuse", "02_second": "reuse"}
    (runs / "demo/01_first").rename(runs / "elsewhere")
    assert actions(home) == {"01_first": "run", "02_second": "refuse"}
    assert actions(home, fresh=True) == {"01_first": "run", "02_second": "renew"}
    assert actions(home, only="02") == {"02_second": "refuse"}


def test_a_notebook_comes_after_those_it_reads_whatever_its_number(home, write_notebook):
    shows = 'run_name: str = "demo"  # folder under runs/\nof: list[str] = ["demo/02_second"]  # runs'
    write_notebook(home / "notebooks/00_shows.ipynb", shows)
    write_notebook(home / "notebooks/03_third.ipynb", 'run_name: str = "demo"  # folder under runs/')
    for name in ("00_shows", "03_third"):
        (home / f"params/demo/{name}.yaml").write_text("{}")
    assert list(actions(home)) == ["01_first", "02_second", "00_shows", "03_third"]
    assert list(actions(home, start="02")) == ["02_second", "00_shows", "03_third"]
    assert list(actions(home, only="00")) == ["00_shows"]
    assert list(actions(home, last="00")) == ["01_first", "02_second", "00_shows"]
    assert list(actions(home, start="02", last="00_shows")) == ["02_second", "00_shows"]
    with pytest.raises(ValueError, match="nothing lies from 00_shows to 02_second"):
        actions(home, start="00", last="02")


def test_notebooks_that_read_each_other_are_named(home, write_notebook, capfd):
    write_notebook(home / "notebooks/01_first.ipynb", SECOND.replace("01_first", "02_second"))
    assert main(["run", "demo"], home) == 2
    assert "demo/01_first, demo/02_second read each other" in capfd.readouterr().err


@pytest.mark.parametrize("profile", ["smoke", "demo"])
def test_the_tour_runs_as_soon_as_the_three_stages_stand(profile, runs):
    names = [step.name for step in plan_profile(profile)]
    assert names.index("00_tour") == names.index("04_instruct_finetune") + 1
    assert [name for name in names if name != "00_tour"] == sorted(set(names) - {"00_tour"})


def test_a_failing_cell_fails_the_command_and_shows_cell_and_traceback(home, runs, capfd):
    already(notebooks=["01_first"])
    set_params(home, "demo", second="boom: true")
    assert main(["run", "demo"], home) == 1
    said = capfd.readouterr().err
    assert 'assert not boom, "it went boom"' in said and "AssertionError: it went boom" in said
    assert "\x1b[" not in said and "cpack: 02_second failed (exit code 1)" in said
    assert (runs / "demo/02_second/02_second.ipynb").exists()
    assert actions(home) == {"01_first": "reuse", "02_second": "resume"}


def test_a_notebook_that_never_finishes_its_run_fails(home, write_notebook, capfd):
    already(notebooks=["01_first"])
    write_notebook(home / "notebooks/02_second.ipynb", SECOND, "1 + 1")
    assert main(["run", "demo"], home) == 1
    assert "never called run.finish()" in capfd.readouterr().err


def test_a_kernel_that_dies_fails_the_command(home, write_notebook, capfd):
    write_notebook(home / "notebooks/01_first.ipynb", FIRST, "import os; os.kill(os.getpid(), 9)")
    assert main(["run", "demo"], home) == 1
    assert "01_first.ipynb: the kernel died" in capfd.readouterr().err


@pytest.fixture
def started(home, runs):
    """`cpack run demo` in a process of its own, caught in the middle of the first notebook."""
    set_params(home, "demo", first="wait: 60.0")
    code = "import sys; from pathlib import Path; from cpack_lib.work.cli import main\n"
    code += f"sys.exit(main(['run', 'demo'], Path({str(home)!r})))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stderr=subprocess.DEVNULL
    )
    while not (runs / "demo/01_first/run.json").exists():
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def test_status_and_a_second_start_see_a_running_notebook(started, home, capfd):
    assert main(["status"], home) == 0
    assert re.search(r"demo/01_first +running .* process \d+ on", capfd.readouterr().out)
    assert actions(home) == {"01_first": "refuse", "02_second": "run"}


@pytest.mark.parametrize("request_", [signal.SIGKILL, signal.SIGINT])
def test_after_a_kill_nothing_runs_on_and_nothing_is_taken_for_finished(started, home, runs, capfd, request_):
    kernel = int(re.search(r"process (\d+)", (runs / "demo/01_first/run.lock").read_text())[1])
    started.send_signal(request_)
    started.wait(30)
    until = time.monotonic() + 20
    while os.path.exists(f"/proc/{kernel}") and time.monotonic() < until:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{kernel}")
    assert actions(home)["01_first"] == "resume"
    assert main(["status"], home) == 0
    assert re.search(r"demo/01_first +broken .*stopped before its end", capfd.readouterr().out)


def test_status_without_runs_says_so(runs, capfd):
    assert main(["status"]) == 0
    assert "no runs in" in capfd.readouterr().out


def test_status_names_what_is_damaged(home, runs, capfd):
    already(notebooks=["01_first"])
    (runs / "demo/01_first/rows.txt").unlink()
    assert main(["status"], home) == 0
    assert re.search(r"demo/01_first +broken .*rows.txt is gone", capfd.readouterr().out)


def test_plain_papermill_works_too(home, runs):
    command = [sys.executable, "-m", "papermill", "notebooks/01_first.ipynb", "out.ipynb"]
    command += ["-f", "params/smoke/01_first.yaml", "-k", "python3", "--no-progress-bar"]
    subprocess.run(command, cwd=home, check=True, capture_output=True)
    assert (runs / "smoke/01_first/manifest.json").exists()
