"""Tables in notebooks: what stands in them, in which form, and that nothing of the corpus becomes HTML."""

import polars as pl
import pytest

from cpack_lib.work.tables import MOST_LETTERS, MOST_ROWS, as_html, spelled


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([46.94, None, -3.0], ["46.9", "", "-3.0"]),
        ([0.5, 0.0314], ["0.500", "0.031"]),
        ([0.0002], ["0.00020"]),
        ([1234567, 8], ["1,234,567", "8"]),
        (["红楼梦", None], ["红楼梦", ""]),
        ([["a", "b"], []], ["a · b", ""]),
        ([True, False], ["True", "False"]),
        ([float("nan"), 2.0], ["nan", "2.000"]),
    ],
)
def test_each_kind_of_value_has_one_form(values, expected):
    assert spelled(pl.Series(values)) == expected


def test_texts_are_escaped_and_cut():
    page = as_html(pl.DataFrame({"<b>": ["<script>", "长" * (MOST_LETTERS + 1)]}))
    assert "<script>" not in page and "&lt;script&gt;" in page and "<th" in page and "&lt;b&gt;" in page
    assert "长" * (MOST_LETTERS - 1) + "…" in page and "长" * MOST_LETTERS not in page


def test_long_names_of_columns_may_be_broken_at_their_seams():
    page = as_html(pl.DataFrame({"mean_over_types": ["a_b"], "PairClassification": ["aB"], "STS": [""]}))
    assert "mean_<wbr>over_<wbr>types" in page and "Pair<wbr>Classification" in page
    assert page.count("<wbr>") == 3


def test_rows_beyond_the_limit_are_counted():
    page = as_html(pl.DataFrame({"n": range(MOST_ROWS + 7)}))
    assert page.count("<tr>") == 1 + MOST_ROWS and "and 7 rows more" in page
    assert "rows more" not in as_html(pl.DataFrame({"n": range(MOST_ROWS)}))


@pytest.mark.parametrize("table", [pl.DataFrame(), pl.DataFrame({"a": []})])
def test_an_empty_table_is_a_table(table):
    assert as_html(table).startswith("<table>")
