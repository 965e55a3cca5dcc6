"""Pages that need nothing but themselves: styles, pictures and the Chinese glyphs they use, all inside."""

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import jinja2
from fontTools import subset
from markupsafe import Markup

from cpack_lib.work.figures import packaged_font

TEMPLATES = Path(__file__).with_name("templates")
KINDS = {".png": "image/png", ".svg": "image/svg+xml", ".woff": "font/woff"}
POLICY = """<meta http-equiv="Content-Security-Policy" content="default-src 'none';"""  # of every page.html
FIRST_CHINESE = 0x2E80  # CJK radicals; everything from here on comes from the embedded font


def render(template: str, **values: object) -> str:
    """A page from templates/, every value escaped, with the Chinese glyphs it uses embedded."""
    files = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=files, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template(template).render(values | {"style": style()})
    return page.replace("/* chinese glyphs */", font_face(page), 1)


def style() -> Markup:
    """The style sheet, as it is."""
    return Markup((TEMPLATES / "style.css").read_text("utf-8"))


def script(name: str) -> tuple[Markup, str]:
    """A script of templates/ as it is, and its hash: a page's policy lets that one run and no other."""
    text = (TEMPLATES / name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"sha256-{digest}"


def data_block(value: Any) -> Markup:
    """A value as JSON that may stand within <script>: nothing in it can end the element."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def font_face(text: str) -> str:
    """A CSS @font-face with the glyphs for the Chinese in `text`; empty where it has none."""
    wanted = sorted({ord(character) for character in text if ord(character) >= FIRST_CHINESE})
    if not wanted:
        return ""
    options = subset.Options(flavor="woff", layout_features=[], hinting=False, notdef_outline=True)
    font = subset.load_font(packaged_font(), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=wanted)
    subsetter.subset(font)
    file = io.BytesIO()
    subset.save_font(font, file, options)
    source = data_uri(file.getvalue(), "font/woff")
    face = f'font-family: "cpack chinese"; src: url({source}) format("woff")'
    return f"@font-face {{ {face}; unicode-range: U+{FIRST_CHINESE:X}-10FFFF; }}"


def picture(path: Path) -> str:
    """An image file as a data URI."""
    return data_uri(path.read_bytes(), KINDS[path.suffix])


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
