"""Pairs from text alone: a span cut out of a text, and the text it came from.

The inverse cloze task of Lee et al. 2019 (arXiv 1906.00300): a stand-in query for each text without title.
"""

import numpy as np
import polars as pl

SHORTEST, LONGEST = 15, 60  # characters of a span
LEFT_IN = 0.2  # share of texts that keep their span, so that words in common still count


def cut_spans(texts: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """(text, source) -> pairs (text_a, text_b, source, kind), for texts of two longest spans or more."""
    long = texts.filter(pl.col("text").str.len_chars() >= 2 * LONGEST)
    chance = np.random.default_rng(seed)
    pairs = []
    for text, source in long.select("text", "source").iter_rows():
        length = int(chance.integers(SHORTEST, LONGEST + 1))
        start = int(chance.integers(len(text) - length + 1))
        left = text if chance.random() < LEFT_IN else text[:start] + text[start + length :]
        pairs.append((text[start : start + length], left, source, "span"))
    schema = dict.fromkeys(("text_a", "text_b", "source", "kind"), pl.String)
    return pl.DataFrame(pairs, schema=schema, orient="row")
