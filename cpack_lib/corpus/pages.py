"""Documents as pages: which form a text has, its title, and its blocks as rows of a frame."""

import json
import re
from typing import NamedTuple

import polars as pl

from cpack_lib.corpus import markup
from cpack_lib.corpus.markup import ANSWER, HEADING, QUESTION, TEXT, Block

QUESTION_KEYS = ("question", "query", "问题")
TITLE_KEYS = ("title", "headline", "标题")
BODY_KEYS = ("text", "body", "content", "answer", "正文", "答案")
COLUMNS = {
    "document": pl.UInt32,
    "source": pl.String,
    "title": pl.String,
    "kind": pl.String,
    "level": pl.UInt8,
    "text": pl.String,
}
LONGEST_PLAIN_HEADING = 40  # characters of a line of plain text that heads what follows
HEAD = 4096  # characters in which a text shows what form it has
LONGEST_MARKDOWN = 300_000  # characters; a hostile page of this length takes some seconds

TURN = re.compile(r"^(\d+) \+\+\+\$\+\+\+ .*? \+\+\+\$\+\+\+ ", re.M)
HTML = re.compile(r"<!doctype html|<html[\s>]|\A\s*<(head|body|div|article|section|table|p|h[1-6])\b", re.I)
DOCBOOK = re.compile(r"\A\s*<\?xml[^>]*>.*?(docbook|<(refentry|chapter|book|article|section|sect1)\b)", re.S)
MARKDOWN = re.compile(
    r"\A---\s*\n|^#{1,6} |^={3,}\s*$|^```|^\[#\]: |^> |\]\(\S|^[*-] |\*\*\S|^\|.*\|\s*$", re.M
)
NUMBERED = re.compile(
    r"^(第[\d一二三四五六七八九十百]+[章节编篇]|[一二三四五六七八九十]+、|（[一二三四五六七八九十]+）|【.+】$)"
)
ENDS = "。！；，：…!;,:.、"
ASKED = re.compile(r"^(?:问题?|提问|Q|Ask)\s?\d*\s?[：:.、]\s*(.+)$", re.I | re.S)
ANSWERED = re.compile(r"^(?:答|回答|解答|答案|A|Answer)\s?\d*\s?[：:.、]\s*(.+)$", re.I | re.S)
BOTH = re.compile(r"^(?:问|Q)\s?\d*\s?[：:]\s*(.+?)\s*(?:答|A)\s?\d*\s?[：:]\s*(.+)$", re.S)
SITE = re.compile(r"(\s+[-–—]\s+|\s*[_|｜]\s*|(?<=[？?！!])\s*-\s*)[^_|｜]{1,20}$")


class Page(NamedTuple):
    """One document: the form it was read as, what it calls itself, its blocks in order."""

    form: str
    title: str
    blocks: list[Block]


def form_of(text: str) -> str:
    """record (a JSON object), turns (a forum's dump), docbook, html, markdown (not a longer one) or plain."""
    if text.lstrip()[:1] == "{" and as_record(text):
        return "record"
    if TURN.search(text[:HEAD]):
        return "turns"
    if DOCBOOK.match(text[:HEAD]):
        return "docbook"
    if HTML.search(text[:HEAD]):
        return "html"
    return "markdown" if len(text) <= LONGEST_MARKDOWN and MARKDOWN.search(text) else "plain"


def read_page(text: str, title: str = "") -> Page:
    """A text as a page; `title` is what its table calls it, if it does."""
    form = form_of(text)
    stated, blocks = READERS[form](text)
    blocks = [spoken for block in blocks for spoken in said(block)]
    first = next((block.text for block in blocks if block.kind == HEADING and block.level == 1), "")
    title = title or first or without_site(stated)
    blocks = [Block(HEADING, title, 1) if block == Block(TEXT, title) else block for block in blocks]
    return Page(form, title, blocks)


def as_record(text: str) -> dict[str, str]:
    """The texts of a JSON object with a body under a known name, else an empty dict."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    texts = {key: value for key, value in record.items() if isinstance(value, str)}
    return texts if any(key in texts for key in BODY_KEYS) else {}


def record_blocks(text: str) -> tuple[str, list[Block]]:
    """(title, blocks) of a JSON object: the question it answers, if it has one, before its body."""
    record = as_record(text)
    title, question, body = (
        next((record[key] for key in keys if key in record), "")
        for keys in (TITLE_KEYS, QUESTION_KEYS, BODY_KEYS)
    )
    asked = [Block(QUESTION, question)] if question else []
    form = form_of(body)
    _, blocks = READERS[form if form in ("html", "markdown") else "lines"](body)
    return title, asked + blocks


def turn_blocks(text: str) -> tuple[str, list[Block]]:
    """(title, blocks) of a forum's dump, whose even numbers ask and whose odd ones answer."""
    starts = list(TURN.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    posts = [(int(start.group(1)), text[start.end() : end]) for start, end in zip(starts, ends, strict=True)]
    kinds = (QUESTION, ANSWER)
    return "", [Block(kinds[number % 2], " ".join(post.split())) for number, post in posts if post.strip()]


def line_blocks(text: str) -> tuple[str, list[Block]]:
    """(no title, one block of text per line)."""
    return "", [Block(TEXT, line.strip()) for line in text.splitlines() if line.strip()]


def plain_blocks(text: str) -> tuple[str, list[Block]]:
    """(no title, blocks) of a text without markup.

    Headings are the title in the first line, short first lines of paragraphs, and short numbered lines.
    """
    parts = (part.split("\n") for part in re.split(r"\n\s*\n", text))
    paragraphs = [[line.strip() for line in part if line.strip()] for part in parts]
    lines = [
        (line, place == 0 and len(paragraph) > 1)
        for paragraph in paragraphs
        for place, line in enumerate(paragraph)
    ]
    blocks = []
    for line, leads in lines:
        titles = not blocks and len(lines) > 1
        heads = is_plain_heading(line) and (titles or leads or bool(NUMBERED.match(line)))
        blocks.append(Block(HEADING, line, 1 if titles else 2) if heads else Block(TEXT, line))
    return "", blocks


def is_plain_heading(line: str) -> bool:
    """Whether a line could be a heading: short, and not ended as a sentence, unless it asks."""
    return len(line) <= LONGEST_PLAIN_HEADING and line[-1] not in ENDS


def said(block: Block) -> list[Block]:
    """A line that begins with 问：, 答：, Q: or A: as a question or an answer, any other as it is."""
    if block.kind != TEXT:
        return [block]
    if both := BOTH.match(block.text):
        return [Block(QUESTION, both.group(1)), Block(ANSWER, both.group(2))]
    for kind, pattern in ((QUESTION, ASKED), (ANSWER, ANSWERED)):
        if found := pattern.match(block.text):
            return [Block(kind, found.group(1))]
    return [block]


def without_site(title: str) -> str:
    """A page's title without the names of its site: 怎么做泡菜_美食网 -> 怎么做泡菜."""
    for _ in range(3):
        shorter = SITE.sub("", title).strip()
        title = shorter if len(shorter) >= 4 else title
    return title.strip()


READERS = {
    "record": record_blocks,
    "turns": turn_blocks,
    "docbook": markup.docbook_blocks,
    "html": markup.html_blocks,
    "markdown": markup.markdown_blocks,
    "plain": plain_blocks,
    "lines": line_blocks,
}


def blocks_of(documents: pl.DataFrame) -> pl.DataFrame:
    """The blocks of a shard of documents, in order; `document` is the number of the row they come from."""
    titles = documents["title"].fill_null("") if "title" in documents.columns else [""] * len(documents)
    columns, rows = zip(documents["text"], titles, documents["source"], strict=True), []
    for number, (text, title, source) in enumerate(columns):
        page = read_page(text, title)
        rows += [(number, source, page.title, block.kind, block.level, block.text) for block in page.blocks]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")
