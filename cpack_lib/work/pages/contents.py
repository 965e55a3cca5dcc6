"""What stands in a page: its headings, which become targets of links, and the text below each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import html as markup

HEADING = re.compile(r"<h([1-4])>(.*?)</h\1>", re.DOTALL)
ANCHORED = re.compile(r'<h([1-4]) id="([^"]*)">')


@dataclass(frozen=True)
class Section:
    """One heading of a page, and the words from there to the next one."""

    anchor: str
    level: int
    title: str
    text: str


def anchored(page: str) -> str:
    """The same HTML, each heading with an id that no other has."""
    taken: set[str] = set()

    def with_id(found: re.Match[str]) -> str:
        plain = re.sub(r"\W+", "-", words(found[2])).strip("-").lower() or "part"
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain}-{number}", number + 1
        taken.add(name)
        return f'<h{found[1]} id="{name}">{found[2]}</h{found[1]}>'

    return HEADING.sub(with_id, page)


def sections(page: str) -> Iterator[Section]:
    """The sections of HTML that `anchored` made, in order; what stands before the first heading is none."""
    _, *parts = ANCHORED.split(page)
    for level, anchor, rest in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        title, _, text = rest.partition(f"</h{level}>")
        yield Section(anchor, int(level), words(title), words(text))


def words(fragment: str) -> str:
    """The text of a piece of HTML on one line, formulas as they are read."""
    root = markup.fromstring(f"<div>{fragment}</div>")
    for part in root.xpath(".//style|.//script|.//annotation"):
        part.drop_tree()
    return " ".join(" ".join(root.itertext()).split())
