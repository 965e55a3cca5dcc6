"""The texts of evaluation sets, task by task: an evaluation folder, the embedded world's sets, or C-MTEB."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cpack_lib.corpus import world
from cpack_lib.corpus.read.evaluation_sets import evaluation_sets, new_task
from cpack_lib.work.files import ROOT

TEXT_COLUMNS = (
    "text",
    "title",
    "query",
    "positive",
    "negative",
    "sentence1",
    "sentence2",
    "sentences",
)
ENDINGS = (".parquet", ".jsonl", ".jsonl.gz")
JUDGEMENTS = ("relevant_docs", "top_ranked")  # what mteb holds beside the texts of a search
BATCH = 65_536  # rows of a hub's table at a time


def evaluation_texts(name: str, seed: int = 0) -> Iterator[tuple[str, pl.Series]]:
    """(task, some of its texts), tasks one after the other: of `folder:PATH`, `world:evaluation` or `cmteb:`.

    `cmteb:T2Retrieval,STSB` reads these of the 35 tasks only, from `cpack fetch`'s copies or from the hub.
    """
    supply, _, address = name.partition(":")
    if (supply, address.partition("@")[0]) == ("world", "evaluation"):
        with tempfile.TemporaryDirectory() as folder:
            world.write_evaluation(Path(folder), seed, address.partition("@")[2] or "zh")
            yield from texts_in(Path(folder))
    elif supply == "cmteb":
        for task in cmteb_tasks(address):
            task.load_data()
            yield from ((task.metadata.name, texts) for texts in task_texts(task))
            task.unload_data()
    elif supply == "folder" and (ROOT / address).is_dir():
        yield from texts_in(ROOT / address)
    else:
        raise ValueError(
            f"{name!r} names no evaluation texts: write world:evaluation, folder:PATH for a folder of "
            "<type>/<name>/*.parquet, or cmteb: for C-MTEB's 35 tasks"
        )


def texts_in(folder: Path) -> Iterator[tuple[str, pl.Series]]:
    """(<type>/<name>, texts) of each text column of a folder's files; ValueError where there are none."""
    found, files = False, (path for path in folder.rglob("*") if path.name.endswith(ENDINGS))
    for path in sorted(files, key=lambda path: (path.parent, path.name)):
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path)
        inside = path.parent.relative_to(folder).as_posix()
        for texts in text_columns(frame):
            found = True
            yield path.name.split(".")[0] if inside == "." else inside, texts
    if not found:
        raise ValueError(
            f"{folder} holds no evaluation texts: no file in it that ends in {', '.join(ENDINGS)} has a "
            f"column named {', '.join(TEXT_COLUMNS)}"
        )


def text_columns(frame: pl.DataFrame) -> Iterator[pl.Series]:
    """Each text column of a table of any task type, its lists as one, without nulls."""
    for column in TEXT_COLUMNS:
        if column in frame.columns:
            texts = frame[column].explode() if frame[column].dtype == pl.List else frame[column]
            yield texts.cast(pl.String).drop_nulls()


def cmteb_tasks(names: str) -> list[Any]:
    """The tasks of C-MTEB, or those named with commas between; ValueError for one that it does not have."""
    return [new_task(chosen) for chosen in evaluation_sets(f"cmteb-35:{names}" if names else "cmteb-35")]


def task_texts(task: Any) -> Iterator[pl.Series]:
    """The text columns of every table of a loaded mteb task, batch by batch."""
    for table in tables_of(task.dataset):
        for frame in table.with_format("polars").iter(BATCH):
            yield from text_columns(frame)


def tables_of(data: Any) -> Iterator[Any]:
    """The Hugging Face tables in mteb's nest of subsets and splits."""
    if isinstance(data, Mapping):
        for name, inner in data.items():
            if name not in JUDGEMENTS:
                yield from tables_of(inner)
    elif hasattr(data, "with_format"):
        yield data
