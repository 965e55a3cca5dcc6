"""Lines of large text files looked up by number: the text stays on disk, 24 bytes a line in memory.

Axes: N lines of a file, R of them wanted.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from cpack_lib.corpus.read.columnar import Aside
from cpack_lib.corpus.read.schemas import EXCERPT, ROW

BLOCK = 1 << 24  # bytes searched for line ends at a time
LINES_PER_BLOCK = 1 << 18  # whose numbers are read at a time
DIGITS = 12  # of a number at most
NUMBER_AGAIN = "number used before"
BYTE_ORDER_MARK = "\ufeff".encode()
LINES_PER_BATCH = 1_000_000  # of a file of numbers


class NumberedTexts:
    """A file of `number TAB text` without quotes: a head and other lines without a number are never found."""

    def __init__(self, path: Path):
        self.path = path
        size = path.stat().st_size
        self.bytes = np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8)
        ends = [
            start + 1 + np.flatnonzero(self.bytes[start : start + BLOCK] == ord("\n"))
            for start in range(0, size, BLOCK)
        ]
        first = len(BYTE_ORDER_MARK) * (self.bytes[:3].tobytes() == BYTE_ORDER_MARK)
        self.bounds = np.unique(np.concatenate([[first], *ends, [size]])).astype(np.int64)  # (N + 1,)
        self.numbers = np.concatenate(  # (N,)
            [
                leading_numbers(self.bytes, self.bounds[start : start + LINES_PER_BLOCK])
                for start in range(0, max(1, len(self.bounds) - 1), LINES_PER_BLOCK)
            ]
        )[: len(self.bounds) - 1]
        self.order = np.argsort(self.numbers, kind="stable")  # (N,)

    def find(self, numbers: np.ndarray) -> np.ndarray:
        """The first line with each number, counted from 0, or -1: (R,) -> (R,)."""
        if not len(self.order):
            return np.full(len(numbers), -1)
        place = np.searchsorted(self.numbers, numbers, sorter=self.order)
        line = self.order[np.minimum(place, len(self.order) - 1)]
        return np.where((self.numbers[line] == numbers) & (numbers >= 0), line, -1)

    def texts(self, lines: np.ndarray) -> pl.Series:
        """What stands behind the number in these lines; null for line -1 and for what is no UTF-8.

        A second tab, which in Multi-CPR ends a title, becomes a space.
        """
        buffers = [None, pa.py_buffer(self.bounds), pa.py_buffer(self.bytes)]
        whole = pa.Array.from_buffers(pa.large_binary(), len(self.bounds) - 1, buffers)
        wanted = as_text(pl.Series("text", pl.from_arrow(whole.take(pa.array(lines, mask=lines < 0)))))
        rest = wanted.str.splitn("\t", 2).struct.field("field_1")
        return rest.str.strip_chars("\r\n").str.replace_all("\t", " ", literal=True).alias("text")

    def lookup(self, numbers: pl.Series) -> pl.DataFrame:
        """`known` (whether there is such a number) and `text` (null where unknown, or no UTF-8): R rows."""
        lines = self.find(numbers.to_numpy())
        return pl.DataFrame({"known": lines >= 0, "text": self.texts(lines)})

    def frame(self) -> tuple[pl.DataFrame, Aside]:
        """(ROW, number, text; lines without a number, or with one used before) of a small file."""
        lines = np.arange(len(self.numbers))
        known = self.find(self.numbers) == lines
        rows = pl.DataFrame(
            {ROW: lines[known] + 1, "number": self.numbers[known], "text": self.texts(lines[known])}
        )
        others = lines[~known & ((self.numbers >= 0) | (lines > 0))]
        reasons = np.where(self.numbers[others] >= 0, NUMBER_AGAIN, "no number and tab at its beginning")
        return rows, [(line + 1, reason, "") for line, reason in zip(others.tolist(), reasons, strict=True)]


def leading_numbers(data: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The number before the first tab of each line, -1 where there is none: (N,) -> (N,)."""
    if not len(data):
        return np.zeros(0, np.int64)
    window = data[np.minimum(starts[:, None] + np.arange(DIGITS + 1), len(data) - 1)]  # (N, 13)
    digits = window - np.uint8(ord("0"))
    length = np.logical_and.accumulate(digits < 10, axis=1).sum(axis=1)  # (N,)
    value = np.zeros(len(starts), np.int64)
    for place in range(DIGITS):
        value = np.where(place < length, 10 * value + digits[:, place], value)
    is_number = (length > 0) & (length <= DIGITS)
    follows = window[np.arange(len(starts)), np.minimum(length, DIGITS)]
    return np.where(is_number & (follows == ord("\t")), value, -1)


def as_text(binary: pl.Series) -> pl.Series:
    """Bytes as text, null where they are no UTF-8; one by one only where there are such."""
    try:
        return binary.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series(binary.name, [decoded(each) for each in binary], dtype=pl.String)


def decoded(text: bytes | None) -> str | None:
    """A text, or None where there are no bytes or they are no UTF-8."""
    try:
        return None if text is None else text.decode()
    except UnicodeDecodeError:
        return None


def number_lines(
    path: Path, columns: list[str], separator: str = "\t"
) -> Iterator[tuple[pl.DataFrame, Aside]]:
    """(ROW and the columns, lines that hold anything else) of a file of whole numbers, batch by batch.

    Blank lines and a head without digits are passed over.
    """
    if not path.stat().st_size:
        return
    scanned = pl.scan_csv(
        path,
        separator="\0",  # a line is one field: the pattern below sees whether it has a number too many
        has_header=False,
        schema={"line": pl.String},
        quote_char=None,
        encoding="utf8-lossy",
        row_index_name=ROW,
        row_index_offset=1,
    )
    pattern = "^\ufeff?" + separator.join(rf"(?<{name}>\d+)" for name in columns) + "$"
    is_head = (pl.col(ROW) == 1) & ~pl.col("line").str.contains(r"\d")
    fits = pl.all_horizontal(pl.col(columns).is_not_null())
    reason = pl.lit(f"not {len(columns)} numbers").alias("reason")
    for batch in scanned.collect_batches(chunk_size=LINES_PER_BATCH, maintain_order=True):
        batch = batch.filter(pl.col("line").str.contains(r"\S") & ~is_head)
        numbers = pl.col("line").str.extract_groups(pattern).struct.field(*columns)
        batch = batch.with_columns(numbers.cast(pl.Int64, strict=False), pl.col(ROW).cast(pl.Int64))
        misfits = batch.filter(~fits).select(ROW, reason, pl.col("line").str.head(EXCERPT))
        yield batch.filter(fits).drop("line"), misfits.rows()
