"""Pages become pairs: a title and its body, a heading and its section, a question and its answer, a name and
what it is, ... Each maker is an expression over the blocks of a whole shard (`pages.COLUMNS`, in order).

No page has the form of a sentence and its edited version, or of a text and its translation: pairs of the
kinds `sentence_edited` and `parallel` come in as given tables of pairs, by their column `kind`.
"""

from collections.abc import Callable, Iterable
from functools import partial

import polars as pl

from cpack_lib.corpus.languages import Language, language
from cpack_lib.corpus.structure.markup import (
    ABSTRACT,
    ACCEPTED,
    ANSWER,
    CODE,
    HEADING,
    LEAD,
    PASSAGE,
    QUERY,
    QUESTION,
)
from cpack_lib.corpus.structure.markup import TEXT as LINE
from cpack_lib.corpus.structure.pages import OPENING

LONGEST = 500  # characters of text_b, cut at the end of a sentence; times the spread of the language
SHORTEST_BODY = 20  # characters of text_b that a page must offer for a title or a heading
SHORTEST_QUESTION = 6  # characters; "为什么？" asks about what was said before
SHORTEST_ANSWER = 4
LEAD_SIZE = (40, 200)  # characters of a piece of news' first paragraph that sums it up; times the spread
REST_OF_STORY = 2  # times the length of the lead that must follow it

TEXT, KIND, SECTION = pl.col("text"), pl.col("kind"), pl.col("section")
TITLED = ((KIND == HEADING) & (pl.col("title") == TEXT)).any()  # in the section that the title opens
CHINESE = language("zh")
COLUMNS = ("document", "source", "text_a", "text_b")


def cut(text: pl.Expr, longest: int, own: Language = CHINESE) -> pl.Expr:
    """A text's first `longest` characters, ended with a sentence where one ends in their second half."""
    head = text.str.head(longest)
    ended = head.str.extract(rf"(?s)^(.*(?:{own.forms.ends}))")
    whole = pl.when(ended.str.len_chars() > longest // 2).then(ended).otherwise(head)
    return pl.when(text.str.len_chars() <= longest).then(text).otherwise(whole).str.strip_chars_end()


def bodies(blocks: pl.DataFrame, *by: str) -> pl.DataFrame:
    """One row per section or, `by` turn, per answer or passage: what opened the section, and the lines in it.

    A page's first lines are the section of its title. Where a rule has taken the opening line out, `opener`
    is "lost".
    """
    numbers = ("document", "section", *by)
    first = blocks.select("document", "section", opener=KIND, head=TEXT).unique(
        ["document", "section"], keep="first", maintain_order=True
    )
    lines = blocks.filter(~KIND.is_in(OPENING)).group_by(numbers, maintain_order=True)
    made = lines.agg(
        pl.col("source", "title").first(),
        accepted=(KIND == ACCEPTED).any(),
        lead=TEXT.first(),
        body=TEXT.str.join("\n"),
    ).join(first, on=["document", "section"], how="left", maintain_order="left")
    top = pl.col("section") == 0
    opener = pl.when(top).then(pl.lit(HEADING)).when(pl.col("opener").is_in(OPENING)).then("opener")
    return made.with_columns(
        opener=opener.otherwise(pl.lit("lost")), head=pl.when(top).then("title").otherwise("head")
    )


def asks(text: pl.Expr) -> pl.Expr:
    """Whether a heading is a question."""
    return text.str.contains("[？?]$")


def under_title(blocks: pl.DataFrame, kinds: list[str]) -> pl.DataFrame:
    """A page's title, and its lines of these kinds."""
    pages = blocks.filter(KIND.is_in(kinds)).group_by("document", maintain_order=True)
    made = pages.agg(pl.col("source", "title").first(), TEXT.str.join("\n"))
    made = made.filter(pl.col("title") != "", TEXT.str.len_chars() >= SHORTEST_BODY)
    return made.select("document", "source", text_a="title", text_b=TEXT)


def title_body(blocks: pl.DataFrame) -> pl.DataFrame:
    """A page's title, and the page without what sums it up; not of a page that answers its title."""
    answers = KIND.is_in([ANSWER, ACCEPTED]) & ((SECTION == 0) | (TITLED.over("document", "section")))
    pages = blocks.filter(~answers.any().over("document"))
    return under_title(pages, [LINE, CODE, ANSWER, ACCEPTED, PASSAGE])


def title_abstract(blocks: pl.DataFrame) -> pl.DataFrame:
    """A page's title, and the section or the field that sums it up."""
    return under_title(blocks, [ABSTRACT])


def headline_summary(blocks: pl.DataFrame, own: Language = CHINESE) -> pl.DataFrame:
    """A record's headline with its summary; the headline of a piece of news with its first paragraph.

    News is what begins with a dateline (新华社北京5月3日电), which is left out. The paragraph must be a lead,
    not the whole story: that would be the pair of `title_body` once more.
    """
    lead = pl.col("lead").str.replace(own.forms.dateline, "")
    size, rest = lead.str.len_chars(), pl.col("body").str.len_chars() - pl.col("lead").str.len_chars()
    stories = bodies(blocks).filter(
        pl.col("opener") == HEADING,
        pl.col("head") != "",
        pl.col("lead").str.contains(own.forms.dateline),
        size.is_between(*(edge * own.spread for edge in LEAD_SIZE)),
        rest >= REST_OF_STORY * size,
    )
    told = stories.select("document", "source", text_a="head", text_b=lead)
    return pl.concat([under_title(blocks, [LEAD]), told])


def heading_section(blocks: pl.DataFrame, own: Language = CHINESE) -> pl.DataFrame:
    """A page's title with the heading of a section that asks nothing, and the section."""
    sections = bodies(blocks).filter(
        SECTION > 0,
        pl.col("opener") == HEADING,
        ~asks(pl.col("head")),
        pl.col("title") != pl.col("head"),
        pl.col("body").str.len_chars() >= SHORTEST_BODY,
    )
    headed = (
        pl.when(pl.col("title") == "")
        .then("head")
        .otherwise(pl.concat_str("title", pl.lit(own.forms.joint), "head"))
    )
    return sections.select("document", "source", text_a=headed, text_b="body")


def question_answer(blocks: pl.DataFrame) -> pl.DataFrame:
    """A question of a list, a forum or a heading, with each of its answers, the accepted one first.

    Where no line says that it answers, everything until the next question does. A title is a question where
    answers follow it.
    """
    turns = bodies(blocks, "turn").with_columns(
        answers=(pl.col("turn") > 0).any().over("document", "section"),
        titles=pl.col("head") == pl.col("title"),
    )
    asked = pl.col("opener").eq(QUESTION) | (
        pl.col("opener").eq(HEADING) & pl.when("titles").then("answers").otherwise(asks(pl.col("head")))
    )
    made = turns.filter(
        asked,
        (pl.col("turn") > 0) == pl.col("answers"),
        pl.col("head").str.len_chars() >= SHORTEST_QUESTION,
        pl.col("body").str.len_chars() >= SHORTEST_ANSWER,
    )
    made = made.sort("document", "section", ~pl.col("accepted"), "turn", maintain_order=True)
    return made.select("document", "source", text_a="head", text_b="body")


def query_passage(blocks: pl.DataFrame) -> pl.DataFrame:
    """A record's query, and each passage that was found for it."""
    passages = bodies(blocks, "turn").filter(
        pl.col("opener") == QUERY, pl.col("turn") > 0, pl.col("body").str.len_chars() >= SHORTEST_BODY
    )
    return passages.select("document", "source", text_a="head", text_b="body")


def entity_description(blocks: pl.DataFrame, own: Language = CHINESE) -> pl.DataFrame:
    """The name that a line begins with, and the line, where it says what the name stands for."""
    subject = TEXT.str.extract(own.forms.subject + own.forms.defined, 1)
    subject = subject.str.replace_all(own.forms.around, "")
    lines = blocks.filter(KIND.is_in([LINE, ABSTRACT, LEAD, PASSAGE]))
    lines = lines.select("document", "source", text_a=subject, text_b=TEXT)
    return lines.filter(
        pl.col("text_a").str.len_chars() >= 2, ~pl.col("text_a").str.contains(own.forms.unnamed)
    )


MAKERS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    make.__name__: make
    for make in (
        title_body,
        title_abstract,
        headline_summary,
        heading_section,
        question_answer,
        query_passage,
        entity_description,
    )
}
SPOKEN = (headline_summary, heading_section, entity_description)  # these know words of a language


def pairs_of(
    blocks: pl.DataFrame, kinds: Iterable[str] = (), longest: int = LONGEST, code: str = "zh"
) -> pl.DataFrame:
    """The pairs that a shard's blocks offer, document by document: document, source, text_a, text_b, kind.

    Of all kinds where none is named; `code` is the language of the pages.
    """
    own = language(code)
    makers = MAKERS | {make.__name__: partial(make, own=own) for make in SPOKEN}
    made = [makers[kind](blocks).select(COLUMNS).with_columns(kind=pl.lit(kind)) for kind in kinds or makers]
    made = pl.concat(made).sort("document", maintain_order=True)
    return made.with_columns(cut(pl.col("text_b"), longest * own.spread, own))
