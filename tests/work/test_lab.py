"""JupyterLab as a person meets it: `make lab`, notebook 00 run by the menu, a question, a figure."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cpack_lib.work.files import ROOT
from tests.small_stages import finish_stages

PATIENCE = 240  # seconds for a server or a kernel on a machine that is busy with other things
QUESTION = "泡过的黄豆磨成浆，煮到翻滚就能喝吗？"
INPUT = "document.querySelector('.widget-text input')"
FIGURE = "[...document.querySelectorAll('.jp-RenderedImage img')].find(each => each.naturalWidth > 300)"
FAILED = "document.querySelectorAll('[data-mime-type=\"application/vnd.jupyter.error\"]').length"
KERNEL = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status"


def entry(menu: str, name: str) -> str:
    """JavaScript for an entry of a menu, or of the bar of menus, by its text."""
    return f"[...document.querySelectorAll('{menu}')].find(each => each.textContent === {json.dumps(name)})"


@pytest.fixture
def home(tmp_path, runs) -> Path:
    """The notebook and the Makefile in a folder of their own: JupyterLab saves what it shows."""
    finish_stages("demo")
    (tmp_path / "home/notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path / "home")
    shutil.copy(ROOT / "notebooks/00_tour.ipynb", tmp_path / "home/notebooks")
    return tmp_path / "home"


@pytest.fixture
def lab(home, tmp_path) -> str:
    """What `make lab` starts, on a free port and with a token of this test; the address of notebook 00."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    server = {"open_browser": False, "port": port, "port_retries": 0, "ip": "127.0.0.1"}
    (tmp_path / "config").mkdir()
    settings = {"ServerApp": server, "IdentityProvider": {"token": token}}
    (tmp_path / "config/jupyter_server_config.json").write_text(json.dumps(settings))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MPL"))}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment |= {"JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    command = ["make", "-o", ".venv/.ready", "lab", f"BIN={Path(sys.executable).parent}"]
    with (tmp_path / "lab.log").open("wb") as log:
        program = subprocess.Popen(
            command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/api", program, tmp_path / "lab.log")
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks/00_tour.ipynb?token={token}"
    finally:
        os.killpg(program.pid, signal.SIGTERM)
        program.wait(60)


def wait_for(address: str, program: subprocess.Popen, log: Path) -> None:
    """Return once a server answers; AssertionError with what it said where it does not."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except (urllib.error.URLError, OSError):
            late = time.monotonic() > until or program.poll() is not None
            assert not late, f"no JupyterLab: {log.read_text()[-3000:]}"
            time.sleep(0.2)


def test_a_person_runs_the_tour_in_jupyterlab_and_asks_a_question(tab, lab, runs, capsys):
    started = time.monotonic()
    tab.open(lab, 1400, 1000)
    painted = tab.wait("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    tab.wait("document.querySelectorAll('.jp-Notebook .jp-Cell').length > 20", PATIENCE)
    opened = time.monotonic() - started
    tab.wait(f"{KERNEL} === 'idle'", PATIENCE)
    tab.click(entry(".lm-MenuBar-itemLabel", "Run"))
    tab.click(entry(".lm-Menu-itemLabel", "Run All Cells"))
    until = time.monotonic() + PATIENCE
    while not (runs / "demo/00_tour/manifest.json").exists():
        assert tab.evaluate(FAILED) == 0 and time.monotonic() < until, tab.evaluate("document.body.innerText")
        time.sleep(0.3)
    tab.wait(f"{KERNEL} === 'idle'")
    finished = time.monotonic() - started
    assert tab.evaluate(FAILED) == 0
    ask(tab)
    shown = tab.wait(
        f"(() => {{ const found = {FIGURE}; if (!found) return null; found.scrollIntoView();"
        "const box = found.getBoundingClientRect(); return [box.top, box.width]; })()"
    )
    assert 0 <= shown[0] < 1000 and shown[1] > 300
    tab.picture(runs / "figure.png")
    with capsys.disabled():
        print(f"\nJupyterLab: first paint {painted / 1000:.1f} s, notebook open {opened:.1f} s, ", end="")
        print(f"run to its end {finished:.1f} s, all {time.monotonic() - started:.1f} s", flush=True)


def ask(tab) -> None:
    """Type a question over the one in the box, press Enter, and see its answers."""
    before = tab.wait("document.querySelector('ol.found')?.textContent")
    tab.click(INPUT)
    tab.press("a", 65, modifiers=2)
    tab.call("Input.insertText", text=QUESTION)
    tab.press("Enter", 13)
    tab.wait(f"document.querySelector('.asked')?.textContent === {json.dumps(QUESTION)}")
    answers = tab.evaluate("[...document.querySelectorAll('ol.found li')].map(each => each.textContent)")
    assert len(answers) == 5 and "".join(answers) != before
    assert any("老周" in answer for answer in answers), answers  # of the tofu shop: characters are enough
