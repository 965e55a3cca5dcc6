"""What a cut keeps and what it loses: curves on labelled pairs, and the pairs on both sides of any cut.

C-Pack chose its 0.43 by looking at cases (section 3.2). Another encoder needs its own look, source by source:
one cut may keep every riddle and no headline.
"""

import numpy as np
import polars as pl

from cpack_lib.corpus.clean.text import folded

BEST_FIRST = {"score": True, "rank": False}  # whether the highest is the best
GROUP = ("source", "kind")


def mismatched(pairs: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """A labelled sample: the pairs (`matched`), then as many with the text_b of another pair.

    Texts change places within source and kind alone, so that a mismatch is as hard to see as its source makes
    it. Texts are compared as `folded`. A pair is left out of both halves where no text is left to give it but
    its own, one that is paired with its text_a elsewhere, or its text_a itself. Nobody has read the rest: of
    two texts that say the same in other words, one may be called mismatched where it fits.
    """
    keyed = pairs.select(*GROUP, "text_a", "text_b", a=folded(pl.col("text_a")), b=folded(pl.col("text_b")))
    lot = keyed.select(pl.col("b").unique().sort().shuffle(seed=seed)).with_row_index("lot")
    together = keyed.with_row_index("row").join(lot, on="b").sort(*GROUP, "lot", "row")  # equal texts are
    most = pl.len().over(*GROUP, "b").max().over(*GROUP)  # seats on, so, is another text, where there is one
    seat = (pl.int_range(pl.len()) + pl.col("most")) % pl.len()
    given = (pl.col(name).gather(seat).over(*GROUP).alias(f"other_{name}") for name in ("text_b", "b"))
    moved = together.with_columns(most=most).with_columns(given)
    moved = moved.join(keyed, left_on=["a", "other_b"], right_on=["a", "b"], how="anti")
    moved = moved.filter(pl.col("a") != pl.col("other_b")).sort("row")
    right = moved.select("text_a", "text_b", *GROUP, matched=pl.lit(True))
    wrong = moved.select("text_a", pl.col("other_text_b").alias("text_b"), *GROUP, matched=pl.lit(False))
    return pl.concat([right, wrong])


def curve(labelled: pl.DataFrame, by: str) -> pl.DataFrame:
    """threshold, kept, precision and recall of every cut of `matched` pairs, the strictest first.

    By "score" a pair stays from the threshold on, by "rank" up to it; pairs that tie stay or go together.
    `kept` counts pairs; precision is the matched share of them, recall the kept share of all matched ones.
    """
    if by not in BEST_FIRST:
        raise ValueError(f"{by!r} is no cut: give {' or '.join(map(repr, BEST_FIRST))}")
    matched = labelled["matched"].sum()
    if len(labelled) and not matched:
        raise ValueError(f"none of the {len(labelled)} pairs is matched, so there is no recall: label some")
    cuts = labelled.group_by(pl.col(by).alias("threshold")).agg(
        kept=pl.len().cast(pl.Int64), right=pl.col("matched").sum().cast(pl.Int64)
    )
    cuts = cuts.sort("threshold", descending=BEST_FIRST[by]).with_columns(pl.col("kept", "right").cum_sum())
    share = pl.col("right") / pl.col("kept"), pl.col("right") / matched
    return cuts.select("threshold", "kept", precision=share[0], recall=share[1])


def around(pairs: pl.DataFrame, cut: float, rows: int = 20) -> pl.DataFrame:
    """The `rows` pairs of the lowest `score` that are `kept` at a cut, then the `rows` next below it."""
    best_first = split(pairs, cut)
    return pl.concat([best_first.filter("kept").tail(rows), best_first.filter(~pl.col("kept")).head(rows)])


def drawn(pairs: pl.DataFrame, cut: float, rows: int = 20, seed: int = 0) -> pl.DataFrame:
    """`rows` of the pairs that are `kept` at a cut and `rows` of the others, drawn by lot."""
    lot = pl.int_range(pl.len()).shuffle(seed=seed).over("kept")
    return split(pairs, cut).filter(lot < rows)


def split(pairs: pl.DataFrame, cut: float) -> pl.DataFrame:
    """The pairs with `kept`, whether they stay at a cut, the highest `score` first."""
    kept = pairs.with_columns(kept=pl.col("score") >= cut)
    return kept.sort("score", descending=True, maintain_order=True)


def kept_by_source(pairs: pl.DataFrame, cut: float) -> pl.DataFrame:
    """source, pairs, kept at a cut, and the share that this is; the most mistrusted source first."""
    stays = (pl.col("score") >= cut).sum()
    counts = pairs.group_by("source").agg(pairs=pl.len(), kept=stays)
    return counts.with_columns(share=pl.col("kept") / pl.col("pairs")).sort("share", "source")


def by_source(pairs: pl.DataFrame, bins: int = 40) -> pl.DataFrame:
    """source, low, high, pairs: how many scores of each source lie from low to below high, the last to high.

    The bins are equal and those of all sources the same, from the lowest score to the highest; empty ones are
    rows too, so that a line through them touches the ground.
    """
    if bins < 1:
        raise ValueError(f"{bins} bins hold no score: give at least 1")
    score = pairs["score"].cast(pl.Float64).to_numpy()
    edges = np.linspace(*((score.min(), score.max()) if len(score) else (0, 0)), bins + 1)  # (bins + 1,)
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, bins - 1)
    counts = pairs.select("source", bin=pl.Series(place, dtype=pl.Int64)).group_by("source", "bin")
    grid = pl.DataFrame({"bin": range(bins), "low": edges[:-1], "high": edges[1:]})
    grid = pairs.select(pl.col("source").unique().sort()).join(grid, how="cross")
    filled = grid.join(counts.agg(pairs=pl.len()), on=["source", "bin"], how="left", maintain_order="left")
    return filled.select("source", "low", "high", pl.col("pairs").fill_null(0).cast(pl.Int64))
