"""Markup as blocks: headings, lines of text and code, from HTML, Markdown and DocBook alike.

Markdown is read by markdown-it-py (CommonMark, so that HTML inside it survives), whatever has tags by lxml
(libxml2, which mends what is broken). trafilatura was tried and left out: of short Chinese pages it makes one
paragraph and loses the headings, which are half of our pairs.
"""

import re
from dataclasses import dataclass, field

from lxml import etree
from markdown_it import MarkdownIt

HEADING, TEXT, CODE, QUESTION, ANSWER = "heading", "text", "code", "question", "answer"
LONGEST_BOLD_HEADING = 40  # characters of a line in bold that heads what follows
LINKED = 0.6  # share of a line's characters inside links that makes it a menu

TAGS = {  # of HTML, then of DocBook
    "skip": "head script style noscript template svg nav footer aside form button iframe select object "
    "info indexterm",
    "code": "pre listing programlisting screen methodsynopsis classsynopsis",
    "cell": "td th entry",
    "line": "p div section article main header li ul ol dl dd tr table thead tbody caption blockquote br hr "
    "body figure figcaption address details summary "
    "para simpara refpurpose row listitem refsect1 note warning caution example",
}
SKIP, CODES, CELLS, LINES = (frozenset(names.split()) for names in TAGS.values())
HEADINGS = {**{f"h{level}": level for level in range(1, 7)}, "refname": 1, "title": 2, "dt": 6, "term": 6}
BREAKS = LINES | CODES | frozenset(HEADINGS)
AROUND = re.compile(
    r"(^|[-_ ])(nav\w*|menu|breadcrumbs?|crumbs?|footer|side(bar)?|ads?|advert\w*|banner|promo\w*|comments?|"
    r"share|copyright|related|recommend\w*|toolbar|pager|pagination)([-_ ]|$)",
    re.I,
)

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
SAFE = {"remove_comments": True, "remove_pis": True, "no_network": True}
HTML = etree.HTMLParser(encoding="utf-8", **SAFE)
XML = etree.XMLParser(recover=True, resolve_entities=False, **SAFE)
NAMED_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|apos|#\d+|#x[0-9a-fA-F]+);)[\w.:-]+;")
FRONT_MATTER = re.compile(
    r"\A(?:.*\n){0,2}?---[ \t]*\n((?:[\w.-]+:.*\n|[ \t]+.*\n|- .*\n)+)---[ \t]*(?:\n|\Z)"
)
TITLE_LINE = re.compile(r"^title:\s*[\"']?(.*?)[\"']?\s*$", re.M)
DIRECTIVES = re.compile(r"^\[#\]: .*$|\[!\w+[^\]\n]*\](?:\([^)\n]*\))?\]?|^:::.*$", re.M)


@dataclass(frozen=True)
class Block:
    """One heading (its level from 1), one line of text, or one piece of code."""

    kind: str
    text: str
    level: int = 0


@dataclass
class Walk:
    """The blocks found so far, and the line that is being read."""

    blocks: list[Block] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    linked: int = 0
    bold: int = 0

    def add(self, text: str | None, path: list[str]) -> None:
        """Text inside the elements of `path`."""
        if text:
            size = len(text.strip())
            self.line.append(text)
            self.linked += size if "a" in path else 0
            self.bold += size if "strong" in path or "b" in path else 0

    def end_line(self, path: list[str]) -> None:
        """Make a block of the line, unless it is empty or a menu."""
        code, text = CODES.intersection(path), "".join(self.line)
        text = text.strip("\n") if code else " ".join(text.split()).strip(" |")
        size, linked, bold = len(text.replace(" ", "")), self.linked, self.bold
        self.line, self.linked, self.bold = [], 0, 0
        level = next((HEADINGS[tag] for tag in path if tag in HEADINGS), 0)
        if size <= LONGEST_BOLD_HEADING and bold >= size and not text.endswith(("。", "；", "，")):
            level = level or 6
        if text and code:
            self.blocks.append(Block(CODE, text))
        elif text and level:
            self.blocks.append(Block(HEADING, text.rstrip("：: "), level))
        elif linked < LINKED * size:
            self.blocks.append(Block(TEXT, text))


def walk(root: etree._Element) -> list[Block]:
    """The blocks of a tree, in the order of the text, without menus, scripts and surroundings."""
    found, path = Walk(), []
    steps = etree.iterwalk(root, events=("start", "end"))
    for event, element in steps:
        tag = element.tag.rpartition("}")[2].lower()
        if tag in BREAKS:
            found.end_line(path)
        if event == "end":
            path.pop()
            found.add(element.tail, path)
            continue
        if tag in CELLS and found.line:
            found.line.append(" | ")
        path.append(tag)
        if is_around(element, tag):
            steps.skip_subtree()
        else:
            found.add(element.text, path)
    found.end_line(path)
    return found.blocks


def is_around(element: etree._Element, tag: str) -> bool:
    """Whether an element is no content: by its tag, or by the name its author gave it."""
    if tag in ("html", "body", "main", "article"):
        return False
    return tag in SKIP or any(AROUND.search(element.get(name) or "") for name in ("class", "id", "role"))


def html_blocks(markup: str) -> tuple[str, list[Block]]:
    """(title, blocks) of HTML, however broken."""
    root = etree.fromstring(markup.encode(errors="replace"), HTML) if markup.strip() else None
    if root is None:
        return "", []
    title = root.find(".//head/title")
    return " ".join(((title is not None and title.text) or "").split()), walk(root)


def docbook_blocks(markup: str) -> tuple[str, list[Block]]:
    """(no title, blocks) of DocBook XML; entities that only its own project defines are left out."""
    root = etree.fromstring(NAMED_ENTITY.sub(" ", markup).encode(errors="replace"), XML)
    return "", [] if root is None else walk(root)


def markdown_blocks(markup: str) -> tuple[str, list[Block]]:
    """(title, blocks) of Markdown with front matter, directives and HTML in it."""
    front = FRONT_MATTER.match(markup)
    stated = TITLE_LINE.search(front.group(1)) if front else None
    _, blocks = html_blocks(MARKDOWN.render(DIRECTIVES.sub("", markup[front.end() :] if front else markup)))
    return (stated.group(1) if stated else ""), blocks
