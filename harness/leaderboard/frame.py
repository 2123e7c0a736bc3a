"""The pages and the way between them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from PIL import Image, ImageDraw

from harness.leaderboard import url
from harness.leaderboard.state import theme
from harness.tables.addresses import View, parameters
from harness.tables.style import BLUE, DIM, GREEN, ON_CHIP, ORANGE

HERE = Path(__file__).parent / "pages"
STYLE = Path(__file__).parent / "style.css"
NAME = "Re-ID leaderboard"
PAGES = {
    "leaderboard": ("Leaderboard", ":material/leaderboard:"),
    "matrix": ("Matrix", ":material/grid_on:"),
    "compare": ("Compare", ":material/compare_arrows:"),
    "queries": ("Queries", ":material/image_search:"),
    "run": ("Runs", ":material/science:"),
    "methods": ("Methods", ":material/account_tree:"),
    "datasets": ("Datasets", ":material/photo_library:"),
    "search": ("Search", ":material/person_search:"),
}


def frame() -> None:
    """Show the page that the address names, below the navigation."""
    st.set_page_config(page_title=NAME, page_icon=_icon(), layout="wide")
    colors = f":root {{ --caption: {DIM[theme()]}; --on-chip: {ON_CHIP[theme()]} }}"
    st.html(f"<style>{colors} {STYLE.read_text(encoding='utf-8')}</style>")
    pages = [
        st.Page(HERE / f"{name}.py", title=title, icon=icon, url_path=name, default=name == "leaderboard")
        for name, (title, icon) in PAGES.items()
    ]
    with url.written_once():
        st.navigation(pages, position="top").run()


def name_window(text: str) -> None:
    """Give the browser's window the name of what it shows."""
    st.set_page_config(page_title=f"{text} · {NAME}")


def _icon() -> Image.Image:
    """Three bars; an icon by name would be fetched from another host."""
    icon = Image.new("RGBA", (32, 32))
    draw = ImageDraw.Draw(icon)
    for left, top, colour in ((2, 14, ORANGE), (12, 4, BLUE), (22, 20, GREEN)):
        draw.rectangle((left, top, left + 7, 30), fill=colour)
    return icon


def link(view: View, label: str) -> None:
    """A link to a view of another page."""
    st.page_link(HERE / f"{view.page}.py", label=label, icon=PAGES[view.page][1], query_params=parameters(view))
