"""The written articles: short Chinese essays of our own, some with an English version, each with questions.

Their texts and headlines may stand in any table; their questions are for evaluation only.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ARTICLES = Path(__file__).parent / "articles"


@dataclass(frozen=True)
class English:
    """The English version of an article."""

    headline: str
    text: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Article:
    """One written article; `english` is None where it was not translated."""

    id: str
    domain: str
    style: str
    headline: str
    text: str
    questions: tuple[str, ...]
    english: English | None


def read_article(line: str, place: str) -> Article:
    """An article from a line of JSON; ValueError names the place where a field is missing."""
    try:
        node = json.loads(line)
        english = node["english"]
        if english is not None:
            english = English(english["headline"], english["text"], tuple(english["questions"]))
        return Article(
            node["id"],
            node["domain"],
            node["style"],
            node["headline"],
            node["text"],
            tuple(node["questions"]),
            english,
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{place}: this line is no article ({error!r}): {line[:80]!r}") from error


@cache
def translated() -> tuple[Article, ...]:
    """The articles that have an English version."""
    return tuple(article for article in all_articles() if article.english is not None)


@cache
def all_articles() -> tuple[Article, ...]:
    """Every article, by file and line."""
    found = []
    for path in sorted(ARTICLES.glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [read_article(line, f"{path.name}:{number}") for number, line in enumerate(lines, 1) if line]
    return tuple(found)
