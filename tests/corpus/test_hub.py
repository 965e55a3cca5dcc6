"""Tables of the hub, through `datasets`, from a server on this machine that speaks as much as is needed."""

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

from cpack_lib.corpus.read import hub

COMMIT = "a" * 40
CARD = b"""---
configs:
- config_name: default
  data_files: [{split: train, path: "data/train-*.parquet"}]
- config_name: exam
  data_files: [{split: test, path: "exam/test-*.parquet"}]
---
"""


def parquet(rows: int) -> bytes:
    file = io.BytesIO()
    pl.DataFrame({"title": [f"题目{i}" for i in range(rows)], "text_b": ["正文"] * rows}).write_parquet(file)
    return file.getvalue()


FILES = {
    "README.md": CARD,
    "data/train-0.parquet": parquet(500),
    "data/train-1.parquet": parquet(300),
    "exam/test-0.parquet": parquet(20),
}


class Hub(BaseHTTPRequestHandler):
    """The repository own/set at one commit: its description, its tree and its files, in ranges too."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        if "/no-such-branch" in path:
            self.give(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("/datasets/own/set/resolve/"):
            self.give_file(path.removeprefix("/datasets/own/set/resolve/").partition("/")[2])
        elif path.startswith("/api/datasets/own/set/tree/"):
            folder = path.removeprefix("/api/datasets/own/set/tree/").partition("/")[2]
            files = [
                {"type": "file", "oid": "0" * 40, "size": len(data), "path": name}
                for name, data in FILES.items()
                if name.startswith(folder)
            ]
            folders = [
                {"type": "directory", "oid": "0" * 40, "size": 0, "path": name} for name in ("data", "exam")
            ]
            self.give(200, json.dumps(files + ([] if folder else folders)).encode())
        elif path == "/api/datasets/own/set" or path.startswith("/api/datasets/own/set/revision/"):
            about = {"id": "own/set", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
            self.give(200, json.dumps(about).encode())
        else:
            self.give(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def give_file(self, name: str):
        data, span = FILES.get(name), self.headers.get("Range")
        if data is None:
            self.give(404, b"", {"X-Error-Code": "EntryNotFound"})
        elif span is None:
            self.give(200, data, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "Accept-Ranges": "bytes"})
        else:
            first, last = (int(number or len(data) - 1) for number in span.removeprefix("bytes=").split("-"))
            part = data[first : last + 1]
            self.give(206, part, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"})

    def give(self, status: int, data: bytes, headers: dict[str, str] | None = None):
        self.send_response(status)
        for name, value in {
            "X-Repo-Commit": COMMIT,
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def ask(address, tmp_path, code: str) -> dict:
    """What `code` leaves in `found`, run where the hub is the server at `address`."""
    imports = "import json\nfrom cpack_lib.corpus.read.sources import open_table"
    script = f"{imports}\n{code}\nprint(json.dumps(found))"
    settings = {
        "HF_ENDPOINT": address,
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_split_is_streamed_and_renamed_like_any_table(address, tmp_path):
    found = ask(
        address,
        tmp_path,
        """
table = open_table("hub:own/set:train", "pairs", columns={"title": "text_a"})
frame = table.read()
exam = open_table("hub:own/set/exam@main:test", "pairs", columns={"title": "text_a"}, rows=7).read()
found = {"rows": len(frame), "first": frame.row(0), "counts": table.counts, "exam": len(exam)}
""",
    )
    assert found["rows"] == 800 and found["first"] == ["题目0", "正文", "set", "pair"] and found["exam"] == 7
    assert found["counts"]["rejected"] == 0 and found["counts"]["filled"] == {"source": 800, "kind": 800}


def test_a_revision_that_does_not_exist_is_an_error(address, tmp_path):
    found = ask(
        address,
        tmp_path,
        """
try:
    open_table("hub:own/set@no-such-branch:train", "pairs", columns={"title": "text_a"}).read()
    found = {"error": ""}
except Exception as error:
    found = {"error": str(error)}
""",
    )
    assert "no-such-branch" in found["error"]


def test_a_missing_column_is_named(address, tmp_path):
    found = ask(
        address,
        tmp_path,
        """
found = {}
try:
    open_table("hub:own/set:train", "pairs").read()
except ValueError as error:
    found["error"] = str(error)
""",
    )
    assert "hub:own/set:train has no column 'text_a'" in found["error"]


@pytest.mark.parametrize(
    "text, parts",
    [
        ("C-MTEB/T2Retrieval:corpus", ("C-MTEB/T2Retrieval", None, None, "corpus")),
        ("wikimedia/wikipedia/20231101.zh@abc:train", ("wikimedia/wikipedia", "20231101.zh", "abc", "train")),
        ("a/b@v1.0:train", ("a/b", None, "v1.0", "train")),
    ],
)
def test_an_address_in_its_parts(text, parts):
    assert tuple(hub.parse_address(text)) == parts


@pytest.mark.parametrize(
    "text", ["", "a/b", "a:train", "a/b@:train", "a/b/:train", "/b:train", "a/b:train[:10%]"]
)
def test_what_is_no_address_is_an_error(text):
    with pytest.raises(ValueError, match="write it as hub:OWNER/NAME"):
        hub.parse_address(text)
