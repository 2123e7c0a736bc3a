"""Backgrounds: one strip of street, plaza, park or road per camera, from which every image crops a window."""

import math

import numpy as np

from harness.drawn.domains import Scenery
from harness.drawn.layers import Color, Layer, blend, box, capsule, darker, ellipse, lathe, plain, quad
from harness.drawn.people import choose

STRIP = 3.0  # length of a scene in image heights
MARGIN = 0.12  # how much higher than an image it is


def draw_scene(random: np.random.Generator, scenery: Scenery) -> list[Layer]:
    """Return the layers of a scene on a canvas of height 1 and width STRIP."""
    wall, floor = choose(random, scenery.wall), choose(random, scenery.floor)
    horizon = float(random.uniform(*scenery.horizon))
    layers = [box(-1, 0, STRIP + 1, horizon + 0.01, darker(wall, 1.08), -0.1)]
    layers.append(box(-1, horizon, STRIP + 1, 1.02, darker(floor, 0.9), -0.16))
    behind = {"street": _houses, "plaza": _shops, "park": _hedges, "road": _roadside}[scenery.family]
    layers += behind(random, scenery, wall, horizon)
    layers += _road(floor, horizon) if scenery.family == "road" else _paving(random, scenery, floor, horizon)
    return layers


def _paving(random: np.random.Generator, scenery: Scenery, floor: Color, horizon: float) -> list[Layer]:
    """Return lines in perspective; in a park, a path."""
    layers = []
    if scenery.family == "park":
        path = blend(floor, choose(random, scenery.detail), 0.35)
        y = float(random.uniform(horizon + 0.1, 0.75))
        layers.append(box(-1, y, STRIP + 1, y + float(random.uniform(0.14, 0.24)), path, -0.05))
        return layers
    line = darker(floor, float(random.uniform(0.8, 0.88)))
    depth = 1.0 - horizon
    for k in range(1, 5):
        y = horizon + depth * (k / 5) ** 1.6
        layers.append(box(-1, y, STRIP + 1, y + 0.004 + 0.006 * k / 5, line))
    slant = float(random.uniform(-0.4, 0.4))
    for k in range(12):
        x = k * 0.32
        layers.append(quad(((x, horizon), (x + 0.006, horizon), (x + slant + 0.014, 1.02), (x + slant, 1.02)), line))
    return layers


def _houses(random: np.random.Generator, scenery: Scenery, wall: Color, horizon: float) -> list[Layer]:
    layers = []
    x = float(random.uniform(-0.3, 0.0))
    while x < STRIP:
        width = float(random.uniform(0.6, 1.1))
        front = blend(wall, choose(random, scenery.wall), 0.7)
        layers.append(box(x, 0, x + width, horizon, front, 0.1))
        window = blend(choose(random, scenery.detail), (0.35, 0.4, 0.46), 0.4)
        step = float(random.uniform(0.2, 0.28))
        spot = x + 0.05
        while spot + 0.13 < x + width:
            if random.random() < 0.22:
                layers.append(
                    box(spot, 0.1 * horizon, spot + 0.13, horizon, darker(choose(random, scenery.detail), 0.9))
                )
            else:
                layers.append(box(spot - 0.012, 0.12 * horizon, spot + 0.132, 0.62 * horizon, darker(front, 1.25)))
                layers.append(box(spot, 0.16 * horizon, spot + 0.12, 0.58 * horizon, window, -0.2))
            spot += step
        x += width
    layers.append(box(-1, horizon - 0.02, STRIP + 1, horizon + 0.012, darker(wall, 0.75)))
    return layers


def _shops(random: np.random.Generator, scenery: Scenery, wall: Color, horizon: float) -> list[Layer]:
    layers = []
    x = float(random.uniform(-0.2, 0.1))
    while x < STRIP:
        width = float(random.uniform(0.45, 0.8))
        color = choose(random, scenery.detail)
        layers.append(
            box(x + 0.03, 0.3 * horizon, x + width - 0.03, horizon, blend(color, (0.8, 0.86, 0.88), 0.55), 0.15)
        )
        layers.append(box(x + 0.01, 0.14 * horizon, x + width - 0.01, 0.32 * horizon, blend(color, wall, 0.25), 0.2))
        layers.append(box(x + 0.5 * width - 0.006, 0.3 * horizon, x + 0.5 * width + 0.006, horizon, darker(wall, 0.8)))
        if random.random() < 0.5:
            left = x + width - 0.05
            layers.append(
                lathe((left, 0.0), (left, horizon + 0.04), (0.035, 0.035, 0.035), 0.0, plain(darker(wall, 0.97)))
            )
        x += width
    return layers


def _hedges(random: np.random.Generator, scenery: Scenery, wall: Color, horizon: float) -> list[Layer]:
    sky = blend(wall, (0.72, 0.78, 0.8), 0.75)
    layers = [box(-1, 0, STRIP + 1, 0.6 * horizon, sky, -0.1)]
    for x in np.arange(-0.1, STRIP + 0.2, 0.17).tolist():
        green = blend(wall, choose(random, scenery.wall), 0.5)
        height = float(random.uniform(0.5, 0.8)) * horizon
        layers.append(ellipse((x, horizon - 0.35 * height), 0.17, height * 0.75, plain(green), shade=0.25))
    layers.append(box(-1, horizon - 0.03, STRIP + 1, horizon + 0.015, darker(wall, 0.7)))
    for _ in range(int(random.integers(2, 5))):
        x = float(random.uniform(0, STRIP))
        trunk = plain(choose(random, scenery.detail[:3]))
        layers.append(capsule((x, -0.1), (x + float(random.uniform(-0.03, 0.03)), horizon + 0.06), 0.03, 0.042, trunk))
    return layers


def _roadside(random: np.random.Generator, scenery: Scenery, wall: Color, horizon: float) -> list[Layer]:
    layers = [box(-1, 0, STRIP + 1, horizon, wall, -0.1)]
    for x in np.arange(-0.2, STRIP + 0.2, 0.33).tolist():
        color = blend(wall, choose(random, scenery.wall), 0.8)
        layers.append(
            box(x, float(random.uniform(0.0, 0.5)) * horizon, x + float(random.uniform(0.2, 0.36)), horizon, color)
        )
    rail = choose(random, scenery.detail)
    layers.append(box(-1, horizon - 0.07, STRIP + 1, horizon - 0.035, rail))
    layers.append(box(-1, horizon - 0.012, STRIP + 1, horizon + 0.012, darker(wall, 0.7)))
    return layers


def _road(floor: Color, horizon: float) -> list[Layer]:
    white = blend(floor, (0.95, 0.95, 0.92), 0.75)
    layers = [box(-1, horizon + 0.03, STRIP + 1, horizon + 0.045, white)]
    y = horizon + 0.55 * (1 - horizon)
    layers += [box(0.5 * k, y, 0.5 * k + 0.24, y + 0.018, white) for k in range(math.ceil(STRIP / 0.5))]
    return layers
