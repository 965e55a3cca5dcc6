"""A table of scores as cells for a page: numbers in one format, the best of each row or column marked."""

import re
from typing import Any, Literal

import polars as pl

TRAINED_HERE = re.compile(
    r"(.*/)?\d\d_\w+"
)  # a model named after the run that made it: demo/03_contrast_pairs


def best_in_bold(table: pl.DataFrame, along: Literal["row", "column"]) -> dict[str, Any]:
    """`columns` and `rows` of cells; `best` marks the highest number of each row, or of each column."""
    numeric = [name for name, kind in table.schema.items() if kind.is_numeric()]
    numbers = table.select(numeric)
    highest = numbers.max_horizontal() if along == "row" else numbers.max().row(0, named=True)
    decimals = 3 if numeric and max(filter(None, numbers.max().row(0)), default=0) <= 1 else 1
    rows = []
    for place, row in enumerate(table.iter_rows(named=True)):
        cells = []
        for name, value in row.items():
            top = (highest[place] if along == "row" else highest[name]) if name in numeric else None
            text = "" if value is None else f"{value:.{decimals}f}" if name in numeric else str(value)
            best = value is not None and name in numeric and value == top
            cells.append({"text": text, "number": name in numeric, "best": best})
        rows.append({"cells": cells, "ours": bool(TRAINED_HERE.fullmatch(str(next(iter(row.values())))))})
    columns = [{"name": name.replace("_", " "), "number": name in numeric} for name in table.columns]
    return {"columns": columns, "rows": rows}
