"""A log-log line plot as SVG, without a plotting library."""

from collections.abc import Sequence
from math import ceil, floor, log10
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 800, 420, 70, 270, 20, 50
# Okabe and Ito's colours: distinct for colour-blind readers.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def log_log_svg(lines: Sequence[tuple[str, Sequence[float], Sequence[float]]], x_name: str, y_name: str) -> str:
    """Return an SVG of (name, x values, y values) lines on logarithmic axes; all values must be positive."""
    all_x, all_y = [x for _, xs, _ in lines for x in xs], [y for _, _, ys in lines for y in ys]
    x_low, x_high = log10(min(all_x)) - 0.05, log10(max(all_x)) + 0.05
    y_low, y_high = floor(log10(min(all_y))), ceil(log10(max(all_y)))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (log10(x) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (log10(y) - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM),
        )

    view = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {view}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for power in range(y_low, y_high + 1):
        _, y = place(min(all_x), 10**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for power in range(ceil(x_low), floor(x_high) + 1):
        x, _ = place(10**power, 10**y_low)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{x_name}</text>')
    parts.append(
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2})">{y_name}</text>'
    )
    for number, (name, xs, ys) in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        points = [place(x, y) for x, y in zip(xs, ys, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points]
        y = TOP + 14 + 20 * number
        parts.append(f'<rect x="{WIDTH - RIGHT + 20}" y="{y - 9}" width="12" height="12" fill="{color}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 38}" y="{y + 1}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
