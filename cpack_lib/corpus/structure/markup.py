"""Markup as blocks: headings, lines of text and code, from HTML, Markdown and DocBook alike.

Markdown is read by markdown-it-py (CommonMark, so that HTML inside it survives), whatever has tags by lxml
(libxml2, which mends what is broken). trafilatura was tried and left out: of short Chinese pages it makes one
paragraph and loses the headings, which are half of our pairs.

Tables are kept, a row as one line with | between its cells, and so are lists, an item as one line: they hold
facts. Code is kept as blocks of its own, for whoever makes pairs to leave out.
"""

import re
from dataclasses import dataclass, field
from html import escape
from html.entities import html5

from lxml import etree
from markdown_it import MarkdownIt

HEADING, TEXT, CODE = "heading", "text", "code"
QUESTION, ANSWER, ACCEPTED = "question", "answer", "accepted"  # accepted: the answer that the asker chose
QUERY, PASSAGE = "query", "passage"
ABSTRACT, LEAD = "abstract", "lead"
LONGEST_BOLD_HEADING = 40  # characters of a line in bold that heads what follows
LONGEST_CELL = 100  # characters of a table's cell that is one value: its paragraphs are no lines
LINKED = 0.6  # share of a line's characters inside links that makes it a menu

TAGS = {  # of HTML, then of DocBook
    "skip": "head script style noscript template svg nav footer aside form button iframe select object "
    "info indexterm titleabbrev",
    "code": "pre listing programlisting screen literallayout synopsis methodsynopsis constructorsynopsis "
    "destructorsynopsis fieldsynopsis funcsynopsis cmdsynopsis classsynopsis",
    "cell": "td th entry",
    "line": "p div section article main header li ul ol dl dd tr table thead tbody caption blockquote br hr "
    "body figure figcaption address details summary "
    "para simpara refpurpose row listitem refsect1 note warning caution example",
}
SKIP, CODES, CELLS, LINES = (frozenset(names.split()) for names in TAGS.values())
HEADINGS = {**{f"h{level}": level for level in range(1, 7)}, "refname": 1, "title": 2, "dt": 6, "term": 6}
NOT_IN_VALUES = frozenset(HEADINGS) | {"table", "pre", "programlisting", "screen"}
BREAKS = LINES | CODES | frozenset(HEADINGS)
AROUND = re.compile(
    r"(^|[-_ ])(nav\w*|menu|breadcrumbs?|crumbs?|footer|side(bar)?|ads?|advert\w*|banner|promo\w*|comments?|"
    r"share|copyright|related|recommend\w*|toolbar|pager|pagination|votes?|vote(cell|count)|avatar|"
    r"user-?info|see-?also)([-_ ]|$)",
    re.I,
)
BEST = re.compile(
    r"(accepted|adopted|best)[-_ ]?(answer|reply)|(answer|reply)[-_ ](accepted|adopted|best)", re.I
)
REPLY = re.compile(
    r"(^|[-_ ])(answer|suggestedAnswer|reply)([-_ ]?(content|body|text|item|cell))?([-_ ]|$)", re.I
)
NAMES = ("class", "id", "role", "itemprop")  # attributes that say what an element is

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
SAFE = {"remove_comments": True, "remove_pis": True, "no_network": True}
HTML = etree.HTMLParser(encoding="utf-8", **SAFE)
XML = etree.XMLParser(recover=True, resolve_entities=False, **SAFE)
NAMED_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|apos|#\d+|#x[0-9a-fA-F]+);)([\w.:-]+);")
SECTIONS = {  # what the entities &reftitle.NAME; of PHP's manual stand for
    "intro": "简介",
    "description": "说明",
    "parameters": "参数",
    "returnvalues": "返回值",
    "errors": "错误／异常",
    "changelog": "更新日志",
    "examples": "示例",
    "notes": "注释",
}
POWER = re.compile(r"[-+−]?(\d+|[A-Za-z])")
CITED = re.compile(r"\s*[\[［【]\D{0,5}\d*\s?[\]］】]\s*")
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
    role: str = ""  # of the next line of text: the first one of an answer

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
            self.blocks.append(Block(self.role or TEXT, text))
            self.role = ""


def walk(root: etree._Element) -> list[Block]:
    """The blocks of a tree, in the order of the text, without menus, scripts and surroundings."""
    found, path, cell = Walk(), [], None
    steps = etree.iterwalk(root, events=("start", "end"))
    for event, element in steps:
        tag = element.tag.rpartition("}")[2].lower()
        if tag in BREAKS and cell is not None:
            found.line.append(" ")
        elif tag in BREAKS:
            found.end_line(path)
        if event == "end":
            path.pop()
            cell = None if element is cell else cell
            found.add(element.tail, path)
            continue
        if tag in CELLS:
            found.line.append(" | " if found.line else "")
            cell = element if cell is None and is_value(element) else cell
        path.append(tag)
        if is_around(element, tag):
            steps.skip_subtree()
            continue
        if tag in LINES and found.role != ACCEPTED:
            found.role = role_of(element) or found.role
        if tag == "sup" and is_power(element, found.line):
            found.line.append("^")
        found.add(element.text, path)
    found.end_line(path)
    return found.blocks


def is_value(cell: etree._Element) -> bool:
    """Whether a table's cell is one short value, and not a part of the page that a table was drawn around."""
    size = 0
    for text in cell.itertext():
        size += len(text.strip())
        if size > LONGEST_CELL:
            return False
    return not any(each.tag.rpartition("}")[2].lower() in NOT_IN_VALUES for each in cell.iter(etree.Element))


def names_of(element: etree._Element) -> list[str]:
    """What the author called an element."""
    return [element.get(name) or "" for name in NAMES]


def role_of(element: etree._Element) -> str:
    """ACCEPTED or ANSWER where an element is called so (schema.org's names too), else nothing."""
    if any(map(BEST.search, names_of(element))):
        return ACCEPTED
    return ANSWER if any(map(REPLY.search, names_of(element))) else ""


def is_power(element: etree._Element, line: list[str]) -> bool:
    """Whether what is raised is an exponent: 10<sup>5</sup> is 10^5, never 105."""
    base = line[-1][-1:] if line else ""
    return bool(POWER.fullmatch(element.text or "")) and base.isascii() and (base.isalnum() or base == ")")


def is_around(element: etree._Element, tag: str) -> bool:
    """Whether an element is no content: by its tag, or by the name its author gave it."""
    if tag in ("html", "body", "main", "article"):
        return False
    if tag == "sup" and CITED.fullmatch("".join(element.itertext())):
        return True
    return tag in SKIP or any(map(AROUND.search, names_of(element)))


def html_blocks(markup: str) -> tuple[str, list[Block]]:
    """(title, blocks) of HTML, however broken."""
    root = etree.fromstring(markup.encode(errors="replace"), HTML) if markup.strip() else None
    if root is None:
        return "", []
    title = root.find(".//head/title")
    return " ".join(((title is not None and title.text) or "").split()), walk(root)


def docbook_blocks(markup: str) -> tuple[str, list[Block]]:
    """(title, blocks) of DocBook XML; the title is the heading that comes before everything else."""
    root = etree.fromstring(NAMED_ENTITY.sub(entity, markup).encode(errors="replace"), XML)
    blocks = [] if root is None else walk(root)
    return (blocks[0].text if blocks and blocks[0].kind == HEADING else ""), blocks


def entity(found: re.Match) -> str:
    """HTML's entities as HTML has them, a section's title as one, a word as itself, no other."""
    name = found.group(1)
    if f"{name};" in html5:
        return escape(html5[f"{name};"])
    if name.startswith("reftitle.") and (title := SECTIONS.get(name.removeprefix("reftitle."))):
        return f"<title>{title}</title>"
    return name if name.isalpha() else " "


def markdown_blocks(markup: str) -> tuple[str, list[Block]]:
    """(title, blocks) of Markdown with front matter, directives and HTML in it."""
    front = FRONT_MATTER.match(markup)
    stated = TITLE_LINE.search(front.group(1)) if front else None
    _, blocks = html_blocks(MARKDOWN.render(DIRECTIVES.sub("", markup[front.end() :] if front else markup)))
    return (stated.group(1) if stated else ""), blocks
