"""Tables of the embedded world, streamed: any number of rows, each a function of the seed and its number."""

from collections.abc import Iterator

import polars as pl

from cpack_lib.corpus.world.articles import all_articles
from cpack_lib.corpus.world.documents import document_row
from cpack_lib.corpus.world.facts import LANGUAGES
from cpack_lib.corpus.world.labelled import labelled_row
from cpack_lib.corpus.world.pairs import pair_row

SHARD_ROWS = 65_536
DEFAULT_ROWS = {"documents": 20_000, "pairs": 100_000, "labelled": 20_000}
TEXT, TEXTS = pl.String, pl.List(pl.String)
SCHEMAS = {
    "documents": {
        "id": TEXT,
        "text": TEXT,
        "source": TEXT,
        "licence": TEXT,
        "title": TEXT,
        "url": TEXT,
        "truth_kind": TEXT,
        "truth_of": TEXT,
    },
    "pairs": {
        "text_a": TEXT,
        "text_b": TEXT,
        "source": TEXT,
        "kind": TEXT,
        "language": TEXT,
        "truth_a": TEXT,
        "truth_b": TEXT,
        "truth_match": pl.Boolean,
    },
    "labelled": {
        "query": TEXT,
        "pos": TEXTS,
        "neg": TEXTS,
        "source": TEXT,
        "task": TEXT,
        "truth_fact": TEXT,
        "truth_neg": TEXT,
    },
    "articles": {
        "id": TEXT,
        "domain": TEXT,
        "style": TEXT,
        "headline": TEXT,
        "text": TEXT,
        "questions": TEXTS,
        "headline_en": TEXT,
        "text_en": TEXT,
        "questions_en": TEXTS,
    },
}
MAKERS = {"documents": document_row, "pairs": pair_row, "labelled": labelled_row}


def tables(
    kind: str, rows: int | None = None, seed: int = 0, first: int = 0, language: str = "zh"
) -> Iterator[pl.DataFrame]:
    """Rows first … first + rows - 1 of a table, in frames of at most 65,536 rows.

    Kinds: documents, pairs, labelled (rows=None: 20,000, 100,000, 20,000); articles (no seed; None: all; in
    both languages). The Chinese world holds some English, as a crawl does; the English one is English.
    """
    if language not in LANGUAGES:
        raise ValueError(f"the embedded world speaks no {language!r}: choose from {', '.join(LANGUAGES)}")
    if kind not in SCHEMAS:
        raise ValueError(f"the embedded world has no table {kind!r}: choose from {', '.join(SCHEMAS)}")
    if rows is not None and rows < 0 or first < 0:
        raise ValueError(f"rows ({rows}) and first ({first}) cannot be negative")
    if kind == "articles":
        yield article_table().slice(first, rows)
        return
    total = DEFAULT_ROWS[kind] if rows is None else rows
    for start in range(first, first + total, SHARD_ROWS):
        stop = min(start + SHARD_ROWS, first + total)
        columns = zip(*(MAKERS[kind](seed, row, language) for row in range(start, stop)), strict=True)
        yield pl.DataFrame(dict(zip(SCHEMAS[kind], columns, strict=True)), schema=SCHEMAS[kind])


def article_table() -> pl.DataFrame:
    """The written articles with their questions; English columns are null where there is no translation."""
    rows = []
    for each in all_articles():
        row = [each.id, each.domain, each.style]
        for version in (each, each.english):
            row += [version.headline, version.text, list(version.questions)] if version else [None] * 3
        rows.append(row)
    return pl.DataFrame(rows, schema=SCHEMAS["articles"], orient="row")
