"""Parquet files and Arrow tables as shards; rows that are no UTF-8 and files that break off are set aside.

A reader yields `(frame, aside)`: rows with the column ROW, and a list of (row, reason, excerpt).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from cpack_lib.corpus.read.schemas import BYTES_PER_SHARD, EXCERPT, ROW, ROWS_PER_SHARD, TEXT, columns_of

Aside = list[tuple[int, str, str]]


def names_in_parquet(path: Path) -> list[str] | None:
    """The column names of a file, None where its end, which holds them, is lost."""
    try:
        return pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return None


def parquet_shards(path: Path, kind: str, renamed: Mapping[str, str]) -> Iterator[tuple[pl.DataFrame, Aside]]:
    """One file's rows, at most ROWS_PER_SHARD and about BYTES_PER_SHARD at a time."""
    start = 1
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                about = file.metadata.row_group(group)
                row_bytes = max(1, about.total_byte_size // max(1, about.num_rows))
                rows = min(ROWS_PER_SHARD, max(1, BYTES_PER_SHARD // row_bytes))
                for batch in file.iter_batches(batch_size=rows, row_groups=[group]):
                    table = pa.Table.from_batches([batch])
                    yield arrow_shard(table, kind, renamed, start=start, file=path.name)
                    start += len(batch)
    except (pa.ArrowException, OSError) as error:
        yield pl.DataFrame(), [(start, "unreadable Parquet file from this row on", str(error)[:EXCERPT])]


def arrow_shard(
    table: pa.Table, kind: str, renamed: Mapping[str, str], *, start: int, file: str
) -> tuple[pl.DataFrame, Aside]:
    """A table as a shard whose first row has the number `start`.

    ValueError where a column that should hold text holds something else in all rows.
    """
    table = table.rename_columns([renamed.get(name, name) for name in table.column_names])
    wanted = {name: dtype for name, dtype in columns_of(kind).items() if name in table.column_names}
    for column, dtype in wanted.items():
        stored = table.schema.field(column).type
        if not holds(stored, dtype) and not (column == "id" and types.is_integer(stored)):
            raise ValueError(
                f"column {column!r} of {file} holds {stored}, not "
                f"{'text' if dtype == TEXT else 'lists of texts'}: write it as such"
            )
    table = table.append_column(ROW, pa.array(range(start, start + len(table)), pa.int64()))
    bad = invalid_rows(table)
    if bad:
        table = table.filter(pa.array([i not in bad for i in range(len(table))]))
    aside = [(start + i, "invalid UTF-8", excerpt) for i, excerpt in bad.items()]
    return pl.from_arrow(table).cast(wanted), aside


def holds(stored: pa.DataType, wanted: pl.DataType) -> bool:
    """Whether an Arrow type is text, or lists of text; a column of nulls alone may be either."""
    stored = stored.value_type if types.is_dictionary(stored) else stored
    if types.is_null(stored):
        return True
    if wanted == TEXT:
        return types.is_string(stored) or types.is_large_string(stored) or types.is_string_view(stored)
    return (types.is_list(stored) or types.is_large_list(stored)) and holds(stored.value_type, TEXT)


def invalid_rows(table: pa.Table) -> dict[int, str]:
    """Position -> excerpt of the rows with bytes that are no UTF-8; one by one only where there are any."""
    try:
        table.validate(full=True)
        return {}
    except pa.ArrowInvalid:
        rows = ((i, table.slice(i, 1)) for i in range(len(table)))
        return {i: excerpt for i, row in rows if (excerpt := invalid_text(row)) is not None}


def invalid_text(row: pa.Table) -> str | None:
    """An excerpt of the first column of a row that is no UTF-8, None where all are."""
    for name in row.column_names:
        column = row[name].combine_chunks()
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if types.is_string(column.type) or types.is_large_string(column.type):
                return column.cast(pa.large_binary())[0].as_py()[:EXCERPT].decode(errors="replace")
            return f"{name}: {error}"
    return None
