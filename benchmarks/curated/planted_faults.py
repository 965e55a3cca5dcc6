"""What becomes of the faults that the embedded world plants, by its own columns of truth: one measurement.

The argument is a JSON object, and so is the last line that is printed: `benchmarks/curation.py` starts it.
A fault's recall is the share of its documents of which nothing is left, or none of the lines in question;
a rule's precision the share of the rows it sets aside that are, or are of, what it is meant for: a line that
stands on every page or in a document that is nothing else, such a document, a copy. Whether two sides belong
together no rule here can tell: that takes an encoder, and is notebook 01's.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from cpack_lib.corpus.clean.rule import DOCUMENTS, LINES, SET, TEXTS
from cpack_lib.corpus.clean.rules import RULES
from cpack_lib.corpus.clean.text import normalised
from cpack_lib.corpus.copies.keys import copies
from cpack_lib.corpus.copies.near import near_copies
from cpack_lib.corpus.curate import curate
from cpack_lib.corpus.read.sources import open_table
from cpack_lib.corpus.treat import treat_pairs
from cpack_lib.corpus.world.pages import furniture
from cpack_lib.work.files import runs_folder

PLACE = runs_folder() / "benchmarks" / "curation"
NOISE = ("advert", "spam", "foreign", "boilerplate", "repeated", "mojibake", "short")  # whole documents
TWICE = ("exact_copy", "near_copy")
STANDING = ("advert", "contact", "footer", "site", "spam", "boilerplate")  # lines that are no content


def plain(lines: Iterable[str] | pl.Expr) -> list[str] | pl.Expr:
    """Lines, or texts, with every number, and every place for one, as 0."""
    if isinstance(lines, pl.Expr):
        return lines.str.replace_all(r"\d+", "0")
    return [re.sub(r"\{n[^}]*\}|\d+", "0", re.sub(r"\d+\{", "{", line)) for line in lines]


def documents_of(truth: pl.DataFrame, left: pl.DataFrame, rejected: pl.DataFrame) -> Iterator[dict]:
    """For each kind of document: how many, and the share of which nothing is left, by which rules."""
    gone = rejected.filter(stage=DOCUMENTS).select(id="document", rule="rule")
    fates = truth.join(gone, on="id", how="left").with_columns(
        left=pl.col("id").is_in(left["document"].implode())
    )
    for (kind,), own in sorted(fates.group_by("truth_kind")):
        by = own.drop_nulls("rule").group_by("rule").len().sort("len", descending=True)
        told = {"of": "documents", "fault": kind, "documents": len(own)}
        told["recall" if kind in (*NOISE, *TWICE) else "gone"] = 1 - own["left"].mean()
        yield told | {"by": dict(by.rows())}


def lines_of(truth: pl.DataFrame, left: pl.DataFrame) -> Iterator[dict]:
    """For each kind of standing line: the documents that have one, and the share of them that lose all."""
    after = left.group_by("document").agg(after=pl.col("text").str.join("\n"))
    both = truth.join(after, left_on="id", right_on="document", how="left").fill_null("")
    both = both.select(plain(pl.col("text", "after")))
    for kind in STANDING:
        patterns = [line for line in plain(furniture()[kind]) if len(line) > 2]  # 0 stands everywhere
        had = both.filter(pl.col("text").str.contains_any(patterns))
        lost = ~had["after"].str.contains_any(patterns)
        yield {"of": "lines", "fault": f"{kind} lines", "documents": len(had), "recall": lost.mean()}


def rules_of(truth: pl.DataFrame, rejected: pl.DataFrame) -> Iterator[dict]:
    """For each rule: how many rows it set aside, and the share of them that it is meant for."""
    lines = pl.Series("line", [line.format(n=0) for kind in STANDING for line in furniture()[kind]])
    lines = lines.to_frame().select(plain(normalised(pl.col("line"))))["line"]
    noise, twice = (pl.col("truth_kind").is_in(kinds) for kinds in (NOISE, TWICE))
    line = plain(pl.col("text_b")).str.contains_any(lines.filter(lines.str.len_chars() > 2).to_list())
    meant = {LINES: line | noise, DOCUMENTS: noise, SET: twice, TEXTS: twice}
    told = rejected.join(truth.select("id", "truth_kind"), left_on="document", right_on="id")
    for (stage, rule), own in told.group_by("stage", "rule", maintain_order=True):
        kinds = dict(own.group_by("truth_kind").len().sort("len", descending=True).rows())
        limits_a_side = rule in ("text_a again", "text_b again")  # no rule for copies
        precision = None if limits_a_side else own.select(meant[stage].mean()).item()
        yield {"of": "rule", "stage": stage, "rule": rule, "set_aside": len(own), "precision": precision} | {
            "kinds": kinds
        }


def foreign_pairs(rows: int) -> dict:
    """The rule for pairs without Chinese, against the language of the embedded world's pairs."""
    pairs = open_table("world:pairs", "pairs", rows=rows).read().filter("truth_match")
    pairs = pairs.with_row_index("document")
    rule = [rule for rule in RULES if rule.name == "chinese sides"]
    aside = treat_pairs(pairs, rule).aside["document"].cast(pl.UInt32)
    truth = pairs.filter(language="en")["document"]
    right = aside.is_in(truth.implode()).sum()
    told = {"of": "pairs", "fault": "English pairs", "documents": len(truth)}
    return told | {"recall": right / len(truth), "precision": right / len(aside)}


def measured(rows: int) -> dict:
    """All rows of the table."""
    truth = open_table("world:documents", "documents", rows=rows).read()
    with tempfile.TemporaryDirectory(dir=PLACE) as name:
        folder = Path(name)
        curate([truth], [], folder, RULES, [*copies(3), *near_copies(0.8)])
        pairs, texts, rejected = (
            pl.read_parquet(folder / each / "*.parquet") for each in ("pairs", "texts", "rejected")
        )
    sides = [pairs.select("document", text=side) for side in ("text_a", "text_b")]
    left = pl.concat([texts.select("document", "text"), *sides])
    table = [*documents_of(truth, left, rejected), *lines_of(truth, left), *rules_of(truth, rejected)]
    return {"table": [*table, foreign_pairs(rows)]}


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1])), ensure_ascii=False))
