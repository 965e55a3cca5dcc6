"""The three tables that come in: their columns, what fills a gap, and why a row does not fit."""

from collections.abc import Callable, Mapping

import polars as pl

LONGEST_ROW = 8 * 2**20  # bytes of one text, one list of texts or one line; a longer row is set aside
ROWS_PER_SHARD = 65_536
BYTES_PER_SHARD = 64 * 2**20  # a shard ends at whichever of the two comes first
ROW = "row in its file"  # the readers' own column, from 1: a line, a record or a row
EXCERPT = 200  # characters kept of a row that is set aside

TEXT, TEXTS = pl.String(), pl.List(pl.String)
COLUMNS = {
    "documents": {"id": TEXT, "text": TEXT, "source": TEXT, "licence": TEXT},
    "pairs": {"text_a": TEXT, "text_b": TEXT, "source": TEXT, "kind": TEXT},
    "labelled": {"query": TEXT, "pos": TEXTS, "neg": TEXTS, "source": TEXT, "task": TEXT},
}
FILLERS: dict[str, Callable[[str], pl.Expr]] = {  # what fills a gap, from the file's name without ending
    "id": lambda name: pl.format("{}:{}", pl.lit(name), pl.col(ROW)),
    "source": lambda name: pl.lit(name),
    "licence": lambda name: pl.lit("not stated"),
    "kind": lambda name: pl.lit("pair"),
    "task": lambda name: pl.lit("retrieval"),
    "neg": lambda name: pl.lit([], dtype=TEXTS),
}


def columns_of(kind: str) -> dict[str, pl.DataType]:
    """The columns of a kind of table, or ValueError that lists the kinds there are."""
    if kind not in COLUMNS:
        raise ValueError(f"{kind!r} is no kind of table: use one of {', '.join(COLUMNS)}")
    return COLUMNS[kind]


def check_names(names: list[str], kind: str, renamed: Mapping[str, str], file: str) -> None:
    """ValueError with file, column and remedy, if a file with these column names cannot become the table."""
    has = f"it has {', '.join(map(repr, names)) or 'none'}"
    for old, new in renamed.items():
        if old not in names:
            raise ValueError(f"{file} has no column {old!r}, which `columns` renames to {new!r}: {has}")
        if new in names and new not in renamed:
            raise ValueError(f"{file} has both {old!r} and {new!r}: rename {new!r} to something else, too")
    found = [renamed.get(name, name) for name in names]
    for column in columns_of(kind):
        if column not in found and column not in FILLERS:
            raise ValueError(
                f"{file} has no column {column!r}, which a table of {kind} needs: {has}; name "
                f"the right one with columns={{'its name': {column!r}}}"
            )


def fill(frame: pl.DataFrame, kind: str, name: str) -> tuple[pl.DataFrame, dict[str, int]]:
    """The frame with the gaps of its describing columns filled, and how many gaps there were per column.

    Columns come in the order of the schema, other columns after them, ROW last.
    """
    wanted, gaps = columns_of(kind), {}
    for column in (column for column in wanted if column in FILLERS):
        if column not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=wanted[column]).alias(column))
        blank = pl.col(column).is_null()
        if wanted[column] == TEXT:
            blank |= ~pl.col(column).str.contains(r"\S")
        gaps[column] = frame.select(blank.sum()).item()
        frame = frame.with_columns(pl.when(blank).then(FILLERS[column](name)).otherwise(column).alias(column))
    others = [column for column in frame.columns if column not in wanted and column != ROW]
    return frame.select(*wanted, *others, ROW), {column: count for column, count in gaps.items() if count}


def reasons(frame: pl.DataFrame, kind: str) -> pl.Series:
    """Why each row does not fit its table, null where it fits: the first reason found, column by column."""
    found = [
        pl.when(misfit).then(pl.lit(reason))
        for column, dtype in columns_of(kind).items()
        for misfit, reason in (text_misfits(column) if dtype == TEXT else list_misfits(column))
    ]
    return frame.select(pl.coalesce(*found).alias("reason")).to_series()


def text_misfits(column: str) -> list[tuple[pl.Expr, str]]:
    """What can be wrong with a column of texts, and how it is called."""
    text = pl.col(column)
    return [
        (text.is_null(), f"{column} is missing"),
        (text.str.contains("\0", literal=True), f"{column} holds NUL bytes"),
        (~text.str.contains(r"\S"), f"{column} is empty"),
        (text.str.len_bytes() > LONGEST_ROW, f"{column} is longer than {LONGEST_ROW} bytes"),
    ]


def list_misfits(column: str) -> list[tuple[pl.Expr, str]]:
    """What can be wrong with a column of lists of texts, and how it is called."""
    texts, each = pl.col(column), pl.element()
    bad = (~each.str.contains(r"\S") | each.str.contains("\0", literal=True)).fill_null(True)
    return [
        (texts.is_null(), f"{column} is missing"),
        ((texts.list.len() == 0) & (column not in FILLERS), f"{column} is empty"),
        (texts.list.eval(bad).list.any(), f"{column} holds an empty text or NUL bytes"),
        (
            texts.list.eval(each.str.len_bytes()).list.sum() > LONGEST_ROW,
            f"{column} is longer than {LONGEST_ROW} bytes",
        ),
    ]
