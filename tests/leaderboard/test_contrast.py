"""What is drawn can be read: 4.5 to 1 for text, 3 to 1 for lines, by WCAG 2.1, on light and dark."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from harness.leaderboard.charts import TILE_INK, TILES
from harness.site.html import EXTRA
from harness.tables.style import CSS, DARK_PALETTE, DIM, ON_CHIP, PALETTE, STRONG, shade

TEXT, LINE = 4.5, 3.0
THEME = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]


def luminance(color: str) -> float:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def between(a: str, b: str, part: float) -> str:
    mixed = [round(int(a[i : i + 2], 16) * (1 - part) + int(b[i : i + 2], 16) * part) for i in (1, 3, 5)]
    return "#" + "".join(f"{value:02x}" for value in mixed)


def test_the_measure_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_the_pages_can_be_read(theme: str) -> None:
    colors = THEME[theme]
    for ground in (colors["backgroundColor"], colors["secondaryBackgroundColor"]):
        for ink in ("textColor", "grayTextColor", "linkColor"):
            assert contrast(colors[ink], ground) >= TEXT, (ink, ground)
        assert contrast(colors["primaryColor"], ground) >= TEXT  # the text of a chosen button
    assert contrast(ON_CHIP[theme], colors["primaryColor"]) >= TEXT
    for ink in (DIM[theme], STRONG[theme]):
        assert contrast(ink, colors["backgroundColor"]) >= TEXT


def test_lines_can_be_seen() -> None:
    for theme, palette in (("light", PALETTE), ("dark", DARK_PALETTE)):
        for color in palette:
            assert contrast(color, THEME[theme]["backgroundColor"]) >= LINE, (theme, color)


def test_figures_on_tiles_can_be_read() -> None:
    for percent in range(101):
        ground, ink = re.findall(r"#\w{6}", shade(percent))
        assert contrast(ink, ground) >= TEXT
        for light, dark in TILES.values():
            assert contrast(TILE_INK, between(light, dark, percent / 100)) >= TEXT


def test_the_static_site_can_be_read() -> None:
    for variables in re.findall(r":root \{[^}]*--ink[^}]*\}", CSS):
        colors = dict(re.findall(r"--(\w+): (#\w{3,6})", variables))
        paper = colors["paper"] if len(colors["paper"]) == 7 else "#ffffff"
        for ink in ("ink", "dim", "mark"):
            assert contrast(colors[ink], paper) >= TEXT, (ink, paper)
        for color in re.findall(r"border-color: (#\w{6})", EXTRA):
            assert contrast(color, paper) >= LINE, (color, paper)
