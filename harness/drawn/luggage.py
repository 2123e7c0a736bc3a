"""Render what a pedestrian carries: a backpack, a handbag or a shoulder bag."""

import math

from harness.drawn.layers import darker, plain, quad
from harness.drawn.people import Clothes
from harness.drawn.pose import Joint, Sketch


def draw_bag(sketch: Sketch, clothes: Clothes, center: Joint, size: float, dim: float) -> None:
    """Draw a bag that hangs at `center`, flat along the side of the body."""
    x, y = sketch.at(center)
    size *= clothes.bag_size * sketch.scale
    half = size * math.hypot(0.45 * sketch.view.cos, sketch.view.sin)
    color = darker(clothes.bag_color, dim)
    corners = ((x - 0.85 * half, y - size), (x + 0.85 * half, y - size), (x + half, y + size), (x - half, y + size))
    sketch.layers.append(quad(corners, color, shade=0.25))
    left, right, top, bottom = x - 0.9 * half, x + 0.9 * half, y - 0.65 * size, y - 0.45 * size
    flap = ((left, top), (right, top), (right, bottom), (left, bottom))
    sketch.layers.append(quad(flap, darker(color, 0.65)))


def draw_strap(sketch: Sketch, clothes: Clothes, shoulder: Joint, hip: Joint) -> None:
    """Draw a strap between two points."""
    sketch.limb(shoulder, hip, 0.011, 0.011, plain(darker(clothes.bag_color, 0.8)))


def draw_backpack(sketch: Sketch, clothes: Clothes) -> None:
    """Draw a backpack, with its pocket in a back view."""
    color, size = clothes.bag_color, clothes.bag_size
    half = sketch.width(0.085 * size, 0.05 * size)
    bottom = (0.0, 0.8 - 0.23 * size, -0.1)
    sketch.trunk((0.0, 0.8, -0.09), bottom, (0.9 * half, half, 0.95 * half), 0.3, plain(color))
    if sketch.view.cos < 0:
        pocket = 0.7 * sketch.width(0.085 * size, 0.02)
        top, bottom = (0.0, 0.8 - 0.12 * size, -0.13), (0.0, 0.8 - 0.21 * size, -0.13)
        sketch.trunk(top, bottom, (pocket, pocket, pocket), 0.25, plain(darker(color, 0.72)))
