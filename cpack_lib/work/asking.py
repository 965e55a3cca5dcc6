"""A box to type questions into, for a notebook with a person in front of it; in batch nobody types."""

from collections.abc import Callable, Sequence
from html import escape

from ipywidgets import HTML, HBox, Layout, Text, VBox

MOST_LETTERS = 140  # of an answer shown; the rest is cut
Find = Callable[[str], Sequence[tuple[str, float]]]


def search_box(find: Find, question: str, examples: Sequence[str]) -> HBox:
    """A line for a question, what `find` answers to it below, and a list of examples beside it.

    `find` gives texts with their cosines, best first; it is asked once now, and whenever Enter is pressed.
    On a narrow screen the examples move below. Nothing in a text is taken for HTML.
    """
    line = Text(value=question, placeholder="问点什么", continuous_update=False, layout=Layout(width="98%"))
    answers = HTML(told(find, question))
    line.observe(lambda change: setattr(answers, "value", told(find, change["new"])), names="value")
    asking = VBox([line, answers], layout=Layout(flex="1 1 24rem"))
    listed = "".join(f"<li>{escape(example)}</li>" for example in examples)
    beside = HTML(f"<p>or one of these:</p><ul>{listed}</ul>", layout=Layout(flex="0 1 20rem"))
    return HBox([asking, beside], layout=Layout(flex_flow="row wrap"))


def told(find: Find, question: str) -> str:
    """A question and its answers as HTML; of an empty question, that one is missing."""
    if not question.strip():
        return "<p>Type a question and press Enter.</p>"
    rows = "".join(
        f"<li>{escape(shortened(text))} <small>{cosine:.2f}</small></li>" for text, cosine in find(question)
    )
    return f'<p><b class="asked">{escape(question)}</b></p><ol class="found">{rows}</ol>'


def shortened(text: str) -> str:
    """A text on one line, cut after MOST_LETTERS."""
    flat = " ".join(text.split())
    return flat if len(flat) <= MOST_LETTERS else flat[:MOST_LETTERS] + "…"
