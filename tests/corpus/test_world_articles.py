"""The written articles: complete, of their length, in their script, questions that do not repeat the text."""

import json
from collections import Counter
from itertools import chain

import pytest

from cpack_lib.corpus.world.articles import ARTICLES, all_articles, read_article

DOMAINS, PER_DOMAIN = 16, 15
FILES = sorted(ARTICLES.glob("*.jsonl"))
COMPLETE = len(FILES) == DOMAINS and all(path.read_text("utf-8").count("\n") >= PER_DOMAIN for path in FILES)
written = pytest.mark.skipif(not COMPLETE, reason="articles are still being written")


def chinese(text: str) -> int:
    """How many characters of a text are Chinese."""
    return sum("\u4e00" <= character <= "\u9fff" for character in text)


@written
def test_there_are_fifteen_articles_in_each_of_sixteen_domains():
    domains = Counter(article.domain for article in all_articles())
    assert len(domains) == DOMAINS
    assert set(domains.values()) == {PER_DOMAIN}
    ids = [article.id for article in all_articles()]
    assert len(set(ids)) == len(ids)


@written
def test_a_third_of_them_are_translated():
    assert sum(article.english is not None for article in all_articles()) >= 80


@pytest.mark.parametrize("article", [pytest.param(each, id=each.id) for each in all_articles()])
def test_an_article_is_whole(article):
    assert 150 <= len(article.text) <= 400
    assert chinese(article.text) > 0.7 * len(article.text)
    assert 4 <= len(article.headline) <= 40
    assert len(article.questions) == 3
    assert all(chinese(question) >= 5 and question not in article.text for question in article.questions)
    if article.english:
        version = article.english
        assert len(version.questions) == 3
        assert 60 <= len(version.text.split()) <= 320
        whole = "".join((version.headline, version.text, *version.questions))
        assert chinese(whole) < 0.02 * len(whole)  # essays about characters show some


def test_no_two_articles_share_a_headline_a_text_or_a_question():
    articles = all_articles()
    for part in ("headline", "text"):
        assert len({getattr(article, part) for article in articles}) == len(articles)
    questions = list(chain.from_iterable(article.questions for article in articles))
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize("line", ['{"id": "x"}', "{", json.dumps({"id": "x", "english": 3})])
def test_a_line_that_is_no_article_is_named(line):
    with pytest.raises(ValueError, match=r"food.jsonl:7: this line is no article"):
        read_article(line, "food.jsonl:7")
