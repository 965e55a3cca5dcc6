"""Texts and tables as Markdown that shows them and does nothing else, whatever the texts hold."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST_CELL, LONGEST_TABLE = 300, 50  # characters, rows
UNSEEN = ("Cc", "Cf", "Cs")  # categories of control, of format (and of the direction of writing), of half a pair
MARKS = re.compile(r"[&<>|`*\\\[\]!~$#{}@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)


def plain(text: str, longest: int = LONGEST_CELL) -> str:
    """A text on one line, cut, without what cannot be seen or turns the direction of writing."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    seen = [c for c in " / ".join(filter(None, lines)) if unicodedata.category(c) not in UNSEEN]
    return "".join(seen[:longest]) + ("…" if len(seen) > longest else "")


def escaped(text: str, longest: int = LONGEST_CELL) -> str:
    """A text as Markdown and HTML that show it and do nothing else."""
    return MARKS.sub(lambda mark: f"&#{ord(mark[0])};", plain(text, longest))


def table(head: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> str:
    """A Markdown table, numbers to the right; of a long one the first rows."""
    rows = list(rows)
    numbers = [rows and not isinstance(cell, str) for cell in (rows[0] if rows else head)]
    lines = [head, ["---:" if number else "---" for number in numbers]]
    lines += [[shown(cell) for cell in row] for row in rows[:LONGEST_TABLE]]
    more = [f"\n\nand {len(rows) - LONGEST_TABLE:,} more."] if len(rows) > LONGEST_TABLE else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "".join(more)


def shown(cell: str | int | float) -> str:
    """A cell of a table: texts escaped, shares with two digits."""
    return escaped(cell) if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else f"{cell:.2f}"


def percent(part: int, whole: int) -> float:
    """A share in per cent, 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def of(part: int, whole: int, things: str) -> str:
    """A count in words, with its share."""
    return f"{part:,} of {whole:,} {things} ({percent(part, whole):.2f} %)"
