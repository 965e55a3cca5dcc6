"""Tables as notebooks show them: text to the left, numbers to the right and in one form per column."""

import re
from html import escape

import polars as pl
from IPython import get_ipython

MOST_ROWS, MOST_LETTERS = 60, 80  # shown; the rest is counted, or cut
ROOMY = "padding: 0.3em 0.6em"  # in a widget nobody else gives cells room
SEAM = re.compile(r"(?<=_)(?=[^_])|(?<=[a-z])(?=[A-Z])")  # where a long name of a column may be broken
RIGHT, LEFT = (f' style="text-align: {side}; {ROOMY}"' for side in ("right", "left"))


def use_tables() -> None:
    """Show Polars tables in this notebook as `as_html` writes them; outside of notebooks nothing changes."""
    shell = get_ipython()
    if shell is not None:
        shell.display_formatter.formatters["text/html"].for_type(pl.DataFrame, as_html)


def as_html(table: pl.DataFrame) -> str:
    """A table as HTML, its texts escaped, cut after MOST_LETTERS, and its rows after MOST_ROWS.

    Names of columns are broken at their seams where a page is too narrow for them, rather than cut off.
    """
    sides = [RIGHT if kind.is_numeric() else LEFT for kind in table.dtypes]
    names = [SEAM.sub("<wbr>", escape(name)) for name in table.columns]
    heads = "".join(f"<th{side}>{name}</th>" for name, side in zip(names, sides, strict=True))
    columns = [spelled(column) for column in table.head(MOST_ROWS)]
    rows = "".join(
        f"<tr>{''.join(f'<td{side}>{escape(cell)}</td>' for cell, side in zip(row, sides, strict=True))}</tr>"
        for row in zip(*columns, strict=True)
    )
    more = len(table) - MOST_ROWS
    rest = f"<p>and {more:,} rows more</p>" if more > 0 else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{rest}"


def spelled(column: pl.Series) -> list[str]:
    """One text per value: thousands apart, as many decimals as the column's largest number needs."""
    if column.dtype.is_float():
        largest = max((abs(value) for value in column.drop_nulls().drop_nans()), default=0.0)
        decimals = 1 if largest >= 10 else 3 if largest >= 0.1 else 5
        return ["" if value is None else f"{value:,.{decimals}f}" for value in column]
    if column.dtype.is_integer():
        return ["" if value is None else f"{value:,}" for value in column]
    return [shortened(value) for value in column.to_list()]


def shortened(value: object) -> str:
    """A text, or the texts of a list, of at most MOST_LETTERS letters."""
    if value is None:
        return ""
    text = " · ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"
