"""Files that are whole or not there: JSON written aside and renamed, content hashes, the two root folders."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xxhash

ROOT = Path(__file__).resolve().parents[2]
WORLD = "cpack_lib/corpus/world"  # facts, grammars and articles that every world: table is made from
SAMPLE = 1 << 20  # bytes read at each end of a file for table_identity


def runs_folder() -> Path:
    """Where runs are kept: $CPACK_RUNS (absolute, or relative to the repository), else its runs/."""
    return ROOT / (os.environ.get("CPACK_RUNS") or "runs")


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it, whatever dies."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def read_json(path: Path, expected: Mapping[str, type]) -> dict[str, Any]:
    """A JSON object with the expected keys; ValueError names the file and what to do where it is damaged."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); move {path.parent} away and run it again") from None
    for name, kind in expected.items():
        if not isinstance(value, dict) or not isinstance(value.get(name), kind):
            raise ValueError(
                f"{path} is damaged (it has no {name}); move {path.parent} away and run it again"
            )
    return value


def describe(folder: Path, notebook: str) -> dict[str, dict[str, Any]]:
    """Every file a run made -> size (bytes) and sha256; not its executed copy, its lock, hidden files."""
    own = {"manifest.json", "run.lock", f"{notebook}.ipynb"}
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths if not path.name.startswith(".")}
    return {
        name: {"size": path.stat().st_size, "sha256": sha256(path)}
        for name, path in names.items()
        if name not in own
    }


def sha256(path: Path) -> str:
    """The hash of a whole file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table_identity(table: str) -> str:
    """16 hex digits for what a table's name stands for now.

    For "folder:PATH" and "world:KIND" the names, sizes and both ends of the files that it is made from, so
    that a large folder is cheap; for what lies on the hub the name itself, which pins a revision.
    """
    supply, _, address = table.partition(":")
    if supply == "labelled":  # NAME@FOLDER, or NAME and NAME@hub for the hub
        address = address.partition("@")[2]
        supply = "hub" if address in ("", "hub") else "folder"
    if supply in ("hub", "cmteb"):
        return digest(table)
    path = ROOT / (WORLD if supply == "world" else address)
    if not path.exists():
        raise ValueError(f"{table} does not exist ({path})")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    kept = [file for file in files if "__pycache__" not in file.parts]
    marks = [[file.relative_to(path).as_posix(), file.stat().st_size, ends(file)] for file in kept]
    return digest([table, marks] if supply == "world" else marks)


def ends(path: Path) -> str:
    """A hash of the first and the last mebibyte of a file."""
    with path.open("rb") as file:
        first = file.read(SAMPLE)
        file.seek(max(path.stat().st_size - SAMPLE, 0))
        return hashlib.sha256(first + file.read()).hexdigest()


def digest(value: Any) -> str:
    """16 hex digits for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def digest_of(paths: Iterable[Path]) -> str:
    """What tells the contents of some files from any others."""
    digest = xxhash.xxh3_64()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
