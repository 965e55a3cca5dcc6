"""The notebooks as files: what their first cell says, and what a script writes into them.

A first cell reads `# 4 · Contrast pairs`, the question in one sentence, what the reader will be able to do,
`*Needs* ...` and `*Makes* ...`. Its last line, the way to the neighbours, is written by `tidy`.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

TITLE = re.compile(r"# (\d+) · (.+)")
NAVIGATION = re.compile(r"\n*^(← \[.*|\[.*\) →)$\s*\Z", re.MULTILINE)
PART = r"\*{1,2}%s:?\*{1,2}:?\s*(.+?)(?=\*{1,2}(?:Needs|Makes):?\*{1,2}|\n\s*\n|\Z)"
BEGIN, END = "<!-- {0}: written by `cpack tidy` -->", "<!-- end of {0} -->"  # of a table in README


@dataclass(frozen=True)
class Opening:
    """What the first cell of a notebook says."""

    path: Path
    number: int
    title: str
    question: str
    needs: str
    makes: str


def notebook_paths(home: Path) -> list[Path]:
    """The notebooks in the order of their numbers."""
    return sorted((home / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def opening(path: Path) -> Opening:
    """The parts of a first cell; ValueError names the part that is missing."""
    cell = nbformat.read(path, as_version=4).cells[0]
    text = NAVIGATION.sub("", cell.source) + "\n\n"
    title = TITLE.match(text)
    if cell.cell_type != "markdown" or not title or int(title[1]) != int(path.stem[:2]):
        raise ValueError(f"{path.name}: the first cell must open with `# {int(path.stem[:2])} · Title`")
    question = re.search(r"[^\n.*>]*\?", text[title.end() :])
    needs, makes = (re.search(PART % part, text, re.DOTALL) for part in ("Needs", "Makes"))
    for part, found in (("question", question), ("*Needs* ...", needs), ("*Makes* ...", makes)):
        if not found:
            raise ValueError(f"{path.name}: the first cell has no {part}")
    return Opening(path, int(title[1]), title[2].strip(), question[0].strip(), flat(needs[1]), flat(makes[1]))


def flat(text: str) -> str:
    """Text on one line, for a cell of a table."""
    return " ".join(text.split()).replace("|", r"\|").strip(" ·:;.")


def tidy(home: Path) -> list[Path]:
    """Empty every notebook and solution, write navigation and README's table; the files that changed."""
    solutions = sorted((home / "notebooks" / "solutions").glob("*.ipynb"))
    changed = write({path: cleaned(path) for path in [*notebook_paths(home), *solutions]})
    return list(dict.fromkeys(changed + write(linked(home))))


def code_blocks(page: Path) -> list[str]:
    """The blocks of Python in a page of Markdown, in their order."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def write(texts: dict[Path, str]) -> list[Path]:
    """Write each text where the file says something else; those files."""
    changed = [path for path, text in texts.items() if path.read_text("utf-8") != text]
    for path in changed:
        path.write_text(texts[path], "utf-8")
    return changed


def cleaned(path: Path) -> str:
    """What the file of a notebook should hold: no outputs, no counts, its cells in a fixed spelling."""
    return nbformat.writes(emptied(nbformat.read(path, as_version=4))) + "\n"


def linked(home: Path) -> dict[Path, str]:
    """What the notebooks and README should hold, with navigation and table as the first cells now say."""
    openings = [opening(path) for path in notebook_paths(home)]
    readme = (home / "README.md").read_text("utf-8")
    readme = with_table(readme, "notebooks", notebook_rows(openings))
    texts = {home / "README.md": with_table(readme, "results", result_rows(home))}
    for before, here, after in zip([None, *openings], openings, [*openings[1:], None], strict=False):
        notebook = nbformat.read(here.path, as_version=4)
        notebook.cells[0].source = navigated(notebook.cells[0].source, before, after)
        texts[here.path] = nbformat.writes(notebook) + "\n"
    return texts


def emptied(notebook: NotebookNode) -> NotebookNode:
    """The notebook without outputs, counts and what an editor or a run noted in it."""
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = NotebookNode({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def navigated(source: str, before: Opening | None, after: Opening | None) -> str:
    """A first cell with the way to its neighbours as its last line."""
    back = f"← [{before.number} · {before.title}]({before.path.name})" if before else ""
    on = f"[{after.number} · {after.title}]({after.path.name}) →" if after else ""
    line = " | ".join(way for way in (back, on) if way)
    return NAVIGATION.sub("", source).rstrip() + (f"\n\n{line}" if line else "")


def notebook_rows(openings: list[Opening]) -> list[str]:
    """A table with one row per notebook."""
    rows = ["| notebook | question | needs | makes |", "|---|---|---|---|"]
    for row in openings:
        link = f"[{row.number:02} · {row.title}](notebooks/{row.path.name})"
        rows.append(f"| {link} | {row.question} | {row.needs} | {row.makes} |")
    return rows


def result_rows(home: Path) -> list[str]:
    """A table with one row per measured result."""
    rows = ["| figures | what was measured | again by |", "|---|---|---|"]
    for path in sorted((home / "results").glob("*.json")):
        found = json.loads(path.read_text("utf-8"))
        rows.append(f"| [{path.stem}](results/{path.name}) | {flat(found['what'])} | `{found['command']}` |")
    return rows


def with_table(readme: str, name: str, rows: list[str]) -> str:
    """README with a table between its two markers."""
    first, last = BEGIN.format(name), END.format(name)
    head, begin, rest = readme.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"README.md has lost a marker; it needs the lines {first} and {last}")
    return "\n".join([head + begin, *rows, end + tail])
