"""A run's executed notebooks as pages to read without Jupyter: runs/<run>/gallery/index.html."""

import base64
import io
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import pass_context
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image
from pygments.formatters import HtmlFormatter

from cpack_lib.work.files import runs_folder
from cpack_lib.work.notebooks import opening
from cpack_lib.work.pages import standalone
from cpack_lib.work.pages.contents import anchored, sections
from cpack_lib.work.pages.maps import taken_out

SCRIPT, WIDGET = "application/javascript", "application/vnd.jupyter.widget-view+json"
IN_PLACE = "*Here JupyterLab shows something to be used: a box to type into, a slider, a bar.*"
THUMBNAIL = 320  # pixels wide
LINK = re.compile(r"\[([^\]]*)\]\((\d\d_\w+)\.ipynb\)")


class Formulas(IPythonRenderer):
    """Markdown whose formulas become MathML, so that no script has to draw them."""

    def inline_math(self, body: str) -> str:
        """LaTeX between single dollars."""
        return convert(body)

    def block_math(self, body: str) -> str:
        """LaTeX between double dollars; on a phone a long one scrolls by itself."""
        return f'<div class="scroll">{convert(body, display="block")}</div>'


class Pages(HTMLExporter):
    """Notebook -> HTML with such formulas, and local images inside."""

    @pass_context
    def markdown2html(self, context: Mapping[str, Any], source: str) -> str:
        """Markdown -> HTML."""
        path = context["resources"]["metadata"]["path"]
        renderer = Formulas(escape=False, embed_images=True, path=path, exclude_anchor_links=True)
        return MarkdownWithMath(renderer=renderer).render(source)


def write_gallery(run: str) -> Path:
    """Write a page for each executed notebook of a run, and an index; ValueError where there is none."""
    copies = [
        path for path in sorted((runs_folder() / run).glob("*/*.ipynb")) if path.stem == path.parent.name
    ]
    if not copies:
        raise ValueError(
            f"there are no executed notebooks in {runs_folder() / run}; `cpack run {run}` makes them"
        )
    folder = runs_folder() / run / "gallery"
    folder.mkdir(exist_ok=True)
    entries = [describe(copy) for copy in copies]
    names, texts = {copy.stem for copy in copies}, []
    for before, copy, entry, after in zip(
        [None, *entries], copies, entries, [*entries[1:], None], strict=False
    ):
        notebook = nbformat.read(copy, as_version=4)
        for name, framed in pages_of_their_own(notebook, copy.stem).items():
            (folder / name).write_text(framed, "utf-8")
        inside = body(notebook, copy.parent, names)
        parts = list(sections(inside["body"]))
        texts += [asdict(part) | {"page": entry["page"], "notebook": entry["title"]} for part in parts]
        ways = {"before": before, "after": after, "contents": [part for part in parts if part.level > 1]}
        page = standalone.render("notebook.html", run=run, title=entry["title"], **ways, **inside)
        (folder / entry["page"]).write_text(page, "utf-8")
    (folder / "index.html").write_text(index(run, entries, texts), "utf-8")
    return folder / "index.html"


def index(run: str, entries: list[dict[str, str]], texts: list[dict[str, Any]]) -> str:
    """The page that lists the notebooks, and finds words in all of them."""
    script, script_hash = standalone.script("search.js")
    searched = {"sections": standalone.data_block(texts), "script": script, "script_hash": script_hash}
    return standalone.render("index.html", run=run, entries=entries, **searched)


def describe(copy: Path) -> dict[str, str]:
    """One line of the index: title and question of the first cell, whether it is finished, a small figure."""
    finished = (copy.parent / "manifest.json").exists()
    first = opening(copy)
    return {
        "page": f"{copy.stem}.html",
        "title": f"{first.number} · {first.title}",
        "question": first.question,
        "state": "" if finished else "not finished",
        "thumbnail": thumbnail(nbformat.read(copy, as_version=4)),
    }


def thumbnail(notebook: NotebookNode) -> str:
    """The last figure of a notebook, made small, as a data URI; empty where it has none."""
    outputs = chain.from_iterable(cell.get("outputs", []) for cell in notebook.cells)
    figures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    if not figures:
        return ""
    image, small = Image.open(io.BytesIO(base64.b64decode(figures[-1]))), io.BytesIO()
    image.thumbnail((THUMBNAIL, image.height))
    image.save(small, format="png")
    return standalone.data_uri(small.getvalue(), "image/png")


def pages_of_their_own(notebook: NotebookNode, stem: str) -> dict[str, str]:
    """File name -> page, of each page that an output shows in a frame; in its place stands a link to it."""
    found: dict[str, str] = {}
    for output in chain.from_iterable(cell.get("outputs", []) for cell in notebook.cells):
        if framed := taken_out(output.get("data", {}).get("text/html", "")):
            title, page = framed
            name = f"{stem}_page{len(found) + 1}.html"
            found[name] = page
            output["data"] = NotebookNode({"text/markdown": f"[Open the page: {title}]({name})"})
    return found


def body(notebook: NotebookNode, folder: Path, names: Collection[str]) -> dict[str, Markup]:
    """The cells of an executed notebook, and the colours of its code; `names` are those that have pages."""
    exporter = Pages(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    html, _ = exporter.from_notebook_node(for_reading(notebook, names), {"metadata": {"path": str(folder)}})
    colours = HtmlFormatter(style="friendly", nobackground=True).get_style_defs(".highlight")
    return {"body": Markup(anchored(html)), "code_style": Markup(colours)}


def for_reading(notebook: NotebookNode, names: Collection[str]) -> NotebookNode:
    """The notebook with links to other notebooks leading to their pages, and without what needs scripts.

    A link to a notebook without a page becomes its plain title; in the place of a widget stands a sentence.
    """

    def relinked(text: str) -> str:
        return LINK.sub(lambda to: f"[{to[1]}]({to[2]}.html)" if to[2] in names else to[1], text)

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relinked(cell.source)
        if cell.cell_type == "code":
            for output in cell.outputs:
                data = output.get("data", {})
                data.pop(SCRIPT, None)
                if WIDGET in data:
                    output["data"] = NotebookNode({"text/markdown": IN_PLACE})
                elif "text/markdown" in data:
                    data["text/markdown"] = relinked(data["text/markdown"])
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    return notebook
