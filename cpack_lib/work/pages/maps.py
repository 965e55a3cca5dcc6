"""Linked maps of texts: one page with the same points under several encoders, to hover, select and search.

The page needs nothing but itself. A notebook shows it in a frame (`framed`), and the gallery, whose pages run
no scripts of a notebook, makes a page of its own of what stands in a frame (`taken_out`).

Axes: N texts, k neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from lxml import html as markup

from cpack_lib.work.figures import OKABE_ITO
from cpack_lib.work.pages import standalone

MOST_POINTS = 2_000  # of a map: each is an element of the page
SIDE = 1_000  # units of a map's longer side


@dataclass(frozen=True)
class Map:
    """One encoder's map: places (N, 2) on the plane, and of each text its nearest in the full space.

    `near` (N, k) are rows, the nearest first, and `cosines` (N, k) theirs. `note` stands below the name.
    """

    name: str
    places: np.ndarray
    near: np.ndarray
    cosines: np.ndarray
    note: str = ""


def linked_maps(
    texts: Sequence[str], topics: Sequence[str], maps: Sequence[Map], named: Sequence[str], title: str
) -> str:
    """A page of HTML with a map for each encoder; texts (N,), the topic (N,) of each, `named` all topics.

    Topics take the colours of OKABE_ITO in the order of `named`. ValueError for maps of other texts, topics
    without a colour, and more points than a page bears.
    """
    check(texts, topics, named, maps)
    data = {
        "texts": list(texts),
        "topics": [list(named).index(topic) for topic in topics],
        "maps": [as_data(each) for each in maps],
    }
    script, script_hash = standalone.script("maps.js")
    return standalone.render(
        "maps.html",
        title=title,
        topics=list(zip(named, OKABE_ITO, strict=False)),
        data=standalone.data_block(data),
        script=script,
        script_hash=script_hash,
    )


def check(texts: Sequence[str], topics: Sequence[str], named: Sequence[str], maps: Sequence[Map]) -> None:
    """ValueError unless everything is about the same texts, and not about too many."""
    N = len(texts)
    if not maps or not 2 <= N <= MOST_POINTS:
        raise ValueError(f"{len(maps)} maps of {N:,} texts; give one map or more, of 2 to {MOST_POINTS:,}")
    if len(topics) != N:
        raise ValueError(f"{len(topics)} topics for {N} texts; each text needs one")
    if len(named) > len(OKABE_ITO):
        raise ValueError(f"{len(named)} topics for {len(OKABE_ITO)} colours; show the most frequent ones")
    if strange := set(topics) - set(named):
        raise ValueError(f"no colour for the topic {min(strange)!r}; name it, or leave out its texts")
    for each in maps:
        shapes = each.places.shape, each.near.shape, each.cosines.shape
        if shapes[0] != (N, 2) or len(shapes[1]) != 2 or shapes[1][0] != N or shapes[2] != shapes[1]:
            raise ValueError(
                f"map {each.name} has places {shapes[0]}, neighbours {shapes[1]} and cosines {shapes[2]}; "
                f"of {N} texts it has to be ({N}, 2), ({N}, k) and ({N}, k)"
            )
        if not np.isfinite(each.places).all():
            raise ValueError(f"map {each.name} has NaN or infinity among its places; draw it again")


def as_data(one: Map) -> dict[str, object]:
    """A map as JSON: places as whole numbers up to SIDE in a box that keeps proportions, y upwards."""
    low, high = one.places.min(axis=0), one.places.max(axis=0)
    units = (one.places - low) * (SIDE / max((high - low).max(), 1e-9))  # (N, 2)
    units[:, 1] = units[:, 1].max() - units[:, 1]
    return {
        "name": one.name,
        "note": one.note,
        "size": np.rint(units.max(axis=0)).astype(int).tolist(),
        "places": np.rint(units).astype(int).tolist(),
        "near": one.near.tolist(),
        "cosines": np.round(one.cosines.astype(np.float64), 3).tolist(),
    }


@dataclass(frozen=True)
class Framed:
    """A page within a notebook's output: it runs in a frame of its own and reaches nothing around it."""

    page: str = field(repr=False)
    title: str
    height: int  # px

    def _repr_html_(self) -> str:
        frame = f'<iframe title="{escape(self.title)}" sandbox="allow-scripts" width="100%"'
        return f'{frame} height="{self.height}" style="border:0" srcdoc="{escape(self.page)}"></iframe>'


def framed(page: str, title: str, height: int = 900) -> Framed:
    """What a notebook's cell ends with to show a page."""
    return Framed(page, title, height)


def taken_out(output: str) -> tuple[str, str] | None:
    """Title and page of an output that is a frame with a page of ours; None for any other HTML."""
    if not output.lstrip().startswith("<iframe"):
        return None
    frame = markup.fragment_fromstring(output.strip())
    page = frame.get("srcdoc", "")
    return (frame.get("title", "page"), page) if standalone.POLICY in page else None
