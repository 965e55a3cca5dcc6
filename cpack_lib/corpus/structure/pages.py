"""Documents as pages: which form a text has, its title, and its blocks as rows of a frame."""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from cpack_lib.corpus.structure import markup
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
    TEXT,
    Block,
)

TITLES = ("title", "headline", "标题")
QUESTIONS = ("question", "query", "问题")
BODIES = {  # of a record: what stands under which names
    ABSTRACT: ("abstract", "摘要"),
    LEAD: ("summary", "lead", "导语"),
    ACCEPTED: ("accepted_answer", "best_answer", "最佳答案"),
    ANSWER: ("answer", "answers", "答案"),
    PASSAGE: ("text", "body", "content", "passage", "passages", "positive", "pos", "正文"),
}
INSIDE = ("text", "passage", "passage_text", "content", "contents")  # of an object in a list of passages
OPENING = (HEADING, QUESTION, QUERY)  # kinds of block that open a section
TURNING = (ANSWER, ACCEPTED, PASSAGE)  # kinds that open a turn inside a section
COLUMNS = {
    "document": pl.UInt32,
    "source": pl.String,
    "title": pl.String,
    "kind": pl.String,
    "level": pl.UInt8,
    "text": pl.String,
    "section": pl.UInt32,
    "turn": pl.UInt32,
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
CHOSEN = re.compile(
    r"^[【\[]?(?:(?:最佳|满意|推荐|被?采纳的?)(?:答案|回答|回复)|被?(?:提问者|楼主|题主)采纳|已被?采纳)"
    r"(?:[】\]]\s*[：:]?|\s*[：:]|$)\s*(.*)$",
    re.S,
)
OTHERS = re.compile(r"^(?:其他|其它|更多)(?:答案|回答|回复)\s*[：:]?\s*(?:[（(]\d+[）)])?$")
ABSTRACTS = r"(?:摘\s*要|内容(?:摘要|提要|提示)|提要|概要|Abstract)"
SUMMED_UP = re.compile(
    rf"^(?:[【\[]{ABSTRACTS}[】\]]\s*[：:]?|{ABSTRACTS}\s*(?:[：:]|$))\s*(.*)$", re.I | re.S
)
KEYWORDS = re.compile(r"[【\[]?(?:关\s*键\s*[词字]|Key\s?words?)[】\]]?\s*[：:]", re.I)
BOTH = re.compile(r"^(?:问|Q)\s?\d*\s?[：:]\s*(.+?)\s*(?:答|A)\s?\d*\s?[：:]\s*(.+)$", re.S)
FORUM_CODE = re.compile(r"\[(\w*code\w*)(=[^\]]*)?\].*?(\[/\1\]|\Z)", re.S)
FORUM_TAGS = re.compile(
    r"\[(attach|img)[^\]]*\][^\[]*\[/\1\]|"
    r"\[/?(b|i|u|s|url|img|quote|hide|p|hr|size|color|font|align|list|table|t[rdh]|media|email|backcolor|indent)"
    r"(=[^\]]*)?\]"
)
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
    blocks = summed_up(spoken(said_block for block in blocks for said_block in said(block)))
    first = next((block.text for block in blocks if block.kind == HEADING and block.level == 1), "")
    title = title or first or without_site(stated)
    blocks = [Block(HEADING, title, 1) if block == Block(TEXT, title) else block for block in blocks]
    return Page(form, title, blocks)


def as_record(text: str) -> dict[str, list[str]]:
    """The texts of a JSON object with a body under a known name, else an empty dict."""
    try:
        texts = {name: texts_in(value) for name, value in json.loads(text).items()}
    except (ValueError, RecursionError):
        return {}
    return texts if any(texts.get(name) for names in BODIES.values() for name in names) else {}


def texts_in(value: object) -> list[str]:
    """The texts that a value of a record holds: itself, or those of a list of texts or of objects."""
    if isinstance(value, dict):
        return [text for name in INSIDE if name in value for text in texts_in(value[name])][:1]
    if isinstance(value, list):
        return [text for each in value if not isinstance(each, list) for text in texts_in(each)]
    return [value] if isinstance(value, str) and value.strip() else []


def record_blocks(text: str) -> tuple[str, list[Block]]:
    """(title, blocks) of a JSON object: what sums it up, its question and answers, its query and passages."""
    record = as_record(text)
    found = {
        kind: [text for name in names for text in record.get(name, [])] for kind, names in BODIES.items()
    }
    title, question = (
        " ".join(next((record[name][0] for name in names if record.get(name)), "").split())
        for names in (TITLES, QUESTIONS)
    )
    blocks = [
        line for kind in (ABSTRACT, LEAD) for text in found[kind] for line in body_blocks(text, kind, kind)
    ]
    answers = [body_blocks(text, kind) for kind in (ACCEPTED, ANSWER) for text in found[kind]]
    passages = [body_blocks(text, PASSAGE if question else TEXT) for text in found[PASSAGE]]
    for kind, bodies in ((QUESTION, answers), (QUERY, passages)):
        blocks += [Block(kind, question)] if question and bodies else []
        blocks += [block for body in bodies for block in body]
    return title, blocks


def body_blocks(body: str, first: str, others: str = TEXT) -> list[Block]:
    """The blocks of a record's body: the kind of its first line of text, and the kind of the others."""
    form = form_of(body)
    _, blocks = READERS[form if form in ("html", "markdown") else "lines"](body)
    lines = [place for place, block in enumerate(blocks) if block.kind == TEXT]
    kinds = {place: first if place == lines[0] else others for place in lines}
    return [
        Block(kinds[place], block.text) if place in kinds else block for place, block in enumerate(blocks)
    ]


def turn_blocks(text: str) -> tuple[str, list[Block]]:
    """(title, blocks) of a forum's dump, whose even numbers ask and whose odd ones answer."""
    starts = list(TURN.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    posts = [(int(start.group(1)), text[start.end() : end]) for start, end in zip(starts, ends, strict=True)]
    plain = [(number, FORUM_TAGS.sub("", FORUM_CODE.sub(" ", post)).split()) for number, post in posts]
    kinds = (QUESTION, ANSWER)
    return "", [Block(kinds[number % 2], " ".join(words)) for number, words in plain if words]


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


def spoken(blocks: Iterable[Block]) -> list[Block]:
    """The line after 最佳答案 as the accepted answer, the one after 其他回答 as an answer."""
    found, role = [], ""
    for block in blocks:
        chosen = CHOSEN.match(block.text) if block.kind not in (CODE, QUESTION, QUERY) else None
        if chosen or (block.kind in (TEXT, HEADING) and OTHERS.match(block.text)):
            role = ACCEPTED if chosen else ANSWER
            block = Block(TEXT, chosen.group(1) if chosen else "")
        elif block.kind in OPENING:
            role = ""
        if block.text and role and block.kind in (TEXT, ANSWER):
            block, role = Block(role, block.text), ""
        found += [block] if block.text else []
    return found


def summed_up(blocks: list[Block]) -> list[Block]:
    """The lines under or behind 摘要 or Abstract as the abstract, where no other section comes before it."""
    found, inside, may_begin = [], False, True
    for block in blocks:
        heads = block.kind == HEADING
        marked = SUMMED_UP.match(block.text) if may_begin and block.kind in (HEADING, TEXT) else None
        if marked:
            inside, may_begin = not marked.group(1), False
            ends = KEYWORDS.search(marked.group(1))
            found.append(Block(ABSTRACT, marked.group(1)[: ends and ends.start()].strip()))
            block = Block(TEXT, marked.group(1)[ends.start() :] if ends else "")
        elif inside and block.kind == TEXT and not KEYWORDS.match(block.text):
            block = Block(ABSTRACT, block.text)
        else:
            inside, may_begin = False, may_begin and not (heads and block.level > 1)
        found.append(block)
    return [block for block in found if block.text]


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
    read = dict(list(COLUMNS.items())[:-2])
    return numbered(pl.DataFrame(rows, schema=read, orient="row"))


def numbered(blocks: pl.DataFrame) -> pl.DataFrame:
    """The blocks with the number of their section in the document, and of their turn in the section.

    Counted before any rule takes lines out: what followed a lost question never answers the one before it.
    """
    section, turn = pl.col("kind").is_in(OPENING), pl.col("kind").is_in(TURNING)
    blocks = blocks.with_columns(section=section.cum_sum().over("document"))
    return blocks.with_columns(turn=turn.cum_sum().over("document", "section")).cast(COLUMNS).select(*COLUMNS)
