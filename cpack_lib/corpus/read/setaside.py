"""The rows of a table that do not fit: counted by reason, and written to a Parquet file."""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import polars as pl

from cpack_lib.corpus.read.growing import GrowingParquet
from cpack_lib.corpus.read.schemas import EXCERPT, ROW, TEXT, columns_of

COLUMNS = {"file": pl.String, "row": pl.Int64, "reason": pl.String, "excerpt": pl.String}


class SetAside(ExitStack):
    """Rows on their way to `path` (None: only counted)."""

    def __init__(self, path: Path | None):
        super().__init__()
        self.file = None if path is None else self.enter_context(GrowingParquet(path, COLUMNS))
        self.counts = {"rows": 0, "rejected": 0, "reasons": Counter(), "filled": Counter()}

    def add(self, file: str, rows: Iterable[tuple[int, str, str]]) -> None:
        """Count and write (row, reason, excerpt) of one file."""
        lines = pl.DataFrame([(file, *row) for row in rows], schema=COLUMNS, orient="row")
        self.counts["rejected"] += len(lines)
        self.counts["reasons"].update(lines["reason"])
        if self.file is not None:
            self.file.append(lines)


def misfits(frame: pl.DataFrame, reasons: pl.Series, kind: str) -> list[tuple[int, str, str]]:
    """(row, reason, excerpt) of the rows that have a reason; the excerpt is the beginning of their texts."""
    texts = [
        pl.col(column) if dtype == TEXT else pl.col(column).list.join(" ")
        for column, dtype in columns_of(kind).items()
    ]
    excerpt = pl.concat_str([text.str.head(EXCERPT) for text in texts], separator=" ", ignore_nulls=True)
    bad = frame.with_columns(reason=reasons).filter(pl.col("reason").is_not_null())
    return bad.select(ROW, "reason", excerpt.str.head(EXCERPT).alias("excerpt")).rows()
