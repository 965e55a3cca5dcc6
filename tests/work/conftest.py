"""What tests of pages share: headless Chromium, and a script that measures the page it shows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.work.browser import Tab, browser, chromium

MEASURE = """
(async () => {
function drawn(character) {
  const canvas = document.createElement("canvas"); canvas.width = canvas.height = 40;
  const pen = canvas.getContext("2d");
  pen.font = "30px " + getComputedStyle(document.body).fontFamily;
  pen.fillText(character, 4, 32);
  return canvas.toDataURL();
}
function* texts() {  // text that is seen, formulas apart
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const parent = text.parentElement;
    if (text.data.trim() && parent.checkVisibility() && !parent.closest("math, script, style")) yield text;
  }
}
function narrow() {  // Chinese lines whose glyphs are no squares: boxes were drawn instead
  const found = [];
  for (const text of texts()) {
    if (!/^[\\u4E00-\\u9FFF]+$/.test(text.data)) continue;
    const range = document.createRange();
    range.selectNode(text);
    const wide = [...range.getClientRects()].reduce((sum, part) => sum + part.width, 0);
    const size = parseFloat(getComputedStyle(text.parentElement).fontSize);
    if (wide < 0.9 * size * text.data.length) found.push(text.data);
  }
  return found;
}
const size = element => parseFloat(getComputedStyle(element).fontSize);
await document.fonts.ready;
for (const face of document.fonts) await face.load();
const none = drawn(String.fromCodePoint(0x2FFFE));
const chinese = [...new Set(document.body.innerText.match(/[\\u2E80-\\uD7FF\\uF900-\\uFFEF]/gu) || [])];
return {
  missing: chinese.filter(character => drawn(character) === none),
  chinese: chinese.length,
  narrow: narrow(),
  broken: [...document.images].filter(image => !image.naturalWidth).map(image => image.alt),
  images: document.images.length,
  scripts: [...document.scripts].filter(script => !script.type.endsWith("json")).length,
  wide: document.documentElement.scrollWidth,
  smallest: Math.min(...[...texts()].map(text => size(text.parentElement))),
  prose: Math.min(...[...document.querySelectorAll("main p:not([class])")].map(size)),
  links: [...document.links].map(link => link.getAttribute("href")),
  lost: [...document.links].map(link => link.getAttribute("href")).filter(
    way => way.startsWith("#") && !document.getElementById(decodeURIComponent(way.slice(1)))),
  text: document.body.innerText,
};
})()
"""


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    """One page of one Chromium for a module's tests; they are skipped where there is none."""
    if not chromium():
        pytest.skip("no chromium here: .ci/chromium installs it on Debian as root")
    with browser() as page:
        yield page


@pytest.fixture
def measure(tab: Tab) -> Callable[[Path, int], dict]:
    """A measurer of pages: at this width, px, what is missing or too small, errors, and other hosts asked."""

    def measured(page: Path, width: int) -> dict:
        tab.open(page.as_uri(), width)
        found = tab.evaluate(MEASURE)
        foreign = [url for url in tab.requests if not url.startswith(("file:", "data:"))]
        return found | {"errors": list(tab.errors), "foreign": foreign}

    return measured
