"""Everything that the recipe knows about a language, a module for each: another language is another module.

The rest is the same for all: pages, copies, RetroMAE, contrast, mining, mteb. Two repairs of `clean.text` are
about Chinese alone and never fire elsewhere: `simplified` and `chinese_marks`.
"""

from cpack_lib.corpus.languages.language import Forms, Language, Noise
from cpack_lib.corpus.languages.written import (
    LANGUAGES,
    is_written,
    language,
    main_language,
    written_share,
)

__all__ = [
    "LANGUAGES",
    "Forms",
    "Language",
    "Noise",
    "is_written",
    "language",
    "main_language",
    "written_share",
]
