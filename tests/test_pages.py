"""The pages beside the notebooks: links that lead somewhere, a glossary in order, a profile as it is told."""

import json
import re
from pathlib import Path

import pytest
import yaml

from cpack_lib.work.files import ROOT, read_json
from cpack_lib.work.notebooks import notebook_paths

PAGES = [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.md"))]
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)(?:#[^)]*)?\)")


def rows_of(page: Path) -> list[list[str]]:
    """The cells of every row of the page's tables, heads and rules left out."""
    lines = [line.strip("|").split("|") for line in page.read_text("utf-8").splitlines() if line[:1] == "|"]
    rows = [[cell.strip() for cell in line] for line in lines]
    return [row for row, after in zip(rows, [*rows[1:], [""]], strict=True) if "---" not in row[0] + after[0]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert links and not [link for link in links if not (page.parent / link).exists()]


def test_readme_names_every_page():
    links = LINK.findall(PAGES[0].read_text("utf-8"))
    assert not [page.name for page in PAGES[1:] if f"notebooks/{page.name}" not in links]


def test_the_glossary_is_in_order_and_each_notebook_it_names_has_the_word():
    rows = rows_of(ROOT / "notebooks/glossary.md")
    told = {path.name: words(path) for path in notebook_paths(ROOT)}
    terms = [row[0].strip("[]").lower() for row in rows]
    assert 50 <= len(rows) <= 100 and terms == sorted(set(terms))
    for term, chinese, sentence, where in rows:
        assert re.search(r"[一-鿿]|BM25", chinese) and sentence.endswith(".") and len(sentence) >= 15, term
        assert LINK.findall(where) and not [
            name for name in LINK.findall(where) if term.lower() not in told[name]
        ], f"{term} does not stand in {where}"


def words(path: Path) -> str:
    """What a notebook says, in small letters and on one line."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return " ".join(" ".join("".join(cell["source"]) for cell in cells).lower().split())


def test_the_page_about_own_data_tells_the_profile_as_it_is():
    page = (ROOT / "notebooks/your_own_data.md").read_text("utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    told = yaml.safe_load(block)
    kept = yaml.safe_load((ROOT / "params/own/04_instruct_finetune.yaml").read_text("utf-8"))
    assert {name: told[name] for name in ("labelled", "contrasted")}.items() <= kept.items()
    assert [change.partition("=")[2] for change in told["columns"]] == ["query", "pos"]
    assert f"{kept['probes']} at most" in page and f"{kept['rows_per_step']} rows each" in page


def test_what_smaller_vectors_cost_is_told_as_it_was_measured():
    told = {row[0]: row[1] for row in rows_of(ROOT / "notebooks/use_elsewhere.md")}
    measured = read_json(ROOT / "results/elsewhere.json", {"figures": dict})["figures"]
    of_way = {way: measured[figure_of(way)] for way in told}
    assert told == {way: f"{value:.2f}" for way, value in of_way.items()} and len(told) == 6


def figure_of(way: str) -> str:
    """The name that benchmarks/elsewhere.py gives a row."""
    return "ndcg_at_10_" + way.lower().replace(",", "").replace(" ", "_")
