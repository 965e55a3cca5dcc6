"""A public set by name, from a folder in the layout of the hub or from the hub itself, shard by shard."""

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from cpack_lib.corpus.labelled.joining import Shard
from cpack_lib.corpus.labelled.sets import SETS, PublicSet
from cpack_lib.work.files import ROOT

HUB = ("", "hub")  # places that mean: download it


def check_set(name: str, place: str) -> None:
    """ValueError where there is no such set, or where the folder has none of the layouts it comes in."""
    if place not in HUB:
        layout_of(public_set(name), ROOT / place)
    public_set(name)


def shards(name: str, place: str) -> Iterator[Shard]:
    """(file, labelled rows with ROW, what does not fit) of a set in a folder or, as "hub", downloaded."""
    wanted = public_set(name)
    folder = downloaded(wanted) if place in HUB else ROOT / place
    yield from wanted.layouts[layout_of(wanted, folder)].convert(folder)


def parse_address(address: str) -> tuple[str, str]:
    """`NAME` or `NAME@PLACE` -> (name, place)."""
    name, _, place = address.partition("@")
    return name, place


def public_set(name: str) -> PublicSet:
    """The set with this name, or ValueError that lists them."""
    if name not in SETS:
        raise ValueError(f"{name!r} is no public labelled set: use one of {', '.join(SETS)}")
    return SETS[name]


def layout_of(wanted: PublicSet, folder: Path) -> int:
    """Which of the set's layouts the folder has, or ValueError with the files that it lacks."""
    missing = [[file for file in layout.files if not any(folder.glob(file))] for layout in wanted.layouts]
    for place, files in enumerate(missing):
        if not files:
            return place
    nearest = min(missing, key=len)
    needs = " or ".join(", ".join(layout.files) for layout in wanted.layouts)
    raise ValueError(
        f"{folder} lacks {', '.join(nearest)}; {wanted.name} needs {needs}, as in {wanted.hub} on the hub"
    )


def downloaded(wanted: PublicSet) -> Path:
    """The folder in the hub's cache with the files of the set's first layout."""
    files = list(wanted.layouts[0].files)
    try:
        folder = snapshot_download(
            wanted.hub, repo_type="dataset", revision=wanted.revision, allow_patterns=files
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError, OSError) as error:
        raise ValueError(
            f"{wanted.hub} cannot be downloaded from the hub ({type(error).__name__}): give {wanted.name} as "
            f"a folder with {', '.join(files)}"
        ) from error
    return Path(folder)
