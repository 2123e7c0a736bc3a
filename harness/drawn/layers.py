"""Layers: the shapes that `raster.paint` composites in order, each a flat tuple of floats.

Lengths are in image heights: y runs from 0 (top) to 1 (bottom), x from 0 (left) to width / height. Colors are
(r, g, b) in [0, 1]. A layer is geometry, fabric (two colors and a texture) and three numbers: azimuth, shade, opacity.
"""

from collections.abc import Sequence
from typing import NamedTuple

from harness.drawn.raster import CAPSULE, ELLIPSE, LATHE, QUAD, SHADOW, SOLID

Color = tuple[float, float, float]
Point = tuple[float, float]
Layer = tuple[float, ...]


class Fabric(NamedTuple):
    """Surface of a shape: a color, and a second one that the texture distributes over it.

    `frequency` is in repeats per image height along the garment (rings), `duty` the second color's share of a repeat.
    """

    red: float
    green: float
    blue: float
    red2: float
    green2: float
    blue2: float
    texture: float
    frequency: float
    phase: float
    duty: float


def plain(color: Color) -> Fabric:
    """Return a fabric of one color without a texture."""
    return Fabric(*color, *color, SOLID, 0.0, 0.0, 0.0)


def darker(color: Color, factor: float) -> Color:
    """Scale a color: `factor` below 1 darkens, above 1 brightens (clipped at 1)."""
    return (min(1.0, color[0] * factor), min(1.0, color[1] * factor), min(1.0, color[2] * factor))


def blend(a: Color, b: Color, share: float) -> Color:
    """Interpolate two colors linearly: 0 gives a, 1 gives b."""
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]))


def capsule(
    a: Point, b: Point, radius_a: float, radius_b: float, fabric: Fabric, azimuth: float = 0.0, shade: float = 0.35
) -> Layer:
    """Return a limb: the hull of two discs, its texture running from a to b."""
    return (CAPSULE, *a, *b, radius_a, radius_b, 0.0, 0.0, *fabric, azimuth, shade, 1.0)


def ellipse(
    center: Point, radius_x: float, radius_y: float, fabric: Fabric, shade: float = 0.3, opacity: float = 1.0
) -> Layer:
    """Return an axis-aligned ellipse."""
    return (ELLIPSE, *center, radius_x, radius_y, 0.0, 0.0, 0.0, 0.0, *fabric, 0.0, shade, opacity)


def shadow(center: Point, radius_x: float, radius_y: float, opacity: float) -> Layer:
    """Return a dark ellipse that fades out towards its rim."""
    return (SHADOW, *center, radius_x, radius_y, 0.0, 0.0, 0.0, 0.0, *plain((0.05, 0.05, 0.06)), 0.0, 0.0, opacity)


def quad(corners: Sequence[Point], color: Color, shade: float = 0.0, opacity: float = 1.0) -> Layer:
    """Return a convex quadrilateral, corners in order (either orientation); `shade` darkens it from top to bottom."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    return (QUAD, ax, ay, bx, by, cx, cy, dx, dy, *plain(color), 0.0, shade, opacity)


def box(left: float, top: float, right: float, bottom: float, color: Color, shade: float = 0.0) -> Layer:
    """Return an axis-aligned rectangle."""
    return quad(((left, top), (right, top), (right, bottom), (left, bottom)), color, shade)


def lathe(
    top: Point,
    bottom: Point,
    widths: tuple[float, float, float],
    roundness: float,
    fabric: Fabric,
    azimuth: float = 0.0,
    shade: float = 0.35,
) -> Layer:
    """Return a solid of revolution between two points, with half-widths at its top, middle and bottom.

    `roundness` is the fraction of the height over which the top is rounded off; `azimuth` turns the texture with the
    body (0: its front faces the viewer).
    """
    return (LATHE, *top, *bottom, *widths, roundness, *fabric, azimuth, shade, 1.0)
