"""Which languages there are, and in which of them a text is written."""

from collections.abc import Iterable

import polars as pl

from cpack_lib.corpus.languages.chinese import CHINESE
from cpack_lib.corpus.languages.english import ENGLISH
from cpack_lib.corpus.languages.language import Language

LETTER = r"[\p{L}\p{N}]"
LOOKED_AT = 1_000  # texts that are asked for their language
LANGUAGES = {language.code: language for language in (CHINESE, ENGLISH)}


def language(code: str) -> Language:
    """The row of a language; ValueError names those that there are."""
    if code not in LANGUAGES:
        raise ValueError(f"language is {code!r}; cpack_lib/corpus/languages has {', '.join(LANGUAGES)}")
    return LANGUAGES[code]


def written_share(text: pl.Expr, code: str) -> pl.Expr:
    """Letters of a language among the letters and digits, 0 where there are none.

    Those of `others` are taken off: a page with many of them is in another language of the same script.
    """
    own = language(code)
    found = text.str.count_matches(own.letters).cast(pl.Int64)
    if own.others:
        found = (found - text.str.count_matches(own.others).cast(pl.Int64)).clip(0)
    return found / text.str.count_matches(LETTER).clip(1)


def is_written(text: pl.Expr, code: str) -> pl.Expr:
    """Whether a text has the share of letters that its language asks for."""
    return written_share(text, code) >= language(code).least


def main_language(texts: Iterable[str]) -> str:
    """The code of the language in which most of the first 1,000 texts are written; the first of the table
    where none is in any."""
    some = pl.DataFrame({"text": list(texts)[:LOOKED_AT]}, schema={"text": pl.String})
    counts = some.select(is_written(pl.col("text"), code).sum().alias(code) for code in LANGUAGES).row(0)
    return max(zip(counts, LANGUAGES, strict=True), key=lambda found: found[0])[1]
