"""`cpack fetch`: copies of the public evaluation sets at pinned revisions, for a machine without a network.

A copy is whole or not there: files come into a folder with a dot before its name, which goes on where it was
stopped; its manifest (sizes, SHA-256) is written, then the folder gets its name.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import disable_progress_bars, filter_repo_objects, httpx

from cpack_lib.corpus.read.evaluation_sets import SUITES, EvaluationSet, evaluation_sets, sets_folder
from cpack_lib.work.files import read_json, sha256, write_json

DEFAULT = "cmteb-35"
MISSING = (RepositoryNotFoundError, RevisionNotFoundError)  # of one set; the others may still come


def arguments(parser: argparse.ArgumentParser) -> None:
    """What `cpack fetch` takes."""
    parser.add_argument(
        "names",
        nargs="*",
        default=["cmteb"],
        metavar="NAME",
        help=f"a suite ({', '.join(SUITES)}; cmteb is the first), a task type or a task; cmteb if left out",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be fetched, and how much")


def run(asked: argparse.Namespace) -> int:
    """Fetch what is asked for, a line per set; 1 if the hub lacks one of them, ValueError without a hub."""
    if not sys.stderr.isatty():
        disable_progress_bars()
    wanted = sets_named(asked.names)
    missing = [one for one in wanted if not one.is_fetched]
    sizes = {one: size for one in missing if (size := told_size(one)) is not None}
    print(forecast(wanted, sizes), flush=True)
    if asked.dry_run:
        return 0
    for one in wanted:
        if one in sizes:
            began = time.monotonic()
            fetch(one)
            print(f"{line(one)}  {megabytes(one):8.1f} MB in {time.monotonic() - began:.0f} s", flush=True)
        elif one.is_fetched:
            print(f"{line(one)}  {megabytes(one):8.1f} MB already there", flush=True)
    return 0 if len(sizes) == len(missing) else 1


def sets_named(names: Sequence[str]) -> list[EvaluationSet]:
    """The sets behind suites, task types and tasks, each repository at a revision once."""
    found = {}
    for name in names:
        for one in evaluation_sets(full_name(name)):
            found.setdefault(one.folder, one)
    return list(found.values())


def full_name(name: str) -> str:
    """cmteb -> cmteb-35; Retrieval or STSB -> cmteb-35:STSB, or the suite that has it."""
    suite, colon, choice = name.partition(":")
    if suite == "cmteb":
        return f"{DEFAULT}{colon}{choice}"
    if suite in SUITES:
        return name
    having = (
        suite
        for suite in SUITES
        if any(name in (one.task, one.kind, one.part_of) for one in evaluation_sets(suite))
    )
    return f"{next(having, DEFAULT)}:{name}"


def told_size(one: EvaluationSet) -> int | None:
    """Bytes that are still to come; None, and a line, where the hub does not give the set."""
    try:
        told = HfApi().dataset_info(one.repo, revision=one.revision, files_metadata=True)
    except MISSING as error:
        print(f"{line(one)}  the hub does not give it ({type(error).__name__})", flush=True)
        return None
    except (OSError, httpx.HTTPError) as error:
        raise stopped(one, error) from error
    sizes = {file.rfilename: file.size or 0 for file in told.siblings}
    wanted = filter_repo_objects(sizes, ignore_patterns=ignored(one))
    return sum(sizes[path] for path in wanted if not (aside_of(one) / path).is_file())


def forecast(wanted: Sequence[EvaluationSet], sizes: dict[EvaluationSet, int]) -> str:
    """One sentence before the start; ValueError where the disk is too small."""
    place, needed = sets_folder(), sum(sizes.values())
    free = shutil.disk_usage(next(path for path in (place, *place.parents) if path.is_dir())).free
    if needed > free:
        raise ValueError(
            f"{needed / 1e9:.1f} GB are to be fetched, but the disk of {place} has {free / 1e9:.1f} GB left: "
            "name a folder on a larger one with CPACK_EVALUATION, or fetch fewer sets"
        )
    there = sum(one.is_fetched for one in wanted)
    return (
        f"{len(wanted)} sets, {there} already there; {needed / 1e9:.2f} GB to fetch into {place} "
        f"({free / 1e9:.0f} GB free)"
    )


def fetch(one: EvaluationSet) -> None:
    """Make the copy of one set; what an earlier try left of it is used."""
    aside = aside_of(one)
    try:
        snapshot_download(
            one.repo,
            repo_type="dataset",
            revision=one.revision,
            local_dir=aside,
            ignore_patterns=ignored(one),
        )
    except (OSError, httpx.HTTPError) as error:
        raise stopped(one, error) from error
    shutil.rmtree(aside / ".cache")  # the hub's own notes
    files = {
        path.relative_to(aside).as_posix(): {"size": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(aside.rglob("*"))
        if path.is_file()
    }
    shutil.rmtree(one.folder, ignore_errors=True)  # a folder without a manifest is not whole
    write_json(one.manifest, {"repo": one.repo, "revision": one.revision, "files": files})
    aside.rename(one.folder)


def aside_of(one: EvaluationSet) -> Path:
    """Where a copy grows."""
    return one.folder.with_name(f".{one.folder.name}")


def ignored(one: EvaluationSet) -> list[str]:
    """Files of a repository that are not copied."""
    return [".gitattributes", *one.left_out]


def stopped(one: EvaluationSet, error: Exception) -> ValueError:
    """One sentence for a hub, a network or a disk that fails."""
    told = " ".join(str(error).split())[:200]
    return ValueError(
        f"{one.task} did not come from {constants.ENDPOINT} ({type(error).__name__}: {told}): check network, "
        "proxy, HF_ENDPOINT and HF_HUB_OFFLINE; what has come stays, and the same command goes on from here"
    )


def line(one: EvaluationSet) -> str:
    """How a set begins its line."""
    return f"{one.task:<32} {one.address:<56}"


def megabytes(one: EvaluationSet) -> float:
    """The size of a copy."""
    return sum(file["size"] for file in read_json(one.manifest, {"files": dict})["files"].values()) / 1e6
