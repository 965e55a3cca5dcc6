"""A finding says how bad a number is; every known failure has a limit, and every limit a diagnostic."""

import math
import re

import pytest

from cpack_lib.evaluation.diagnosis.findings import by_severity, judged, table
from cpack_lib.evaluation.diagnosis.limits import LIMITS, Limit, limits_table
from cpack_lib.work.files import ROOT

PACKAGE = ROOT / "cpack_lib" / "evaluation" / "diagnosis"


@pytest.mark.parametrize(
    ("limit", "fine", "warning", "failure"),
    [(Limit("", 0.8, 0.95, ""), 0.8, 0.9, 0.96), (Limit("", 0.5, 0.25, ""), 0.5, 0.3, 0.2)],
)
def test_a_limit_reads_large_values_as_bad_or_small_ones(limit, fine, warning, failure):
    assert [limit.severity(value) for value in (fine, warning, failure)] == ["fine", "warning", "failure"]


def test_a_limit_with_equal_bounds_allows_nothing_beyond_them():
    limit = Limit("", 0.0, 0.0, "")
    assert [limit.severity(value) for value in (0.0, 1e-9, math.inf)] == ["fine", "failure", "failure"]


def test_a_finding_keeps_its_number_and_tells_whether_it_fires():
    fine, bad = (judged("crowded space", value, "seen", "do") for value in (0.1, 0.97))
    assert (fine.fires, bad.fires, bad.value, bad.evidence, bad.remedy) == (False, True, 0.97, "seen", "do")
    assert fine.place < 0 and bad.place > 1


def test_what_was_not_measured_is_no_health():
    with pytest.raises(ValueError, match="crowded space: nothing was measured"):
        judged("crowded space", math.nan, "no texts", "")


def test_the_worst_comes_first_and_a_table_has_a_row_each():
    findings = [judged("crowded space", value, "", "") for value in (0.1, 0.9, 0.99, 0.2)]
    assert [finding.value for finding in by_severity(findings)] == [0.99, 0.9, 0.1, 0.2]
    assert table(findings)["verdict"].to_list() == ["failure", "warning", "fine", "fine"]


def test_every_limit_has_a_diagnostic_a_source_and_a_row():
    source = "\n".join(path.read_text("utf-8") for path in PACKAGE.glob("*.py") if path.stem != "limits")
    named = set(re.findall(r'judged\(\s*"([^"]+)"', source))
    assert named == set(LIMITS)
    assert all(each.source and each.measures for each in LIMITS.values())
    assert limits_table()["finding"].to_list() == list(LIMITS)
