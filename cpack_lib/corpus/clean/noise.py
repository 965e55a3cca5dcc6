"""How much of a text is noise: spam in its language's words, floods, lines that come again."""

import numpy as np
import polars as pl

from cpack_lib.corpus.languages import language

LONGEST_UNIT = 4  # characters of what is written over and over: 哈, 好的, 顶楼主
SHORTEST_FLOOD = 10  # characters of a stretch of it


def spam_score(text: pl.Expr, code: str = "zh") -> pl.Expr:
    """Words of spam and abuse per 100 characters (a shorter text counts as 100), 0 where all are the same.

    An article about a lottery repeats that one word; who sells all kinds of things names many in few lines.
    """
    found = text.str.extract_many(language(code).noise.spam, ascii_case_insensitive=True)
    share = 100 * found.list.len() / text.str.len_chars().clip(100)
    return pl.when(found.list.n_unique() > 1).then(share).otherwise(0.0)


def flooded_share(text: pl.Expr) -> pl.Expr:
    """Letters in stretches of SHORTEST_FLOOD or more that repeat what stood up to LONGEST_UNIT before."""
    return text.map_batches(flooded, return_dtype=pl.Float64)


def flooded(texts: pl.Series) -> pl.Series:
    """The share of each text's characters that such stretches hold: strings (N,) -> (N,)."""
    ends = np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64) + 1)  # (N,), each with its separator
    codes = np.frombuffer(("\n".join([*texts, ""])).encode("utf-32-le"), np.uint32)  # (all characters,)
    small = codes | 32
    letters = (
        ((small >= ord("a")) & (small <= ord("z")))
        | ((codes >= 0x3400) & (codes < 0xE000))
        | (codes >= 0x20000)
    )
    steps = np.zeros(len(codes) + 1, np.int32)  # +1 where a stretch begins, -1 behind its end
    for unit in range(1, LONGEST_UNIT + 1):
        same = np.zeros(len(codes) + 2, np.int8)
        same[unit + 1 : -1] = (codes[unit:] == codes[:-unit]) & letters[unit:]
        starts, stops = np.flatnonzero(np.diff(same)).reshape(-1, 2).T
        long = stops - starts + unit >= max(SHORTEST_FLOOD, 3 * unit)
        np.add.at(steps, starts[long] - unit, 1)
        np.add.at(steps, stops[long], -1)
    inside = np.cumsum(np.cumsum(steps[:-1]) > 0)  # (all characters,), how many so far
    counts = np.diff(np.append(0, inside[ends - 1]))  # (N,)
    return pl.Series(texts.name, counts / np.maximum(np.diff(np.append(0, ends)) - 1, 1))


def repeated_share(text: pl.Expr) -> pl.Expr:
    """Characters of lines that stand in a text before, among those of all its lines."""
    lines = text.str.split("\n")
    once, all_of_them = (
        each.list.join("").str.len_chars().cast(pl.Int64) for each in (lines.list.unique(), lines)
    )
    return (all_of_them - once) / all_of_them.clip(1)
