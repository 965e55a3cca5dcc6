"""One shard treated: a shard of documents or of pairs in; pairs, texts, rows set aside and counts out.

Functions without memory, so that any executor can run them, in any order.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from cpack_lib.corpus.clean.funnel import ASIDE, COUNTS, apply, as_aside, counted
from cpack_lib.corpus.clean.rule import DOCUMENTS, LINES, PAGES, PAIRS, SIDES, TEXTS, Judge
from cpack_lib.corpus.clean.text import REPAIRS, Repair
from cpack_lib.corpus.copies.keys import pair_keys, text_keys
from cpack_lib.corpus.structure.markup import CODE, HEADING
from cpack_lib.corpus.structure.pages import blocks_of
from cpack_lib.corpus.structure.pairs import MAKERS, pairs_of

PASSAGE = 500  # characters after which the next line of a document begins a new passage
SHORTEST_PASSAGE = 30  # characters of a text worth pre-training on

TEXT = pl.col("text")
SIZE = TEXT.str.len_chars().cast(pl.Int64)
Judged = tuple[pl.DataFrame, list[pl.DataFrame], list[pl.DataFrame]]  # what `funnel.apply` gives
SIDES_SIZE = (pl.col("text_a").str.len_chars() + pl.col("text_b").str.len_chars()).cast(pl.Int64)


class Treated(NamedTuple):
    """What comes of a shard: pairs and texts with their keys, the rows set aside (ASIDE), the COUNTS."""

    pairs: pl.DataFrame
    texts: pl.DataFrame
    aside: pl.DataFrame
    counts: pl.DataFrame


def treat_documents(
    shard: pl.DataFrame,
    rules: list[Judge],
    kinds: Iterable[str] = tuple(MAKERS),
    repairs: Sequence[Repair] = REPAIRS,
    code: str = "zh",
) -> Treated:
    """Documents to pages, and the pages, lines and documents that the rules leave, to pairs.

    `code` is the language of the documents.
    """
    blocks, page_counts = read_pages(shard, repairs)
    left, line_counts, line_aside = apply(rules, LINES, blocks.with_columns(characters=SIZE))
    documents, document_counts, document_aside = apply(rules, DOCUMENTS, as_documents(shard, blocks, left))
    left = left.filter(pl.col("document").is_in(documents["document"].implode()))
    made = named(pairs_of(left, kinds, code=code), shard)
    pairs, pair_counts, pair_aside = judged_pairs(made, rules, repairs)
    texts, text_counts, text_aside = judged_texts(named(passages(left), shard), rules)
    aside = [named(as_aside(rows), shard) for rows in line_aside + document_aside]
    aside += map(as_aside, pair_aside + text_aside)
    counts = page_counts + line_counts + document_counts + pair_counts + text_counts
    return Treated(pairs, texts, together(ASIDE, aside), together(COUNTS, counts))


def treat_pairs(shard: pl.DataFrame, rules: list[Judge], repairs: Sequence[Repair] = REPAIRS) -> Treated:
    """Pairs with both sides repaired, without those that a rule sets aside; their longer sides as texts."""
    pairs, pair_counts, pair_aside = judged_pairs(shard, rules, repairs)
    texts = pairs.select("source", "licence", text="text_b").filter(SIZE >= SHORTEST_PASSAGE)
    texts, text_counts, text_aside = judged_texts(texts, rules)
    aside = map(as_aside, pair_aside + text_aside)
    return Treated(pairs, texts, together(ASIDE, aside), together(COUNTS, pair_counts + text_counts))


def judged_pairs(pairs: pl.DataFrame, rules: list[Judge], repairs: Sequence[Repair]) -> Judged:
    """Pairs with their keys, both sides repaired, `licence` null where nobody told it."""
    pairs, counts = pairs.with_columns(characters=SIDES_SIZE), []
    if "licence" not in pairs.columns:
        pairs = pairs.with_columns(licence=pl.lit(None, pl.String))
    for repair in repairs:
        mended = pairs.with_columns(repair.mend(pl.col("text_a", "text_b")))
        mended = mended.with_columns(characters=SIDES_SIZE)
        counts.append(counted(SIDES, repair.name, pairs, mended))
        pairs = mended
    pairs, judged, aside = apply(rules, PAIRS, pairs.with_columns(pair_keys(pairs)))
    return pairs, counts + judged, aside


def judged_texts(texts: pl.DataFrame, rules: list[Judge]) -> Judged:
    """Passages with `characters` and `text_key`."""
    return apply(rules, TEXTS, texts.with_columns(text_keys(texts["text"]), characters=SIZE))


def read_pages(
    shard: pl.DataFrame, repairs: Sequence[Repair] = REPAIRS
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """(the repaired blocks of a shard's documents, code left out; the counts of every step)."""
    blocks = blocks_of(shard).filter(pl.col("kind") != CODE)
    sizes = page_sizes(shard, blocks)
    counts = [counted(PAGES, "plain text", shard.select("source", characters=SIZE), sizes)]
    for repair in repairs:
        blocks = blocks.with_columns(repair.mend(pl.col("text", "title")))
        sizes, before = page_sizes(shard, blocks), sizes
        counts.append(counted(PAGES, repair.name, before, sizes))
    return blocks, counts


def page_sizes(shard: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """source and characters of each document of a shard, 0 where it has no blocks."""
    sizes = blocks.group_by("document").agg(characters=SIZE.sum())
    documents = shard.select("source").with_row_index("document")
    return documents.join(sizes, on="document", how="left", maintain_order="left").fill_null(0)


def as_documents(shard: pl.DataFrame, blocks: pl.DataFrame, left: pl.DataFrame) -> pl.DataFrame:
    """One row per document of a shard: the page as it was read, the text that the rules for lines left of it.

    Columns: document, source, title, page, text, characters; lines_before and lines_after are the characters
    of page and text outside their headings.
    """
    lines, joined = SIZE.filter(pl.col("kind") != HEADING).sum(), TEXT.str.join("\n")
    before = blocks.group_by("document").agg(pl.col("title").first(), page=joined, lines_before=lines)
    after = left.group_by("document").agg(text=joined, lines_after=lines)
    documents = shard.select("source").with_row_index("document")
    for columns in (before, after):
        documents = documents.join(columns, on="document", how="left", maintain_order="left")
    filled = documents.with_columns(pl.col("title", "page", "text").fill_null("")).fill_null(0)
    return filled.with_columns(characters=SIZE)


def passages(blocks: pl.DataFrame) -> pl.DataFrame:
    """document, source, text: the documents in pieces of whole lines, a new one each PASSAGE characters."""
    start = (SIZE.cum_sum() - SIZE).over("document") // PASSAGE
    pieces = blocks.group_by("document", start.alias("piece"), maintain_order=True).agg(
        pl.col("source").first(), TEXT.str.join("\n")
    )
    return pieces.select("document", "source", "text").filter(SIZE >= SHORTEST_PASSAGE)


def named(rows: pl.DataFrame, shard: pl.DataFrame) -> pl.DataFrame:
    """The rows with the id of their document in place of its number in the shard, and with its licence."""
    number = rows["document"].cast(pl.UInt32)
    return rows.with_columns(document=shard["id"].gather(number), licence=shard["licence"].gather(number))


def together(schema: Mapping[str, pl.DataType], frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all frames, of their columns those of the schema."""
    return pl.concat([pl.DataFrame(schema=schema), *(frame.select(list(schema)) for frame in frames)])
