"""A run's executed notebooks as pages to read without Jupyter: runs/<run>/gallery/index.html."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import pass_context
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from cpack_lib.work.files import runs_folder
from cpack_lib.work.notebooks import opening
from cpack_lib.work.pages import standalone

SCRIPTED = ["application/javascript", "application/vnd.jupyter.widget-view+json"]


class Formulas(IPythonRenderer):
    """Markdown whose formulas become MathML, so that no script has to draw them."""

    def inline_math(self, body: str) -> str:
        """LaTeX between single dollars."""
        return convert(body)

    def block_math(self, body: str) -> str:
        """LaTeX between double dollars."""
        return convert(body, display="block")


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
    entries = []
    for copy in copies:
        entry = describe(copy)
        page = standalone.render("notebook.html", run=run, title=entry["title"], **body(copy))
        (folder / entry["page"]).write_text(page, "utf-8")
        entries.append(entry)
    (folder / "index.html").write_text(standalone.render("index.html", run=run, entries=entries), "utf-8")
    return folder / "index.html"


def describe(copy: Path) -> dict[str, str]:
    """One line of the index: title and question of the first cell, and whether the run is finished."""
    finished = (copy.parent / "manifest.json").exists()
    first = opening(copy)
    return {
        "page": f"{copy.stem}.html",
        "title": f"{first.number} · {first.title}",
        "question": first.question,
        "state": "" if finished else "not finished",
    }


def body(copy: Path) -> dict[str, Markup]:
    """The cells of an executed notebook, and the colours of its code."""
    exporter = Pages(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    notebook = for_reading(nbformat.read(copy, as_version=4))
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"path": str(copy.parent)}})
    colours = HtmlFormatter(style="friendly", nobackground=True).get_style_defs(".highlight")
    return {"body": Markup(html), "code_style": Markup(colours)}


def for_reading(notebook: NotebookNode) -> NotebookNode:
    """The notebook with links to its neighbours leading to their pages, and scripted outputs left out."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\((\d\d_\w+)\.ipynb\)", r"(\1.html)", cell.source)
        for output in cell.get("outputs", []):
            for kind in SCRIPTED:
                output.get("data", {}).pop(kind, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    return notebook
