"""The evaluation folder: one sub-folder per task type and task, Parquet files inside, read and checked.

`retrieval/NAME/{corpus,queries,qrels}.parquet`, `reranking/NAME/test.parquet`, `sts/…`, `pairclass/…`,
`classification/NAME/{train,test}.parquet`, `clustering/…`: C-MTEB's row schemas (docs/paper.md 1.2).
"""

import hashlib
import shutil
from pathlib import Path

import polars as pl

from cpack_lib.corpus import world
from cpack_lib.work.files import ROOT
from cpack_lib.work.runs import finished_run

TEXT, TEXTS, NUMBER, LABEL, LABELS = "text", "list of texts", "number", "label", "list of labels"

TABLES: dict[str, dict[str, dict[str, str]]] = {
    "retrieval": {
        "corpus": {"id": LABEL, "text": TEXT},
        "queries": {"id": LABEL, "text": TEXT},
        "qrels": {"qid": LABEL, "pid": LABEL, "score": NUMBER},
    },
    "reranking": {"test": {"query": TEXT, "positive": TEXTS, "negative": TEXTS}},
    "sts": {"test": {"sentence1": TEXT, "sentence2": TEXT, "score": NUMBER}},
    "pairclass": {"test": {"sentence1": TEXT, "sentence2": TEXT, "label": NUMBER}},
    "classification": {"train": {"text": TEXT, "label": LABEL}, "test": {"text": TEXT, "label": LABEL}},
    "clustering": {"test": {"sentences": TEXTS, "labels": LABELS}},
}


def evaluation_folder(name: str, made: Path, seed: int = 0) -> Path:
    """The folder behind `world:evaluation`, which is written to `made` if it is not there, or `folder:PATH`.

    `world:evaluation@en` are the English sets. RUN/NOTEBOOK is the folder evaluation/ of a finished run:
    questions that 04 held out of its training. A relative PATH starts at the repository, wherever the
    notebook runs.
    """
    supply, _, address = name.partition(":")
    if supply == "folder":
        return ROOT / address
    if is_of_a_run(name):
        return finished_run(name) / "evaluation"
    kind, _, language = address.partition("@")
    if (supply, kind) != ("world", "evaluation"):
        raise ValueError(
            f"{name!r} names no evaluation sets: write world:evaluation, folder:PATH or the RUN/NOTEBOOK "
            "that wrote some"
        )
    if not made.is_dir():
        aside = made.with_name(f".{made.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        world.write_evaluation(aside, seed, language or "zh")
        aside.rename(made)
    return made


def is_of_a_run(name: str) -> bool:
    """Whether sets are named by the run that wrote them, RUN/NOTEBOOK."""
    return ":" not in name and name.count("/") == 1


def task_folders(folder: Path) -> list[Path]:
    """Every `type/name` folder below, in the order of TABLES and of the alphabet, its files checked."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give one with {', '.join(TABLES)} inside")
    kinds = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if strangers := [kind for kind in kinds if kind not in TABLES]:
        raise ValueError(f"{folder / strangers[0]} is no task type: rename it to one of {', '.join(TABLES)}")
    found = [path for kind in TABLES for path in sorted((folder / kind).glob("*")) if path.is_dir()]
    if not found:
        raise ValueError(f"{folder} holds no task: put its files into {folder}/<type>/<name>/")
    for path in found:
        check_files(path)
    return found


def check_files(path: Path) -> None:
    """ValueError where a file or a column of the task is missing; reads only the Parquet footers."""
    for table, columns in TABLES[path.parent.name].items():
        file = path / f"{table}.parquet"
        if not file.is_file():
            raise ValueError(f"{file} is missing: a {path.parent.name} task needs this file")
        schema = pl.read_parquet_schema(file)
        for column, kind in columns.items():
            if column not in schema:
                held = ", ".join(schema)
                raise ValueError(f"{file} has no column {column!r} (it has {held}): rename or add it")
            if not is_kind(schema[column], kind):
                raise ValueError(f"{file}: column {column!r} holds {schema[column]}, but a {kind} is needed")


def is_kind(dtype: pl.DataType, kind: str) -> bool:
    """Whether a column of this type can hold this kind of value."""
    if kind in (TEXTS, LABELS):
        return isinstance(dtype, pl.List) and is_kind(dtype.inner, TEXT if kind == TEXTS else LABEL)
    if kind == NUMBER:
        return dtype.is_numeric()
    return dtype == pl.String or (kind == LABEL and dtype.is_integer())


def read_table(path: Path, table: str) -> pl.DataFrame:
    """One table of a task, its known columns only, without a null (a null is an error that names its row)."""
    file = path / f"{table}.parquet"
    frame = pl.read_parquet(file, columns=list(TABLES[path.parent.name][table]))
    if frame.is_empty():
        raise ValueError(f"{file} has no rows: remove the folder {path.name} or fill the file")
    for column in frame.columns:
        if (nulls := frame[column].is_null()).any():
            row = nulls.arg_max()
            raise ValueError(f"{file}: column {column!r} is empty in row {row}: fill it or drop the row")
    return frame


def first_texts(path: Path, rows: int = 100) -> list[str]:
    """Texts of the first rows of a task's first table, by which its language is known."""
    table, columns = next(iter(TABLES[path.parent.name].items()))
    column = next(name for name, kind in columns.items() if kind in (TEXT, TEXTS))
    found = pl.read_parquet(path / f"{table}.parquet", columns=[column], n_rows=rows)[column]
    return (found.explode() if found.dtype == pl.List else found).drop_nulls().to_list()


def fingerprint(path: Path) -> str:
    """SHA-256 over the names and bytes of the task's files, 16 hex digits."""
    digest = hashlib.sha256()
    for table in TABLES[path.parent.name]:
        digest.update(table.encode() + (path / f"{table}.parquet").read_bytes())
    return digest.hexdigest()[:16]
