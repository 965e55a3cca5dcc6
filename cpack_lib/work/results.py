"""The form of a measured result: what, by which command, of which commit, where, and the figures."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from cpack_lib.work import provenance
from cpack_lib.work.files import ROOT, write_json

DECIMALS = 5  # kept of the numbers in the table


def write_result(
    name: str,
    what: str,
    command: str,
    figures: Mapping[str, float],
    spread: Mapping[str, Sequence[float]],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write results/NAME.json, and print the figures.

    `figures` are flat, name -> number with the unit in the name; `spread` is least and most of a figure over
    its repeats; `rows` is the full table.
    """
    result = {
        "what": what,
        "command": command,
        "commit": provenance.commit()["commit"],
        "machine": provenance.device(),
        "date": date.today().isoformat(),
        "figures": dict(figures),
        "spread": {figure: list(ends) for figure, ends in spread.items()},
        "rows": [{key: shortened(value) for key, value in row.items()} for row in rows],
    }
    write_json(ROOT / "results" / f"{name}.json", result)
    for figure, value in figures.items():
        print(f"{figure:<40} {value}")


def shortened(value: Any) -> Any:
    """A number of the table without decimals that mean nothing; anything else as it is."""
    return round(value, DECIMALS) if isinstance(value, float) else value
