"""JSON lines and CSV as shards, read line by line: no line, however long, is ever held whole.

A reader yields `(frame, aside)`: rows with the column ROW, and a list of (row, reason, excerpt).
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa

from cpack_lib.corpus.read.schemas import (
    BYTES_PER_SHARD,
    EXCERPT,
    LONGEST_ROW,
    ROW,
    ROWS_PER_SHARD,
    TEXT,
    columns_of,
)

Aside = list[tuple[int, str, str]]
Record = dict[str, Any] | str  # the fields, or the reason why there are none
TOO_LONG = "\udc00"  # stands for a line that was cut: no bytes decode to it
TOO_LONG_REASON = f"line longer than {LONGEST_ROW} bytes"


def names_in_records(path: Path) -> list[str] | None:
    """The names in a CSV's head or in the first hundred JSON objects, None where there are none of these."""
    records = (record for _, record, _ in islice(records_in(path), 100) if isinstance(record, dict))
    return list(dict.fromkeys(name for record in records for name in record)) or None


def record_shards(path: Path, kind: str, renamed: Mapping[str, str]) -> Iterator[tuple[pl.DataFrame, Aside]]:
    """One file's rows, at most ROWS_PER_SHARD and about BYTES_PER_SHARD at a time."""
    rows, fitting, aside, size = [], [], [], 0
    for row, record, excerpt in records_in(path):
        if isinstance(record, dict):
            record = {renamed.get(name, name): value for name, value in record.items()}
            record |= {"id": str(record["id"])} if isinstance(record.get("id"), int) else {}
            record |= {} if is_json(path) else cells_as_lists(record, kind)
        reason = record if isinstance(record, str) else type_reason(record, kind)
        if reason:
            aside.append((row, reason, excerpt))
        else:
            rows.append(row)
            fitting.append(record)
            size += sum(len(str(value)) for value in record.values())
        if len(rows) + len(aside) >= ROWS_PER_SHARD or size >= BYTES_PER_SHARD // 3:  # 3 bytes a character
            yield frame_of(rows, fitting, kind), aside
            rows, fitting, aside, size = [], [], [], 0
    yield frame_of(rows, fitting, kind), aside


def records_in(path: Path) -> Iterator[tuple[int, Record, str]]:
    """(row, record, excerpt) of every line of JSON or every row of CSV that is not blank."""
    row = 0
    try:
        with opened(path) as stream:
            found = json_records(stream) if is_json(path) else csv_records(stream, path)
            for row, record, excerpt in found:
                yield row, record, excerpt
    except (pa.ArrowException, OSError) as error:
        yield row + 1, "unreadable packed file from this row on", str(error)[:EXCERPT]


def is_json(path: Path) -> bool:
    """Whether a file holds JSON lines; else it is a CSV."""
    return ".jsonl" in path.suffixes


def opened(path: Path) -> BinaryIO:
    """A file's bytes, unpacked as they are read; OSError where a packed file breaks off."""
    packed = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    return io.BufferedReader(pa.input_stream(path, compression=packed))


def lines(stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """(line, whether it was cut at LONGEST_ROW bytes)."""
    while line := stream.readline(LONGEST_ROW + 1):
        cut = len(line) > LONGEST_ROW
        rest = line
        while cut and rest and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_ROW)
        yield line, cut


def json_records(stream: BinaryIO) -> Iterator[tuple[int, Record, str]]:
    """(row, record, excerpt) of JSON lines."""
    for row, (line, cut) in enumerate(lines(stream), start=1):
        if line.strip():
            yield row, TOO_LONG_REASON if cut else json_record(line), line[:EXCERPT].decode(errors="replace")


def json_record(line: bytes) -> Record:
    """The object in a line, or why there is none that Unicode can write."""
    try:
        text = line.decode("utf-8-sig")
        record = json.loads(text)
        if r"\ud" in text.lower():
            json.dumps(record, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        return "invalid UTF-8"
    except UnicodeEncodeError:
        return "lone surrogate"
    except (ValueError, RecursionError):
        return "bad JSON"
    return record if isinstance(record, dict) else "no JSON object"


def csv_records(stream: BinaryIO, path: Path) -> Iterator[tuple[int, Record, str]]:
    """(row, record, excerpt) of CSV under a head of names; a cell holds at most `csv.field_size_limit()`."""
    texts = (TOO_LONG + "\n" if cut else line.decode(errors="surrogateescape") for line, cut in lines(stream))
    reader = csv.reader(texts, delimiter="\t" if ".tsv" in path.suffixes else ",", strict=True)
    names: list[str] = []
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, "bad CSV", str(error)
            continue
        if not names:
            names = [name.removeprefix("\ufeff").strip() for name in fields]
            if any(map(undecoded, names)):
                raise ValueError(
                    f"the names at the head of {path} are not UTF-8: save it anew as UTF-8 (a spreadsheet "
                    'calls that "CSV UTF-8")'
                )
        elif fields:
            excerpt = ",".join(fields)[:EXCERPT].encode(errors="replace").decode()
            yield reader.line_num, csv_record(names, fields), excerpt


def csv_record(names: list[str], fields: list[str]) -> Record:
    """The fields under their names, or why they are none."""
    joined = "".join(fields)
    if TOO_LONG in joined:
        return TOO_LONG_REASON
    if undecoded(joined):
        return "invalid UTF-8"
    if len(fields) != len(names):
        return f"not {len(names)} fields"
    return dict(zip(names, fields, strict=True))


def undecoded(text: str) -> bool:
    """Whether a byte that is no UTF-8 stands in a text."""
    return any("\udc80" <= character <= "\udcff" for character in text)


def cells_as_lists(record: dict[str, str], kind: str) -> dict[str, list[str]]:
    """The cells of a CSV that stand in a column of lists: lists of that one text, of none where blank."""
    lists = (column for column, dtype in columns_of(kind).items() if dtype != TEXT and column in record)
    return {column: [record[column]] if record[column].strip() else [] for column in lists}


def type_reason(record: dict[str, Any], kind: str) -> str | None:
    """Why a record's values are not what the table's columns hold, None where they are or are missing."""
    for column, dtype in columns_of(kind).items():
        value = record.get(column)
        if dtype == TEXT and not isinstance(value, str | None):
            return f"{column} is no text"
        if (
            dtype != TEXT
            and value is not None
            and not (isinstance(value, list) and all(isinstance(text, str) for text in value))
        ):
            return f"{column} is no list of texts"
    return None


def frame_of(rows: list[int], records: list[dict[str, Any]], kind: str) -> pl.DataFrame:
    """Records as a frame with all columns of the table, null where a record has none, and ROW."""
    wanted = columns_of(kind)
    names = dict.fromkeys([*wanted, *(name for record in records for name in record if name != ROW)])
    columns = [series_of(name, [record.get(name) for record in records], wanted.get(name)) for name in names]
    return pl.DataFrame([*columns, pl.Series(ROW, rows, dtype=pl.Int64)])


def series_of(name: str, values: list[Any], dtype: pl.DataType | None) -> pl.Series:
    """A column of the `dtype`; without one, of the type that all values share, or else of JSON text."""
    types = {type(value) for value in values if value is not None}
    if dtype is None and types == {int} and all(abs(value or 0) < 2**63 for value in values):
        dtype = pl.Int64()
    elif dtype is None and len(types) == 1:
        dtype = {str: TEXT, bool: pl.Boolean(), float: pl.Float64()}.get(types.pop())
    if dtype is None:
        values = [value if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return pl.Series(name, values, dtype=dtype or TEXT)
