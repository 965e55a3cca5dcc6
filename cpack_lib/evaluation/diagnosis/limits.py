"""The failures that are known: what is measured of each, where it begins, and where that limit comes from.

"Measured" means that healthy and broken cases of several seeds were compared (LOG.md; the tests repeat some),
and that the limit stands between them with room on either side. The encoders measured are this project's own.
"""

from dataclasses import dataclass

import polars as pl

SEVERITIES = ("fine", "warning", "failure")


@dataclass(frozen=True)
class Limit:
    """What is measured, beyond what it is a warning or a failure, and why there.

    A failure that lies below the warning means that small values are bad.
    """

    measures: str
    warning: float
    failure: float
    source: str

    def severity(self, value: float) -> str:
        """What a value is."""
        sign = -1.0 if self.failure < self.warning else 1.0
        if sign * value > sign * self.failure:
            return "failure"
        return "warning" if sign * value > sign * self.warning else "fine"


LIMITS = {
    "vectors not finite": Limit("share of vectors", 0.0, 0.0, "none may be"),
    "crowded space": Limit(
        "mean cosine of strangers",
        0.8,
        0.95,
        "measured: trained 0.03 to 0.23, random weights 0.998; BGE v1 0.6 to 1 (its FAQ)",
    ),
    "few dimensions": Limit(
        "effective rank / the most possible",
        0.5,
        0.25,
        "measured, 300 to 500 texts: trained 0.69 to 0.88, taught 18 topics 0.38 to 0.49",
    ),
    "hubs": Limit(
        "share of texts near to nobody",
        0.1,
        0.3,
        "measured: trained 0 to 0.07, random weights 0.04 to 0.08, wrongly pooled 0.22 to 0.65",
    ),
    "wrong pooling": Limit(
        "reciprocal rank another surely adds",
        0.01,
        0.05,
        "measured: right -0.20 to -0.07, wrong 0.03 to 0.16 (-0.01 once in 36)",
    ),
    "few negatives": Limit(
        "cosine of the push of few and of all",
        0.25,
        0.12,
        "measured at 0.05: 64 of 512 0.30 to 0.65, 16 0.10 to 0.36, 4 0.02 to 0.13",
    ),
    "easy negatives": Limit(
        "share of random texts that are easier",
        0.75,
        0.6,
        "measured: windows of ranks 0.92 to 1, at random 0.47 to 0.52",
    ),
    "false negatives": Limit(
        "share of negatives like the answer",
        0.02,
        0.04,
        "measured: ranks 0 to 9 0.04 to 0.09, 10 to 209 0 to 0.015, random 0 to 0.004",
    ),
    "low temperature": Limit(
        "hardest negative's share of the push",
        0.85,
        0.95,
        "measured, 256 passages: at 0.05 0.2 to 0.5, at 0.01 0.78 to 0.92, at 0.001 0.97",
    ),
    "high temperature": Limit(
        "a perfect encoder's loss / blind guess",
        0.25,
        0.5,
        "arithmetic: 256 passages have 0.18 at 0.2, 0.82 at 1",
    ),
    "missing instruction": Limit(
        "share of training queries with it",
        0.05,
        0.2,
        "ours; no beginning that a tenth shares in 20,000 real queries of 40 sources",
    ),
    "doubled instruction": Limit(
        "share of queries with it twice", 0.01, 0.2, "ours: one query in a hundred may quote it"
    ),
    "unused instruction": Limit(
        "reciprocal rank it surely adds", 0.0, 0.05, "three standard errors: by chance once in 700"
    ),
    "truncated texts": Limit("share of tokens never read", 0.05, 0.25, "ours"),
    "no such positions": Limit("tokens read / positions", 1.0, 1.0, "the size of the table"),
    "unknown tokens": Limit(
        "share of tokens that are [UNK]",
        0.015,
        0.05,
        "measured: own texts 0.002 to 0.009, real texts in the demo's alphabet 0.053",
    ),
    "ids without a row": Limit("share of ids", 0.0, 0.0, "the size of the table"),
    "rows without an id": Limit(
        "share of rows", 0.05, 0.2, "ours: a table of 3,000 rounded up to 128 rows has 0.04"
    ),
    "loss not finite": Limit("share of steps", 0.0, 0.0, "none may be"),
    "nothing learnt": Limit(
        "last loss / blind guess", 0.9, 0.97, "measured: trainings that learnt something 0.02 to 0.87"
    ),
    "worse than blind": Limit(
        "last loss / blind guess", 1.1, 2.0, "measured: at a temperature of 0.001 1.5 to 2.5"
    ),
    "contrast solved": Limit(
        "last loss / blind guess", 0.01, 0.001, "measured: trainings that still learn 0.016 and more"
    ),
    "unsteady gradients": Limit(
        "largest gradient norm / median",
        8.0,
        50.0,
        "measured: steady 1.1 to 3.6, two pairs a step 14, a rate 100 times too high 11",
    ),
    "falling probe": Limit(
        "share of the best score lost", 0.03, 0.1, "measured: 0 to 0.008, RetroMAE after a warm start 0.18"
    ),
    "rising task": Limit("rise of a held-out loss", 0.1, 0.5, "ours, not measured"),
    "harmed task": Limit(
        "score a task has surely lost", 0.0, 0.05, "three standard errors: by chance once in 700"
    ),
    "contamination": Limit(
        "share of a task's texts seen",
        0.02,
        0.05,
        "measured: curated 0, real 0.009 (short queries by chance), raw 0.23 to 0.34",
    ),
    "float16 overflow": Limit("largest number / 65,504", 0.25, 1.0, "IEEE 754; two doublings are left"),
    "out of memory": Limit("GiB needed / free", 0.9, 1.0, "ours: the estimate may be a tenth off"),
}


def limits_table() -> pl.DataFrame:
    """A row for each failure that is known."""
    rows = [
        (name, each.measures, f"{each.warning:g}", f"{each.failure:g}", each.source)
        for name, each in LIMITS.items()
    ]
    columns = ["finding", "what is measured", "warning", "failure", "where the limits come from"]
    return pl.DataFrame(rows, schema=columns, orient="row")
