"""Promises of cpack_lib.work.figures."""

import warnings

import matplotlib.pyplot as plt
import pytest

from cpack_lib.work import figures


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        figures.use_style()
        yield
    plt.close("all")


def draw(tmp_path, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure, ax = plt.subplots()
        ax.plot([1, 2], [-1, 2], label=text)
        ax.set_xlabel(text)
        figures.label_lines(ax)
        for kind in ("png", "svg"):
            figure.savefig(tmp_path / f"x.{kind}")


def test_chinese_has_no_missing_glyph(tmp_path):
    draw(tmp_path, "检索：北京烤鸭 – 龘 retrieval, −5 °C")
    assert "检索" in (tmp_path / "x.svg").read_text("utf-8")


def test_a_missing_glyph_would_fail_that_test(tmp_path):
    plt.rcParams["font.family"] = ["DejaVu Sans"]
    with pytest.raises(UserWarning, match="Glyph .* missing"):
        draw(tmp_path, "检索")


def test_the_packaged_font_serves_where_none_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(figures.font_manager.fontManager, "ttflist", [])
    figures.use_style()
    draw(tmp_path, "检索")
    assert figures.chinese_font() == "Noto Sans CJK SC"


def test_no_font_at_all_is_an_error_with_the_remedy(monkeypatch):
    monkeypatch.setattr(figures, "CHINESE_FONTS", ["None Such"])
    monkeypatch.setattr(figures, "PACKAGED_FONT", "none.otf")
    with pytest.raises(RuntimeError, match="pip install mplfonts"):
        figures.use_style()


def test_lines_carry_their_names_at_their_ends():
    _, ax = plt.subplots()
    ax.plot([1, 2], [3, 4], label="trained")
    ax.plot([], [], label="empty")
    ax.axhline(0)
    figures.label_lines(ax)
    assert [(text.get_text(), text.xy) for text in ax.texts] == [("trained", (2, 4))]


def test_plain_ticks_write_numbers_in_full():
    _, ax = plt.subplots()
    ax.set_xscale("log")
    ax.plot([256, 4096], [1, 2])
    figures.plain_ticks(ax.xaxis, [256, 1024, 4096])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["256", "1,024", "4,096"]
