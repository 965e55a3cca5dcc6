"""What a person does on a page of linked maps, in a tab or in a frame of it."""

import json

from tests.work.browser import Tab


def point_at(tab: Tab, view: int, row: int, *kinds: str) -> None:
    """Move the pointer to a text on one of the maps; press and release with ("mousePressed", …)."""
    place = f"""(() => {{ const mark = document.querySelectorAll('.map svg')[{view}]
        .querySelectorAll('.point')[{row}]; mark.scrollIntoView({{block: 'center'}});
        const box = mark.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
    x, y = tab.evaluate(place)
    for kind in ("mouseMoved", *kinds):
        tab.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def typed(tab: Tab, words: str) -> None:
    """Put words into the line of the search."""
    tab.evaluate(f"""(() => {{ const line = document.getElementById('search');
        line.value = {json.dumps(words)}; line.dispatchEvent(new Event('input')); }})()""")
