import polars as pl
import pytest

from cpack_lib.corpus.structure.spans import LEFT_IN, LONGEST, SHORTEST, cut_spans


def texts_of(lengths: list[int]) -> pl.DataFrame:
    """Texts in which every character stands once, so that a place is known by its character."""
    return pl.DataFrame(
        {"text": ["".join(chr(0x4E00 + i) for i in range(n)) for n in lengths], "source": "s"},
        schema={"text": pl.String, "source": pl.String},
    )


def test_a_span_and_what_is_left_make_up_the_text():
    texts = texts_of([2 * LONGEST, 200, 500])
    for text, (span, left) in zip(
        texts["text"], cut_spans(texts).select("text_a", "text_b").iter_rows(), strict=True
    ):
        assert SHORTEST <= len(span) <= LONGEST and span in text
        assert left in (text, text.replace(span, ""))


def test_texts_too_short_to_cut_make_no_pair():
    assert cut_spans(texts_of([0, 1, 2 * LONGEST - 1])).height == 0
    assert cut_spans(texts_of([])).columns == ["text_a", "text_b", "source", "kind"]


def test_the_same_seed_cuts_the_same_and_the_stated_share_keeps_its_span():
    texts = texts_of([300] * 2_000)
    pairs = cut_spans(texts, seed=3)
    assert pairs.equals(cut_spans(texts, seed=3)) and not pairs.equals(cut_spans(texts, seed=4))
    kept = (pairs["text_b"].str.len_chars() == 300).mean()
    assert kept == pytest.approx(LEFT_IN, abs=0.05)
