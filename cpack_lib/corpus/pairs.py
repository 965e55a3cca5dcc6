"""Pages become pairs: a title and its body, a heading and its section, a question and its answer, a name and
what it is. Each maker is an expression over the blocks of a whole shard (`pages.COLUMNS`, in order)."""

from collections.abc import Callable

import polars as pl

LONGEST = 500  # characters of text_b, cut at the end of a sentence
SHORTEST_BODY = 20  # characters of text_b that a page must offer for a title or a heading
SHORTEST_QUESTION = 6  # characters; "为什么？" asks about what was said before
SHORTEST_ANSWER = 4
SUBJECT = r"^([《“]?[\p{Han}\p{Latin}\d·\- ]{2,16}?[》”]?)(?:（[^）]{1,60}）|\([^)]{1,60}\))?，?"
DEFINED = (
    r"(?:是一[种个款项类门座部条名位组套段份片支只所家本]|是(?:指|由|位于|我国|中国|世界)|"
    r"就是|指的是|又称|又名|也叫|俗称|系指)[^。]{6,}。"
)
UNNAMED = (
    r"^(?:[这那它他她我你您该此其本如但也还都不当因所虽然而或即若在从以为对今昨第每有只最]|"
    r"目前|位于|正在|一[般些个]|很多|许多|前款)|[都也的认同仅只不很则说里中上]$"
)

TEXT, KIND = pl.col("text"), pl.col("kind")
COLUMNS = ("document", "source", "text_a", "text_b")


def cut(text: pl.Expr, longest: int) -> pl.Expr:
    """A text's first `longest` characters, ended with a sentence where one ends in their second half."""
    head = text.str.head(longest)
    ended = head.str.extract(r"(?s)^(.*[。！？!?；;\n])")
    whole = pl.when(ended.str.len_chars() > longest // 2).then(ended).otherwise(head)
    return pl.when(text.str.len_chars() <= longest).then(text).otherwise(whole).str.strip_chars_end()


def grouped(blocks: pl.DataFrame, opens: pl.Expr) -> pl.DataFrame:
    """One row per stretch of blocks from one where `opens` is true: that block, and the lines after it."""
    stretch = opens.cast(pl.Int32).cum_sum().over("document").alias("stretch")
    return (
        blocks.with_columns(stretch)
        .filter(pl.col("stretch") > 0)
        .group_by("document", "stretch", maintain_order=True)
        .agg(
            pl.col("source", "title", "kind", "level", "text").first(),
            TEXT.slice(1).str.join("\n").alias("body"),
        )
    )


def asks(text: pl.Expr) -> pl.Expr:
    """Whether a heading is a question."""
    return text.str.contains("[？?]$")


def title_body(blocks: pl.DataFrame) -> pl.DataFrame:
    """A page's title, and the page."""
    pages = (
        blocks.filter(KIND != "heading")
        .group_by("document", maintain_order=True)
        .agg(pl.col("source", "title").first(), TEXT.filter(KIND != "question").str.join("\n"))
    )
    pages = pages.filter(pl.col("title") != "", TEXT.str.len_chars() >= SHORTEST_BODY)
    return pages.select("document", "source", text_a="title", text_b=TEXT)


def heading_section(blocks: pl.DataFrame) -> pl.DataFrame:
    """A page's title with the heading of a section that asks nothing, and the section."""
    sections = grouped(blocks, KIND == "heading").filter(
        ~asks(TEXT), pl.col("title") != TEXT, pl.col("body").str.len_chars() >= SHORTEST_BODY
    )
    headed = pl.when(pl.col("title") == "").then(TEXT).otherwise(pl.format("{}：{}", "title", "text"))
    return sections.select("document", "source", text_a=headed, text_b="body")


def question_answer(blocks: pl.DataFrame) -> pl.DataFrame:
    """A question of a list of questions, a forum or a heading, and what is said until the next."""
    sections = grouped(blocks, KIND.is_in(["heading", "question"])).filter(
        (KIND == "question") | (asks(TEXT) & (pl.col("title") != TEXT)),
        TEXT.str.len_chars() >= SHORTEST_QUESTION,
        pl.col("body").str.len_chars() >= SHORTEST_ANSWER,
    )
    return sections.select("document", "source", text_a="text", text_b="body")


def entity_description(blocks: pl.DataFrame) -> pl.DataFrame:
    """The name that a line begins with, and the line, where it says what the name stands for."""
    subject = TEXT.str.extract(SUBJECT + DEFINED, 1).str.strip_chars("《》“” ")
    lines = blocks.filter(KIND == "text").select("document", "source", text_a=subject, text_b=TEXT)
    return lines.filter(pl.col("text_a").str.len_chars() >= 2, ~pl.col("text_a").str.contains(UNNAMED))


MAKERS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    make.__name__: make for make in (title_body, heading_section, question_answer, entity_description)
}


def pairs_of(blocks: pl.DataFrame, kinds: list[str] | None = None, longest: int = LONGEST) -> pl.DataFrame:
    """The pairs that a shard's blocks offer, document by document: document, source, text_a, text_b, kind."""
    made = [MAKERS[kind](blocks).select(COLUMNS).with_columns(kind=pl.lit(kind)) for kind in kinds or MAKERS]
    return pl.concat(made).sort("document", maintain_order=True).with_columns(cut(pl.col("text_b"), longest))
