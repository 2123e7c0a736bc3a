"""Colours and the static page's style: the Okabe-Ito palette, which colour-blind people can tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BLUE, ORANGE, GREEN, PURPLE, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"
PALETTE = (BLUE, "#B87A00", "#00875F", "#B5508A", "#C24E00", "#2B8CC4")
"""On white, orange, sky, green and purple are darkened until a line has a contrast of 3."""
DARK_PALETTE = ("#56B4E9", "#E69F00", "#2bc49a", "#e39cc4", "#ef7d3a", "#9ccbe8")
DIM = {"light": "#5b6673", "dark": "#a7b1be"}
"""Text that stands back: captions, axes, what was only reported."""
STRONG = {"light": "#3d4854", "dark": "#c3ccd6"}
"""Text within a chart."""
ON_CHIP = {"light": "#ffffff", "dark": "#12171e"}
"""Text on the primary color."""
DASHES: tuple[Sequence[int], ...] = ((1, 0), (7, 3), (2, 2))
"""Line styles, the first solid: a chart gives its lines one after the other, so that none relies on color alone."""
RIGHT, WRONG, JUNK = GREEN, VERMILION, "#8A8F98"


def places(names: Sequence[str], everyone: Iterable[str]) -> dict[str, int]:
    """Return each name's place in the palette: its own among `everyone`, or the next that no earlier name has.

    So a method (or a run of it, by its key) keeps its color from chart to chart and page to page, unless two of one
    chart would share it.
    """
    order = {name: place for place, name in enumerate(sorted(everyone))}
    size = len(PALETTE)
    taken: dict[str, int] = {}
    for name in names:
        place = order.get(name.split("__")[0], len(taken)) % size
        while place in taken.values() and len(taken) < size:
            place = (place + 1) % size
        taken[name] = place
    return taken


LIGHTEST, DARKEST, TURN = (247, 251, 255), (8, 48, 107), 60


def shade(percent: float) -> str:
    """Return the background of a figure from 0 to 100 and a text color that has a contrast of 4.5 on it, as CSS."""
    value = min(max(percent, 0.0), 100.0)
    part = value / 100 if value <= TURN else 0.65 + (value - TURN) / (100 - TURN) * 0.35  # neither ink would do between
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(LIGHTEST, DARKEST, strict=True))
    return f"background-color: #{red:02x}{green:02x}{blue:02x}; color: {'#ffffff' if value > TURN else '#12171e'}"


CSS = """\
:root { color-scheme: light dark; --ink: #1b2430; --dim: #5b6673; --line: #d9dee5; --paper: #fff; --mark: #0072B2 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --dim: #9aa5b3; --line: #323b47; --paper: #12171e; --mark: #56B4E9 } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 80rem; margin: 0 auto; padding: 2rem 1.5rem }
h1 { font-size: 1.6rem; margin: 0 0 1.5rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
section > div { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap }
th { font-weight: 600; text-align: left; border-bottom: 2px solid var(--line); color: var(--dim) }
th, td { padding: .35rem .8rem .35rem 0 } td { border-bottom: 1px solid var(--line) }
tr.rule td { border-top: 2px solid var(--line) }
td:last-child:not(.n) { white-space: normal; min-width: 12rem }
.n { text-align: right } .best { font-weight: 700; color: var(--mark) } .second { text-decoration: underline }
p, footer { color: var(--dim); font-size: .85rem; margin: .5rem 0 } footer { margin-top: 3rem }
"""
