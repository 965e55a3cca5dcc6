"""JupyterLab as `make lab` starts it, and what a person does in it, for tests and benchmarks."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from cpack_lib.work.files import ROOT
from tests.work.browser import Tab

PATIENCE = 240  # seconds for a server or a kernel on a machine that is busy with other things
NEWS = "lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
CELLS = "document.querySelectorAll('.jp-Notebook .jp-Cell').length"
KERNEL = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status"
CONNECTED = "fetch('/api/kernels').then(told => told.json()).then(all => all.some(one => one.connections))"
READY = f"{CONNECTED}.then(yes => yes && {CELLS} > 20 && {KERNEL} === 'idle')"  # idle is told before, too
WAITING = "[...document.querySelectorAll('.jp-InputPrompt')].some(each => each.textContent.includes('*'))"
IDLE = f"{KERNEL} === 'idle' && !{WAITING}"
FAULTS = '[data-mime-type="application/vnd.jupyter.error"], .jp-Dialog'  # a dialog tells that a kernel died
FAILED = f"document.querySelector('{FAULTS}')?.textContent"
QUESTION_LINE = "document.querySelector('.widget-text input')"


@contextmanager
def jupyterlab(home: Path) -> Iterator[str]:
    """What `make lab` starts in `home`, on a free port, with a token and settings of its own.

    It asks nobody for news, as after a person's No. `home` has notebooks/ and gets the Makefile; beside it
    stand .lab/ and .lab.log. Yields the address of a notebook in an empty workspace, with NAME for its file's
    name.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    server = {"open_browser": False, "port": port, "port_retries": 0, "ip": "127.0.0.1"}
    settings = {"ServerApp": server, "IdentityProvider": {"token": token}}
    own, log = home.parent / ".lab", home.parent / ".lab.log"
    (own / NEWS).parent.mkdir(parents=True, exist_ok=True)
    (own / "jupyter_server_config.json").write_text(json.dumps(settings))
    (own / NEWS).write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    shutil.copy(ROOT / "Makefile", home)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MPL"))}
    environment |= {"HOME": str(own), "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(own)}
    command = ["make", "-o", ".venv/.ready", "lab", f"BIN={Path(sys.executable).parent}"]
    with log.open("wb") as words:
        program = subprocess.Popen(
            command, cwd=home, env=environment, stdout=words, stderr=words, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/api", program, log)
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks/NAME?token={token}&reset"
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


def choose(tab: Tab, menu: str, name: str) -> None:
    """Choose an entry of a menu of the bar, such as ("Run", "Run All Cells")."""
    tab.click(entry(".lm-MenuBar-itemLabel", menu))
    tab.click(entry(".lm-Menu-itemLabel", name))


def entry(menu: str, name: str) -> str:
    """JavaScript for an entry of a menu, or of the bar of menus, by its text."""
    return f"[...document.querySelectorAll('{menu}')].find(each => each.textContent === {json.dumps(name)})"


def open_notebook(tab: Tab, address: str) -> tuple[float, float]:
    """Open a notebook -> seconds to the first paint, and until 20 cells are shown and the kernel is ready.

    JupyterLab adds the other cells when it has nothing else to do.
    """
    started = time.monotonic()
    tab.open(address, 1400, 1000)
    painted = tab.wait(FIRST_PAINT)
    tab.wait(READY, PATIENCE)
    return painted / 1000, time.monotonic() - started


def run_all(tab: Tab, manifest: Path, patience: float = PATIENCE) -> float:
    """Run all cells by the menu, until the manifest is written and no cell waits -> seconds.

    AssertionError with what is shown once a cell fails or the kernel dies, and after `patience`, s.
    """
    started = time.monotonic()
    choose(tab, "Run", "Run All Cells")
    while not (manifest.exists() and tab.evaluate(IDLE)):
        late = time.monotonic() - started > patience
        assert not tab.evaluate(FAILED) and not late, tab.evaluate(f"{FAILED} || document.body.innerText")
        time.sleep(0.3)
    assert not tab.evaluate(FAILED), tab.evaluate(FAILED)
    return time.monotonic() - started


def save(tab: Tab, path: Path) -> NotebookNode:
    """Save a notebook by the menu -> what its file holds then."""
    before, until = path.stat().st_mtime_ns, time.monotonic() + PATIENCE
    choose(tab, "File", "Save Notebook")
    while time.monotonic() < until:
        time.sleep(0.1)
        with suppress(ValueError):  # the server writes in place: half a file is no JSON
            if path.stat().st_mtime_ns != before:
                return nbformat.read(path, as_version=4)
    raise AssertionError(f"{path.name} was not saved within {PATIENCE} s")


def end_kernels(address: str) -> None:
    """Shut down every kernel of a JupyterLab, given the address of its notebooks."""
    server, token = address.partition("/lab/")[0], re.search(r"token=(\w+)", address)[1]

    def api(way: str, method: str) -> bytes:
        asked = urllib.request.Request(f"{server}/api/{way}", None, {"Authorization": f"token {token}"})
        asked.method = method
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            return answer.read()

    for kernel in json.loads(api("kernels", "GET")):
        api(f"kernels/{kernel['id']}", "DELETE")


def ask(tab: Tab, question: str) -> list[str]:
    """Type a question over the one in notebook 00's box and press Enter -> its answers, other ones."""
    before = tab.wait("document.querySelector('ol.found')?.textContent")
    tab.click(QUESTION_LINE)
    tab.press("a", 65, modifiers=2)
    tab.call("Input.insertText", text=question)
    tab.press("Enter", 13)
    tab.wait(f"document.querySelector('.asked')?.textContent === {json.dumps(question)}")
    answers = tab.evaluate("[...document.querySelectorAll('ol.found li')].map(each => each.textContent)")
    assert len(answers) == 5 and "".join(answers) != before, answers
    return answers
