"""What a diagnostic says: which failure, how bad it is, what was measured, and what to do about it.

A diagnostic is a function of plain inputs: vectors, cosines, texts, a log. It measures one number and
compares it with the limits of its failure (limits.py). Where all is well it says so, with its number.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from cpack_lib.evaluation.diagnosis.limits import LIMITS, SEVERITIES


@dataclass(frozen=True)
class Finding:
    """What one diagnostic found. `severity` is fine, warning or failure; `value` is what it measured."""

    name: str
    severity: str
    evidence: str
    remedy: str
    value: float

    @property
    def fires(self) -> bool:
        """Whether something is wrong."""
        return self.severity != "fine"

    @property
    def place(self) -> float:
        """Where the value stands between the limits: up to 0 is fine, then a warning, above 1 a failure."""
        limit = LIMITS[self.name]
        if limit.failure == limit.warning:
            return 2.0 if self.fires else -1.0
        return (self.value - limit.warning) / (limit.failure - limit.warning)


def judged(name: str, value: float, evidence: str, remedy: str) -> Finding:
    """The finding of a measured value, by the limits of the failure `name`.

    ValueError where nothing could be measured: a diagnostic that is given no data must not call it healthy.
    """
    if math.isnan(value):
        raise ValueError(f"{name}: nothing was measured ({evidence}); give it more data, without gaps")
    return Finding(name, LIMITS[name].severity(value), evidence, remedy, float(value))


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, in their order where they are equally bad."""
    return sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity))


def table(findings: Iterable[Finding]) -> pl.DataFrame:
    """finding, verdict, measured, warning, failure, evidence: a row each, the worst first."""
    rows = [
        (f.name, f.severity, f.value, LIMITS[f.name].warning, LIMITS[f.name].failure, f.evidence)
        for f in by_severity(findings)
    ]
    numbers = dict.fromkeys(("measured", "warning", "failure"), pl.Float64)
    schema = {"finding": pl.String, "verdict": pl.String} | numbers | {"evidence": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")
