"""Promises of cpack_lib.work.pages.maps: the page in a browser, in a frame, and in the gallery."""

import json
import re
import time
from dataclasses import replace

import nbformat
import numpy as np
import pytest
from PIL import Image

from cpack_lib.work.pages.gallery import write_gallery
from cpack_lib.work.pages.maps import MOST_POINTS, Map, framed, linked_maps, taken_out
from tests.work.pointing import point_at, typed
from tests.work.test_gallery import assert_whole, cells

EVIL = "</script><script>alert(1)</script><!--<script>"
TEXTS = [f"第{number}句：{'北京烤鸭' if number % 3 else '西湖龙井茶'}怎么做？" for number in range(30)] + [
    EVIL
]
TOPICS, NAMED = ["菜" if number % 3 else "茶" for number in range(31)], ["茶", "菜"]
N = len(TEXTS)


def a_map(name, seed):
    """Places and neighbours by chance; row 0 always lies in a corner of its own."""
    draw = np.random.default_rng(seed)
    places = draw.uniform(0, 1, size=(N, 2))
    places[0] = (-2.0, -1.0)
    near = np.stack([draw.permutation([i for i in range(N) if i != row])[:10] for row in range(N)])
    return Map(name, places, near, np.sort(draw.uniform(size=(N, 10)))[:, ::-1], note="same topic: 50%")


MAPS = [a_map("before", 0), a_map("after", 1)]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("maps") / "map.html"
    path.write_text(linked_maps(TEXTS, TOPICS, MAPS, NAMED, "Linked maps"), "utf-8")
    return path


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_is_whole_readable_and_silent(page, measure, width):
    seen = measure(page, width)
    assert_whole(seen, page.parent, width)
    assert seen["chinese"] == 2 and seen["scripts"] == 1  # the topics; every other text waits to be asked for
    assert seen["text"].count("same topic: 50%") == 2


def test_pointing_at_a_text_shows_it_and_marks_it_on_every_map(page, tab):
    tab.open(page.as_uri(), 1400)
    point_at(tab, 0, 0)
    tab.wait("!document.getElementById('hover').hidden")
    assert tab.evaluate("document.getElementById('hover').innerText") == f"茶: {TEXTS[0]}"
    assert tab.evaluate("document.getElementById('chosen').innerText").split() == ["茶", TEXTS[0]]
    marked = """[...document.querySelectorAll('.map')].map(map => { const here = map.querySelector('.here'),
        own = map.querySelectorAll('.point')[0];
        return here.getAttribute('visibility') === 'visible'
            && here.getAttribute('cx') === own.getAttribute('cx')
            && here.getAttribute('cy') === own.getAttribute('cy'); })"""
    assert tab.evaluate(marked) == [True, True]
    listed = tab.evaluate(
        "[...document.querySelectorAll('.map ol')].map(list => [...list.children].map(e => e.innerText))"
    )
    for each, lines in zip(MAPS, listed, strict=True):
        told = zip(each.near[0], each.cosines[0], strict=True)
        assert lines == [
            f"{TEXTS[row][:40]}{'…' * (len(TEXTS[row]) > 40)}{cosine:.3f}" for row, cosine in told
        ]
    assert tab.errors == []


def test_a_click_keeps_a_text_until_escape(page, tab):
    tab.open(page.as_uri(), 1400)
    point_at(tab, 1, 0, "mousePressed", "mouseReleased")
    point_at(tab, 0, 5)
    chosen = "document.getElementById('text').innerText"
    assert tab.evaluate(chosen) == TEXTS[0]
    tab.press("Escape", 27)
    assert tab.evaluate(chosen) == ""
    point_at(tab, 0, 0)
    assert tab.evaluate(chosen) == TEXTS[0] and tab.errors == []


def test_search_marks_what_holds_all_words_and_lists_it(page, tab):
    tab.open(page.as_uri(), 400)
    typed(tab, "龙井 西湖")
    assert tab.evaluate("document.getElementById('count').innerText") == "10 of 31 texts"
    found = "[...document.querySelectorAll('.map')].map(map => map.querySelectorAll('.point.found').length)"
    assert tab.evaluate(found) == [10, 10]
    tab.click("document.querySelectorAll('#found button')[1]")
    assert tab.evaluate("document.getElementById('text').innerText") == TEXTS[3]
    typed(tab, "咖啡")
    assert tab.evaluate("document.getElementById('count').innerText") == "0 of 31 texts"
    typed(tab, " ")
    assert tab.evaluate(found) == [0, 0] and tab.evaluate("document.getElementById('count').innerText") == ""
    typed(tab, "ALERT")
    tab.click("document.querySelector('#found button')")
    assert tab.evaluate("document.getElementById('text').innerText") == EVIL and tab.errors == []


def test_every_text_has_its_glyphs_once_it_is_shown(page, tab, measure):
    tab.open(page.as_uri(), 1400)
    typed(tab, "怎么做")
    assert tab.evaluate("document.querySelectorAll('#found li').length") == 30
    checked = "document.fonts.check('16px \"cpack chinese\"', '西湖龙井茶北京烤鸭')"
    assert tab.wait(checked)


def test_places_keep_their_proportions_and_stand_upright():
    wide = replace(MAPS[0], places=np.stack([np.linspace(0, 4, N), np.linspace(0, 1, N)], axis=1))
    page = linked_maps(TEXTS, TOPICS, [wide], NAMED, "One")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert data["maps"][0]["size"] == [1000, 250]
    assert data["maps"][0]["places"][0] == [0, 250] and data["maps"][0]["places"][-1] == [1000, 0]
    assert data["texts"] == TEXTS


def test_texts_cannot_end_the_script_and_the_page_asks_nobody():
    page = linked_maps(TEXTS, TOPICS, MAPS, NAMED, "<b>Linked</b>")
    assert EVIL not in page and "<b>" not in page and page.count("</script>") == 2
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page) and "default-src 'none'" in page


@pytest.mark.parametrize(
    "change, said",
    [
        ({"topics": TOPICS[1:]}, "30 topics for 31 texts"),
        ({"topics": ["汤", *TOPICS[1:]]}, "no colour for the topic '汤'"),
        ({"named": ["茶", "菜", *"一二三四五六"]}, "8 topics for 7 colours"),
        ({"maps": []}, "0 maps of 31 texts"),
        ({"maps": [replace(MAPS[0], near=MAPS[0].near[1:])]}, r"map before has places \(31, 2\)"),
        ({"maps": [replace(MAPS[0], places=np.full((N, 2), np.nan))]}, "map before has NaN or infinity"),
        ({"texts": TEXTS * 100}, f"2 to {MOST_POINTS:,}"),
    ],
)
def test_what_does_not_fit_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        linked_maps(**{"texts": TEXTS, "topics": TOPICS, "maps": MAPS, "named": NAMED, "title": "x"} | change)


def test_a_frame_holds_the_page_and_gives_it_back():
    page = linked_maps(TEXTS, TOPICS, MAPS, NAMED, "Linked maps")
    output = framed(page, "Linked maps")._repr_html_()
    assert taken_out(output) == ("Linked maps", page)
    assert 'sandbox="allow-scripts"' in output and EVIL not in output
    assert taken_out("<table><tr><td>&lt;iframe</td></tr></table>") is None
    assert taken_out('<iframe src="https://example.org"></iframe>') is None
    assert taken_out('<iframe srcdoc="&lt;script&gt;1&lt;/script&gt;"></iframe>') is None  # no policy of ours


@pytest.fixture
def gallery(runs):
    """A run whose notebook shows the maps in a frame."""
    html = framed(linked_maps(TEXTS, TOPICS, MAPS, NAMED, "Linked maps"), "Linked maps")._repr_html_()
    shown = nbformat.v4.new_code_cell("framed(page)", execution_count=1)
    data = {"text/html": html, "text/plain": "Framed(…)"}
    shown.outputs = [nbformat.v4.new_output("execute_result", data=data, execution_count=1)]
    folder = runs / "demo/06_map_embeddings"
    folder.mkdir(parents=True)
    nbformat.write(cells(6, "Map", shown), folder / "06_map_embeddings.ipynb")
    return write_gallery("demo").parent


@pytest.mark.parametrize("width", [400, 1400])
def test_the_gallery_has_the_maps_as_a_page_and_a_link_to_it(gallery, measure, width):
    seen = measure(gallery / "06_map_embeddings.html", width)
    assert_whole(seen, gallery, width)
    assert "06_map_embeddings_page1.html" in seen["links"] and seen["scripts"] == 0
    assert "Open the page: Linked maps" in seen["text"] and "Framed" not in seen["text"]
    assert_whole(measure(gallery / "06_map_embeddings_page1.html", width), gallery, width)


def test_a_framed_page_runs_in_a_frame(page, tmp_path, tab):
    outside = tmp_path / "notebook.html"
    frame = framed(page.read_text("utf-8"), "Linked maps")._repr_html_()
    outside.write_text(f"<!doctype html><meta charset='utf-8'><body>{frame}</body>", "utf-8")
    tab.open(outside.as_uri(), 1400)
    until = time.monotonic() + 30
    while True:  # the frame is a process of its own: what its script drew can only be seen
        tab.picture(tmp_path / "seen.png")
        counts = Image.open(tmp_path / "seen.png").convert("RGB").getcolors(1 << 20)
        if (
            dict((colour, count) for count, colour in counts).get((0x00, 0x72, 0xB2), 0) > 400
        ):  # a legend has 100
            break
        assert time.monotonic() < until, "no point was drawn"
        time.sleep(0.2)
    assert tab.errors == [] and all(url.startswith(("file:", "data:", "about:")) for url in tab.requests)
