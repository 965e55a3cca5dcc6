"""Texts and tables as Markdown that shows them and does nothing else, whatever the texts hold."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

LONGEST_CELL, LONGEST_TABLE = 300, 50  # characters, rows
WHITE = 20  # characters of a text that are read for each that is shown
UNSEEN = ("Cc", "Cf", "Cs")  # control, format (also the direction of writing), half a character
MARKS = re.compile(r"[&<>|`*\\\[\]!~$#{}@]|(?<![^\W_])_|:(?=//)|(?<=www)\.", re.IGNORECASE)


def plain(text: str, longest: int = LONGEST_CELL) -> str:
    """A text on one line, cut, without what cannot be seen or turns the direction of writing."""
    start = text[: WHITE * longest]
    lines = (" ".join(line.split()) for line in start.splitlines())
    seen = [c for c in " / ".join(filter(None, lines)) if unicodedata.category(c) not in UNSEEN]
    cut = len(seen) > longest or len(start) < len(text)
    return "".join(seen[:longest]) + ("…" if cut else "")


def escaped(text: str, longest: int = LONGEST_CELL) -> str:
    """A text as Markdown and HTML that show it and do nothing else."""
    return MARKS.sub(lambda mark: f"&#{ord(mark[0])};", plain(text, longest))


def table(head: Sequence[str], rows: Iterable[Sequence[str | int | float]], most: int = LONGEST_TABLE) -> str:
    """A Markdown table, numbers to the right; of more rows than `most` the first."""
    rows = list(rows)
    numbers = [bool(rows) and not isinstance(cell, str) for cell in (rows[0] if rows else head)]
    lines = [head, ["---:" if number else "---" for number in numbers]]
    lines += [[shown(cell) for cell in row] for row in rows[:most]]
    more = [f"\n\nand {len(rows) - most:,} more."] if len(rows) > most else []
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
