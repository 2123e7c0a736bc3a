"""A picture as a list of layers: flat tuples of floats that `raster.paint` composites in order.

Lengths are in image heights: y runs from 0 (top) to 1 (bottom), x from 0 (left) to width / height. Colours are
(r, g, b) in [0, 1]. A layer is geometry, fabric (two colours and a texture) and three numbers: azimuth, shade, opacity.
"""

from collections.abc import Sequence
from typing import NamedTuple

from harness.drawn.raster import CAPSULE, ELLIPSE, LATHE, QUAD, SHADOW, SOLID

Colour = tuple[float, float, float]
Point = tuple[float, float]
Layer = tuple[float, ...]


class Fabric(NamedTuple):
    """A colour, and where the texture says so a second one.

    `frequency` is in repeats per image height along the garment (rings), `duty` the second colour's share of a repeat.
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


def plain(colour: Colour) -> Fabric:
    return Fabric(*colour, *colour, SOLID, 0.0, 0.0, 0.0)


def darker(colour: Colour, factor: float) -> Colour:
    """`factor` below 1 darkens, above 1 brightens (values stay in [0, 1])."""
    return (min(1.0, colour[0] * factor), min(1.0, colour[1] * factor), min(1.0, colour[2] * factor))


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` of the way from a to b."""
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]))


def capsule(
    a: Point, b: Point, radius_a: float, radius_b: float, fabric: Fabric, azimuth: float = 0.0, shade: float = 0.35
) -> Layer:
    """A limb: the hull of two discs, its texture running from a to b."""
    return (CAPSULE, *a, *b, radius_a, radius_b, 0.0, 0.0, *fabric, azimuth, shade, 1.0)


def ellipse(
    centre: Point, radius_x: float, radius_y: float, fabric: Fabric, shade: float = 0.3, opacity: float = 1.0
) -> Layer:
    return (ELLIPSE, *centre, radius_x, radius_y, 0.0, 0.0, 0.0, 0.0, *fabric, 0.0, shade, opacity)


def shadow(centre: Point, radius_x: float, radius_y: float, opacity: float) -> Layer:
    """A dark patch that fades out towards its rim."""
    return (SHADOW, *centre, radius_x, radius_y, 0.0, 0.0, 0.0, 0.0, *plain((0.05, 0.05, 0.06)), 0.0, 0.0, opacity)


def quad(corners: Sequence[Point], colour: Colour, shade: float = 0.0, opacity: float = 1.0) -> Layer:
    """A convex quadrangle, corners in turn (either sense); `shade` darkens it from top to bottom."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    return (QUAD, ax, ay, bx, by, cx, cy, dx, dy, *plain(colour), 0.0, shade, opacity)


def box(left: float, top: float, right: float, bottom: float, colour: Colour, shade: float = 0.0) -> Layer:
    return quad(((left, top), (right, top), (right, bottom), (left, bottom)), colour, shade)


def lathe(
    top: Point,
    bottom: Point,
    widths: tuple[float, float, float],
    roundness: float,
    fabric: Fabric,
    azimuth: float = 0.0,
    shade: float = 0.35,
) -> Layer:
    """A round body between two points, with half-widths at its top, middle and bottom.

    `roundness` is the share of the height over which the top is rounded off; `azimuth` turns the texture with the body
    (0: its front faces the viewer).
    """
    return (LATHE, *top, *bottom, *widths, roundness, *fabric, azimuth, shade, 1.0)
