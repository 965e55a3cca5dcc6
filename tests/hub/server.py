"""A Hugging Face hub on this machine: the HTTP API as far as `datasets` and `huggingface_hub` use it.

Repositories of datasets at one commit each: description, tree in pages, paths, files whole or in ranges.
Large files (Parquet, gzip) come from a store at another address, as the hub's do; what is missing is a 404
with the hub's own error codes.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".parquet", ".gz")


@dataclass(frozen=True)
class Repository:
    """Files of a dataset by path, at a commit that is also its branch main."""

    name: str  # owner/name
    files: dict[str, bytes] = field(repr=False)
    revision: str = "a" * 40

    def entry(self, path: str) -> dict:
        """A file or a folder as the hub's tree lists it."""
        if path not in self.files:
            return {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}
        data = self.files[path]
        told = {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": path}
        if path.endswith(LARGE):
            told["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
        return told

    def tree(self, folder: str, recursive: bool) -> list[dict]:
        """What lies in a folder, and with `recursive` everything below it."""
        paths = {path for path in self.files if not folder or path.startswith(f"{folder}/")}
        paths |= {str(above) for path in paths for above in PurePosixPath(path).parents}
        below = sorted(paths - {".", folder} - {str(above) for above in PurePosixPath(folder).parents})
        depth = folder.count("/") + 1 if folder else 0
        return [self.entry(path) for path in below if recursive or path.count("/") == depth]

    def about(self) -> dict:
        """The description of the repository, with the size of each file."""
        siblings = [{"rfilename": path, "size": len(data)} for path, data in self.files.items()]
        return {"id": self.name, "sha": self.revision, "siblings": siblings, "private": False, "gated": False}


def sha256(data: bytes) -> str:
    """Hex."""
    return hashlib.sha256(data).hexdigest()


@dataclass
class Hub:
    """`with Hub(repositories) as hub:` serves them at hub.address; `asked` lists (method, path) of requests,
    `spans` the ranges in which the store was asked for a file ("" for all of it).

    `page` is how many entries a listing gives at once; `cut` how many bytes of a large file pass before the
    connection breaks (None: all); `broken` the large files that the store cannot give.
    """

    repositories: Iterable[Repository] = field(repr=False)
    page: int = 1_000
    cut: int | None = None
    broken: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)

    def __enter__(self) -> "Hub":
        self.by_name = {repository.name: repository for repository in self.repositories}
        handler = type("Handler", (Handler,), {"hub": self})
        self.servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
        self.address, self.store = (f"http://127.0.0.1:{one.server_port}" for one in self.servers)
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    @property
    def fetched(self) -> list[str]:
        """owner/name/path of every file that was downloaded, small ones first."""
        paths = [path for method, path in self.asked if method == "GET"]
        small = [FILE.fullmatch(path) for path in paths if not path.endswith(LARGE)]
        large = [STORE.fullmatch(path) for path in paths]
        return [f"{match['name']}/{match['path']}" for match in (*small, *large) if match]

    def environment(self, home: Path) -> dict[str, str]:
        """What a process has to be told to use this hub, with its caches in `home`."""
        return {
            "HF_ENDPOINT": self.address,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }


FILE = re.compile(r"/datasets/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
API = re.compile(
    r"/api/datasets/(?P<name>[^/]+/[^/]+?)"
    r"(/(?P<verb>revision|tree|paths-info)/(?P<revision>[^/]+)(/(?P<path>.+))?)?"
)
STORE = re.compile(r"/store/(?P<name>[^/]+/[^/]+)/(?P<path>.+)")


class Handler(BaseHTTPRequestHandler):
    """The requests of one hub."""

    protocol_version, wbufsize = "HTTP/1.1", 1 << 16  # one packet per answer: two would wait for each other
    hub: Hub

    def do_GET(self) -> None:
        """Answer GET, HEAD and POST."""
        split = urlsplit(self.path)
        path, self.query = unquote(split.path), parse_qs(split.query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append((self.command, path))
        for pattern, answer in ((FILE, self.give_file), (STORE, self.give_stored), (API, self.give_told)):
            if match := pattern.fullmatch(path):
                repository = self.hub.by_name.get(match["name"])
                if repository is None:
                    return self.give_error("RepoNotFound", "Repository not found")
                return answer(repository, match.groupdict(), body)
        return self.give_error("EntryNotFound", "no such page")

    do_HEAD = do_POST = do_GET

    def give_told(self, repository: Repository, asked: dict, body: bytes) -> None:
        """A description, a page of a tree, or the entries of some paths."""
        if asked["revision"] and not self.knows(repository, asked["revision"]):
            return self.give_error("RevisionNotFound", f"Invalid rev id: {asked['revision']}")
        if asked["verb"] == "tree":
            folder = asked["path"] or ""
            deep = self.query.get("recursive", [""])[0].lower() == "true"
            entries = repository.tree(folder, deep)
            if folder and not entries:
                return self.give_error("EntryNotFound", f"{folder} does not exist")
            return self.give_page(entries)
        if asked["verb"] == "paths-info":
            known = set(repository.files) | {entry["path"] for entry in repository.tree("", recursive=True)}
            wanted = parse_qs(body.decode()).get("paths", [])
            return self.give_json([repository.entry(path) for path in wanted if path in known])
        return self.give_json(repository.about())

    def give_page(self, entries: list[dict]) -> None:
        """Entries from the cursor on, and a link to the rest."""
        start = int(self.query.get("cursor", ["0"])[0])
        end, headers = start + self.hub.page, {}
        if end < len(entries):
            others = "&".join(f"{k}={v[0]}" for k, v in self.query.items() if k != "cursor")
            link = f"{self.hub.address}{urlsplit(self.path).path}?{others}&cursor={end}"
            headers["Link"] = f'<{link}>; rel="next"'
        self.give_json(entries[start:end], headers)

    def give_file(self, repository: Repository, asked: dict, body: bytes) -> None:
        """A small file, or the way to a large one."""
        data = repository.files.get(asked["path"])
        if not self.knows(repository, asked["revision"]):
            return self.give_error("RevisionNotFound", f"Invalid rev id: {asked['revision']}")
        if data is None:
            return self.give_error("EntryNotFound", "Entry not found", {"X-Repo-Commit": repository.revision})
        if not asked["path"].endswith(LARGE):
            tag = hashlib.sha1(data).hexdigest()
            return self.give_data(data, {"ETag": f'"{tag}"', "X-Repo-Commit": repository.revision})
        headers = {
            "Location": f"{self.hub.store}/store/{repository.name}/{asked['path']}",
            "X-Repo-Commit": repository.revision,
            "X-Linked-Size": str(len(data)),
            "X-Linked-Etag": f'"{sha256(data)}"',
            "Accept-Ranges": "bytes",
        }
        return self.give(302, b"", headers)

    def give_stored(self, repository: Repository, asked: dict, body: bytes) -> None:
        """A large file."""
        if asked["path"] in self.hub.broken:
            return self.give(503, b"", {})
        data = repository.files[asked["path"]]
        self.hub.spans.append(self.headers.get("Range", ""))
        return self.give_data(data, {"ETag": f'"{sha256(data)}"'}, self.hub.cut)

    def give_data(self, data: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        """Bytes, those of a range if one is asked for; only `cut` of them before the line breaks."""
        headers |= {"Accept-Ranges": "bytes"}
        if not (span := self.headers.get("Range")):
            return self.give(200, data, headers, cut)
        first, _, last = span.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(data)), len(data) - 1)
        if start >= len(data):
            return self.give(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        part = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
        return self.give(206, data[start : end + 1], headers | part, cut)

    def knows(self, repository: Repository, revision: str) -> bool:
        """Whether a repository has this branch or commit."""
        return revision in ("main", repository.revision)

    def give_json(self, value: object, headers: dict[str, str] | None = None) -> None:
        """A JSON answer."""
        self.give(200, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def give_error(self, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        """A 404 in the hub's form."""
        told = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"}
        self.give(404, json.dumps({"error": message}).encode(), told | (headers or {}))

    def give(self, status: int, data: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        """One answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:cut])
            self.close_connection = cut is not None and cut < len(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
