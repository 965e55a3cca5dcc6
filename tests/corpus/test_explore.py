"""Curves that count as a loop does, mismatches that are none by chance, and the pairs around a cut."""

import numpy as np
import polars as pl
import pytest

from cpack_lib.corpus.clean.explore import around, by_source, curve, drawn, kept_by_source, mismatched, split
from cpack_lib.corpus.clean.relevance import Relevant, scores
from cpack_lib.corpus.clean.text import folded

COLUMNS = ("text_a", "text_b", "source", "kind")


def scored(rows: int, seed: int = 0) -> pl.DataFrame:
    """Pairs with few different scores, so that many tie, and with ranks and labels."""
    rng = np.random.default_rng([rows, seed])
    columns = {
        "text_a": [f"a {row}" for row in range(rows)],
        "source": rng.choice(["news", "wiki", "forum"], rows),
        "score": (rng.integers(-7, 8, rows) / 8).astype(np.float32),
        "rank": rng.integers(1, 9, rows).astype(np.uint32),
        "matched": rng.random(rows) < 0.6,
    }
    types = [pl.String, pl.String, pl.Float32, pl.UInt32, pl.Boolean]
    return pl.DataFrame(columns, schema=dict(zip(columns, types, strict=True)))


def pairs_of_words(rows: int, seed: int, different: int) -> pl.DataFrame:
    """Pairs of words in some sources and kinds; words come again, some in another case or width."""
    rng = np.random.default_rng([rows, seed])
    words = [form for n in range(different) for form in (f"word {n}", f"WORD{n}")] + ["only", "Ｏnly"]
    pick = [rng.choice(choice, rows) for choice in (words, words, ["x", "y"], ["k", "m"])]
    return pl.DataFrame(dict(zip(COLUMNS, pick, strict=True)), schema=dict.fromkeys(COLUMNS, pl.String))


@pytest.mark.parametrize("rows", [1, 2, 57, 400])
@pytest.mark.parametrize("by", ["score", "rank"])
def test_a_curve_is_what_a_loop_over_all_cuts_counts(rows, by):
    labelled = scored(rows).with_columns(matched=pl.col("matched") | (pl.int_range(pl.len()) == 0))
    values, matched = labelled[by].to_numpy(), labelled["matched"].to_numpy()
    expected = []
    for cut in sorted(set(values.tolist()), reverse=by == "score"):
        stays = values >= cut if by == "score" else values <= cut
        right = (stays & matched).sum()
        expected.append((cut, stays.sum(), right / stays.sum(), right / matched.sum()))
    found = curve(labelled, by)
    assert found.columns == ["threshold", "kept", "precision", "recall"]
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=1e-12)


def test_every_threshold_of_a_curve_keeps_what_the_rule_keeps():
    labelled = scored(200)
    value = dict(labelled.select("text_a", "score").rows())
    pairs = labelled.select("text_a", text_b=pl.lit("one"))

    def encode(texts: list[str]) -> np.ndarray:
        """Vectors whose cosine with that of "one" is the score."""
        cosine = np.array([value.get(text, 1.0) for text in texts])
        return np.stack([cosine, np.sqrt(np.maximum(1 - cosine**2, 0))], axis=1)

    for threshold, kept, _, _ in curve(labelled.with_columns(scores(pairs, encode)), "score").rows():
        assert Relevant("kept", encode, limit=threshold).judge(pairs).sum() == kept


def test_a_curve_of_nothing_is_empty_and_one_without_a_match_an_error():
    assert curve(scored(0), "score").is_empty()
    with pytest.raises(ValueError, match="none of the 5 pairs is matched"):
        curve(scored(5).with_columns(matched=pl.lit(False)), "rank")
    with pytest.raises(ValueError, match="'length' is no cut"):
        curve(scored(5), "length")


@pytest.mark.parametrize(("rows", "different"), [(0, 3), (1, 3), (2, 3), (30, 1), (300, 4), (500, 200)])
def test_a_mismatch_is_no_pair_and_stays_in_its_source_and_kind(rows, different):
    pairs = pairs_of_words(rows, 0, different)
    labelled = mismatched(pairs, seed=3)
    right, wrong = labelled.filter("matched"), labelled.filter(~pl.col("matched"))
    group = ["text_a", "source", "kind"]
    assert right.select(group).equals(wrong.select(group))  # the same pairs, in the same order
    assert set(right.select(COLUMNS).rows()) <= set(pairs.rows())
    fold = [folded(pl.col("text_a")), folded(pl.col("text_b"))]
    assert not set(wrong.select(fold).rows()) & set(pairs.select(fold).rows())
    assert not wrong.select((fold[0] == fold[1]).any()).item()
    seen = [each.select("text_b", "source", "kind").rows() for each in (wrong, pairs)]
    assert set(seen[0]) <= set(seen[1])


def test_every_pair_of_different_texts_is_mismatched_each_text_once_and_by_lot():
    pairs = pl.DataFrame({"text_a": [f"a{n}" for n in range(99)], "text_b": [f"b{n}" for n in range(99)]})
    pairs = pairs.with_columns(source=pl.lit("s"), kind=pl.lit("k"))
    found = mismatched(pairs, seed=1)
    assert len(found) == 198 and found["matched"].sum() == 99
    assert sorted(found["text_b"][99:]) == sorted(pairs["text_b"])
    assert found.equals(mismatched(pairs, seed=1)) and not found.equals(mismatched(pairs, seed=2))


@pytest.mark.parametrize("times", [2, 3])
def test_texts_that_come_again_find_another_place_too(times):
    rows = [(f"a{n}", f"b{n // times}", "s", "k") for n in range(12)]
    pairs = pl.DataFrame(
        [*rows, ("z", "rare", "t", "k"), ("y", "rarer", "t", "k")], schema=list(COLUMNS), orient="row"
    )
    assert mismatched(pairs)["matched"].sum() == len(pairs)


def test_pairs_with_nothing_else_to_be_given_are_left_out():
    rows = [("a", "yes", "s", "k"), ("b", "YES", "s", "k"), ("c", "no", "t", "k"), ("d", "no", "s", "m")]
    assert mismatched(pl.DataFrame(rows, schema=list(COLUMNS), orient="row")).is_empty()


@pytest.mark.parametrize("cut", [-2.0, -0.2, 0.0, 0.375, 2.0])
@pytest.mark.parametrize("rows", [0, 1, 20])
def test_the_pairs_around_a_cut_are_the_nearest_of_both_sides(cut, rows):
    pairs = scored(120)
    found = around(pairs, cut, rows)
    every = sorted(pairs["score"].to_list())
    above, below = [s for s in every if s >= np.float32(cut)], [s for s in every if s < np.float32(cut)]
    assert sorted(found.filter("kept")["score"]) == above[:rows]
    assert sorted(found.filter(~pl.col("kept"))["score"]) == below[max(0, len(below) - rows) :]
    assert found["score"].is_sorted(descending=True)
    assert set(found["text_a"]) <= set(pairs["text_a"]) and found["text_a"].is_unique().all()


def test_pairs_drawn_on_both_sides_of_a_cut_are_of_either_by_lot():
    pairs = scored(300)
    found = drawn(pairs, 0.3, rows=20, seed=1)
    assert found["kept"].sum() == 20 and len(found) == 40
    assert (found["score"] >= 0.3).equals(found["kept"].alias("score"))
    assert found.equals(drawn(pairs, 0.3, rows=20, seed=1))
    assert not found.equals(drawn(pairs, 0.3, rows=20, seed=2))
    assert drawn(pairs, 0.3, rows=1000).sort("text_a").equals(split(pairs, 0.3).sort("text_a"))


def test_shares_by_source_are_counted():
    pairs = scored(200)
    for source, count, kept, share in kept_by_source(pairs, 0.3).rows():
        own = pairs.filter(pl.col("source") == source)["score"]
        assert (count, kept) == (len(own), (own >= 0.3).sum()) and share == kept / count


@pytest.mark.parametrize("bins", [1, 7, 40])
@pytest.mark.parametrize("rows", [1, 2, 500])
def test_a_histogram_holds_every_score_of_every_source_once(rows, bins):
    pairs = scored(rows)
    found = by_source(pairs, bins)
    for (source,), part in found.group_by("source"):
        own = pairs.filter(pl.col("source") == source)["score"].cast(pl.Float64).to_list()
        assert part["pairs"].sum() == len(own)
        for low, high, count in part.select("low", "high", "pairs").rows():
            last = high == found["high"].max()
            if low < high:
                assert count == sum(low <= score < high or (last and score == high) for score in own)
    assert len(found) == bins * pairs["source"].n_unique()


def test_no_scores_make_no_histogram_and_no_bins_an_error():
    assert by_source(scored(0)).is_empty() and around(scored(0), 0.4).is_empty()
    assert kept_by_source(scored(0), 0.4).is_empty() and drawn(scored(0), 0.4).is_empty()
    with pytest.raises(ValueError, match="0 bins"):
        by_source(scored(5), bins=0)
