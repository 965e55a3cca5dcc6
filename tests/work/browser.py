"""Headless Chromium for tests, driven through its DevTools protocol over one websocket per page."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import websocket

NAMES = ["chromium", "chromium-browser", "google-chrome"]
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # whatever asks for another host gets nothing
    "--remote-debugging-port=0",
]
PATIENCE = 120  # seconds for anything, on a machine that is busy with other things


def chromium() -> str | None:
    """The program, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Navigated(RuntimeError):
    """The page went on to another one while it was asked something."""


class Tab:
    """One page: what it shows, what went wrong in it, and what it asked for."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(address, timeout=PATIENCE, suppress_origin=True)
        self.number, self.errors, self.requests = 0, [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol -> its result; what happened meanwhile is noted."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                if "navigated" in str(message.get("error")) or "context was destroyed" in str(
                    message.get("error")
                ):
                    raise Navigated(f"{method}: {message['error']}")
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.note(message.get("method"), message.get("params", {}))

    def note(self, event: str | None, about: dict[str, Any]) -> None:
        """Keep errors and requests."""
        if event == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(each.get("value", "")) for each in about["args"]))
        elif event == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.errors.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
        elif event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])

    def open(self, url: str, width: int, height: int = 900) -> None:
        """Show a page at this size, px; narrow ones as a phone would."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.errors, self.requests = [], []
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.evaluate("window.left = true")
        self.call("Page.navigate", url=url)
        self.wait("!window.left && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, f"{script[:200]}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait(self, script: str, patience: float = PATIENCE) -> Any:
        """The expression's value once it is true; AssertionError with what is shown where it never is."""
        until = time.monotonic() + patience
        while True:
            with suppress(Navigated):
                if value := self.evaluate(script):
                    return value
                shown = self.evaluate("document.body ? document.body.innerText.slice(-1500) : ''")
                assert time.monotonic() < until, f"never came: {script}\n{self.errors[-5:]}\n{shown}"
            time.sleep(0.1)

    def click(self, element: str) -> None:
        """Press the left button on what a JavaScript expression finds, once it lies still and uncovered."""
        middle = f"""(async () => {{ const found = {element}; if (!found) return null;
            const place = () => {{ const box = found.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2]; }};
            found.scrollIntoViewIfNeeded();
            const before = place();
            await new Promise(done => setTimeout(done, 250));
            const [x, y] = place(), above = document.elementFromPoint(x, y);
            return x === before[0] && y === before[1] && found.contains(above) ? [x, y] : null; }})()"""
        x, y = self.wait(middle)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """Press one key, such as ("Enter", 13); 2 is Ctrl."""
        about = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        about |= {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def picture(self, path: Path) -> None:
        """Save what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def frame(self) -> "Tab":
        """The page in a sandboxed frame of this one, which is a process of its own, once it is there."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if frames := pages(self.socket.sock.getpeername()[1], "iframe"):
                return Tab(frames[0]["webSocketDebuggerUrl"])
            time.sleep(0.1)
        raise AssertionError(f"no frame came within {PATIENCE} s")


@contextmanager
def browser(fonts: Path | None = None) -> Iterator[Tab]:
    """A Chromium of its own with one empty page, and with a folder of fonts besides the machine's.

    It ends with the block.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if fonts:
            (Path(folder) / ".fonts").symlink_to(fonts)  # Chromium's home is this folder
        command = [chromium(), *OPTIONS, f"--user-data-dir={folder}/user", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        program = subprocess.Popen(command, env=os.environ | {"HOME": folder}, **quiet)
        try:
            yield Tab(address_of_page(Path(folder) / "user" / "DevToolsActivePort", program))
        finally:
            program.terminate()
            program.wait(30)


def address_of_page(told: Path, program: subprocess.Popen) -> str:
    """The websocket of the page that Chromium opened, once it has written down its port."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and program.poll() is None:
        lines = told.read_text().splitlines() if told.exists() else []
        if lines and (found := pages(int(lines[0]), "page")):
            return found[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError(f"chromium did not start within {PATIENCE} s (exit code {program.poll()})")


def pages(port: int, kind: str) -> list[dict[str, str]]:
    """What Chromium shows now, of one kind: page or iframe."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
        return [page for page in json.load(answer) if page["type"] == kind]
