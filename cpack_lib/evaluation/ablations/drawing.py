"""Figures of a sweep: a panel for each type of task, seeds as dots, the paper's own curve beside ours.

Everything is drawn as points gained over one place of the same axis. The paper's models, pairs and sets are
others, so that its curve is drawn grey, and tells a direction.
"""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpack_lib.evaluation.ablations.spread import summed_up
from cpack_lib.evaluation.ablations.tables import types_of
from cpack_lib.work.figures import OKABE_ITO, plain_ticks

PAPER = {"color": "grey", "linestyle": "--", "marker": "s", "markersize": 4, "linewidth": 1.2}
COLUMNS = 4  # of panels
LOOKS = [(colour, marker) for marker in "o^s" for colour in OKABE_ITO]  # of as many series
FAR = 5  # costs that differ by more are drawn on a logarithmic axis


def draw_types(
    scores: pl.DataFrame,
    column: str,
    label: str,
    *,
    series: str = "",
    published: pl.DataFrame | None = None,
    paper: str = "",
    ticks: Sequence[float] = (),
) -> Figure:
    """Gains (column, seed, type, score) as curves with bands; `series`: a column with a line for each value.

    `published` (column, type, score) is the paper's curve, `paper` what its line is called.
    """
    kinds = types_of(scores)
    rows = -(-(len(kinds) + 1) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(9.6, 2.5 * rows), squeeze=False)
    for ax, kind in zip(axes.flat, kinds, strict=False):
        of_kind = scores.filter(pl.col("type") == kind)
        groups = of_kind.group_by(series, maintain_order=True) if series else [(("ours",), of_kind)]
        for colour, ((name,), group) in zip(OKABE_ITO, groups, strict=False):
            draw_seeds(ax, group, column, str(name), colour)
        theirs = published.filter(pl.col("type") == kind) if published is not None else None
        if theirs is not None:
            ax.plot(theirs[column], theirs["score"], label=paper, **PAPER)
        ax.axhline(0, color="black", linewidth=0.6)
        set_limits(ax, of_kind, theirs)
        ax.set_xscale("log")
        plain_ticks(ax.xaxis, list(ticks) or sorted(of_kind[column].unique()))
        ax.tick_params(axis="x", labelsize=7, rotation=45)
        ax.set_title(kind, fontsize=9)
    for ax in axes.flat[len(kinds) :]:
        ax.set_axis_off()
    axes.flat[len(kinds)].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", fontsize=8)
    figure.supxlabel(label, fontsize=9)
    figure.supylabel("points gained", fontsize=9)
    figure.tight_layout()
    return figure


def draw_seeds(ax: Axes, scores: pl.DataFrame, column: str, name: str, colour: str) -> None:
    """Seeds as dots, their mean as a line, Student's interval of it as a band."""
    found = summed_up(scores.sort(column), [column])
    ax.plot(scores[column], scores["score"], ".", color=colour, markersize=4, alpha=0.6)
    ax.plot(found[column], found["mean"], color=colour, label=name)
    ax.fill_between(found[column], found["low"], found["high"], color=colour, alpha=0.13, linewidth=0)


def set_limits(ax: Axes, scores: pl.DataFrame, published: pl.DataFrame | None) -> None:
    """A y-axis that holds all dots; bands of three seeds may be wider, and are cut."""
    values = [scores["score"]] + ([published["score"]] if published is not None else [])
    low, high = min(each.min() for each in values), max(each.max() for each in values)
    margin = 0.15 * max(high - low, 0.5)
    ax.set_ylim(min(low, 0) - margin, max(high, 0) + margin)


def draw_effects(
    ax: Axes, found: pl.DataFrame, of: str, *, shift: float = 0.0, colour: str = OKABE_ITO[0]
) -> None:
    """Effects (of, mean, low, high) as dots with their intervals, one below the other; `shift` parts two."""
    height = -np.arange(len(found)) + shift
    ax.hlines(height, found["low"], found["high"], color=colour, linewidth=1.6)
    ax.plot(found["mean"], height, "o", color=colour, markersize=4)
    ax.axvline(0, color="black", linewidth=0.6)
    ax.set_yticks(-np.arange(len(found)), found[of].to_list())
    ax.grid(axis="y", visible=False)


def draw_costs(scores: pl.DataFrame, costs: Sequence[tuple[str, str]], series: str = "") -> Figure:
    """Scores against what they cost, a panel for each of `costs`: its column and its label."""
    figure, axes = plt.subplots(1, len(costs), figsize=(3.1 * len(costs), 2.8), sharey=True, squeeze=False)
    for ax, (cost, label) in zip(axes[0], costs, strict=True):
        groups = scores.group_by(series, maintain_order=True) if series else [(("",), scores)]
        for (colour, marker), ((name,), group) in zip(LOOKS, groups, strict=False):
            ax.plot(
                group[cost], group["score"], marker, color=colour, markersize=4, alpha=0.75, label=str(name)
            )
        if scores[cost].max() > FAR * scores[cost].min():
            ax.set_xscale("log")
            plain_ticks(ax.xaxis, round_numbers(scores[cost].min(), scores[cost].max()))
        ax.set_xlabel(label)
    if series:
        axes[0, -1].legend(fontsize=8)
    figure.tight_layout()
    return figure


def round_numbers(least: float, most: float) -> list[float]:
    """Powers of ten and their halves and fifths within the bounds; powers alone where they are far apart."""
    tens = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    steps = (1, 2, 5) if most < 100 * least else (1,)
    return [each for ten in tens for step in steps if least <= (each := step * 10.0**ten) <= most]
