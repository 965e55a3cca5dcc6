"""One quiet figure style, with Chinese glyphs from a system font or the open font that mplfonts packages."""

import importlib.util
from pathlib import Path

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from cpack_lib.work.tables import use_tables

OKABE_ITO = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]  # colour-blind safe
CHINESE_FONTS = [
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
]
PACKAGED_FONT = "NotoSansCJKsc-Regular.otf"  # SIL Open Font Licence
PROBE = "汉语龘"  # common and rare: a font without one of these is no Chinese font
STYLE = {
    "figure.figsize": (5.5, 3.2),
    "figure.dpi": 110,
    "savefig.bbox": "tight",
    "svg.fonttype": "none",
    "svg.hashsalt": "cpack",
    "axes.prop_cycle": cycler(color=OKABE_ITO),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.8,
    "font.size": 10,
    "legend.frameon": False,
}


def use_style() -> None:
    """Set the style, add a Chinese font behind the Latin one, and show tables as `tables` writes them."""
    use_tables()
    plt.rcParams.update(STYLE | {"font.family": ["DejaVu Sans", chinese_font()]})


def chinese_font() -> str:
    """The family name of a font with Chinese glyphs: an installed one, else the packaged one."""
    installed = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    for name in CHINESE_FONTS:
        if name in installed and has_chinese(Path(installed[name])):
            return name
    path = packaged_font()
    font_manager.fontManager.addfont(path)
    return font_manager.FontProperties(fname=path).get_name()


def packaged_font() -> Path:
    """The font file inside the package mplfonts, found without importing it: its import changes settings."""
    package = importlib.util.find_spec("mplfonts")
    path = Path(package.submodule_search_locations[0]) / "fonts" / PACKAGED_FONT if package else None
    if path is None or not has_chinese(path):
        raise RuntimeError(
            f"no font with Chinese glyphs: install one of {', '.join(CHINESE_FONTS)}, or pip install mplfonts"
        )
    return path


def has_chinese(path: Path) -> bool:
    """Whether the font file holds every character of the probe."""
    if not path.is_file():
        return False
    font = FT2Font(str(path))
    return all(font.get_char_index(ord(character)) for character in PROBE)


def label_lines(ax: Axes) -> None:
    """Write each line's name at its right end, in its colour: no legend to decode."""
    for line in ax.get_lines():
        x, y = line.get_data()
        if len(x) and not line.get_label().startswith("_"):
            place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
            ax.annotate(line.get_label(), (x[-1], y[-1]), color=line.get_color(), **place)


def plain_ticks(axis: Axis, values: list[float]) -> None:
    """Ticks at `values` and nowhere else, written in full (256, 1,024, 4,096): for logarithmic axes."""
    axis.set_major_locator(FixedLocator(values))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
