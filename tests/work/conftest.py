"""What tests of pages share: headless Chromium, and a script beside the page that measures it."""

import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever asks for another host gets nothing
    "--virtual-time-budget=8000",
]
MEASURE = """
<iframe id="page" style="border:0;width:%dpx;height:3000px" srcdoc="%s"></iframe><pre id="found"></pre>
<script>
function drawn(view, character) {
  const canvas = view.createElement("canvas"); canvas.width = canvas.height = 40;
  const pen = canvas.getContext("2d");
  pen.font = "30px " + getComputedStyle(view.body).fontFamily;
  pen.fillText(character, 4, 32);
  return canvas.toDataURL();
}
function narrow(view) {  // Chinese lines whose glyphs are no squares: boxes were drawn instead
  const texts = view.createTreeWalker(view.body, NodeFilter.SHOW_TEXT), found = [];
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    if (!/^[\\u4E00-\\u9FFF]+$/.test(text.data)) continue;
    const range = view.createRange();
    range.selectNode(text);
    const wide = [...range.getClientRects()].reduce((sum, part) => sum + part.width, 0);
    const size = parseFloat(getComputedStyle(text.parentElement).fontSize);
    if (wide < 0.9 * size * text.data.length) found.push(text.data);
  }
  return found;
}
onload = async () => {
  const view = document.getElementById("page").contentDocument;
  await view.fonts.ready;
  for (const face of view.fonts) await face.load();
  const none = drawn(view, String.fromCodePoint(0x2FFFE));
  const chinese = [...new Set(view.body.innerText.match(/[\\u2E80-\\uD7FF\\uF900-\\uFFEF]/gu) || [])];
  document.getElementById("found").textContent = JSON.stringify({
    missing: chinese.filter(character => drawn(view, character) === none),
    chinese: chinese.length,
    narrow: narrow(view),
    broken: [...view.images].filter(image => !image.naturalWidth).map(image => image.alt),
    images: view.images.length,
    scripts: view.scripts.length,
    wide: view.documentElement.scrollWidth,
    text: view.body.innerText,
  });
};
</script>
"""


@pytest.fixture
def measure() -> Callable[[Path, int], dict]:
    """A measurer of pages; the test is skipped where there is no Chromium."""
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip("no chromium here: .ci/chromium installs it on Debian as root")
    return measured


def measured(page: Path, width: int) -> dict:
    """What the page is at this width, px: glyphs and images missing, its own width, its text."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder:
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
        text = text.replace("<head>", f'<head><base href="{page.parent.as_uri()}/">', 1)
        outer = Path(folder) / "outer.html"
        outer.write_text('<meta charset="utf-8">' + MEASURE % (width, html.escape(text)), "utf-8")
        command = [chromium, *OPTIONS, f"--user-data-dir={folder}/user", "--dump-dom", outer.as_uri()]
        environment = os.environ | {"HOME": folder}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=environment, check=True
        )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found[1], f"the page was not measured: {done.stderr[-2000:]}"
    return json.loads(html.unescape(found[1]))
