"""Compiled kernels of one image: composite layers over a background, then apply the camera's optics and sensor.

They are single-threaded and use nothing from other files, because Numba's cache would not notice a change there.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Kinds of layers (column 0) and textures (column 15); `layers.py` fills the columns.
CAPSULE, ELLIPSE, QUAD, LATHE, SHADOW = 0.0, 1.0, 2.0, 3.0, 4.0
SOLID, RINGS, STRIPES, CHECK, YOKE, LOGO, OPEN, BAND, SIDE = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0
LAYER_FLOATS = 22
CURVE_STEPS = 1024


@njit(cache=True, error_model="numpy")
def _second_share(
    texture: float, v: float, a: float, frequency: float, phase: float, duty: float, sharp: float
) -> float:
    """Return the weight of the second color, at v along the garment (image heights) and azimuth a on the body."""
    if texture == SOLID:
        return 0.0
    a -= 2.0 * math.pi * math.floor(a / (2.0 * math.pi) + 0.5)
    rings = 0.0
    stripes = 0.0
    if texture in (RINGS, CHECK):
        wave = v * frequency + phase
        wave = 2.0 * abs(wave - math.floor(wave) - 0.5)
        rings = min(1.0, max(0.0, 0.5 + (duty - wave) * sharp / frequency))
    if texture in (STRIPES, CHECK):
        wave = a * 1.6 + phase
        wave = 2.0 * abs(wave - math.floor(wave) - 0.5)
        stripes = min(1.0, max(0.0, 0.5 + (duty - wave) * 4.0))
    if texture == RINGS:
        return rings
    if texture == STRIPES:
        return stripes
    if texture == CHECK:
        return 0.5 * (rings + stripes)
    if texture == YOKE:
        return min(1.0, max(0.0, 0.5 + (duty * 0.16 - v) * sharp))
    if texture == BAND:
        return min(1.0, max(0.0, 0.5 + (0.016 + 0.03 * duty - abs(v - 0.06 - 0.07 * phase)) * sharp))
    if texture == LOGO:  # phase >= 0.5 prints the back as well as the front
        if phase >= 0.5 and abs(a) > 0.5 * math.pi:
            a = math.pi - abs(a)
        distance = math.sqrt((a * 0.065) ** 2 + (v - 0.085) ** 2)
        return min(1.0, max(0.0, 0.5 + (0.02 + 0.03 * duty - distance) * sharp))
    if texture == OPEN:
        return min(1.0, max(0.0, 0.5 + (0.2 + 0.4 * duty - abs(a)) * 6.0))
    if texture == SIDE:
        return min(1.0, max(0.0, 0.5 + (0.5 - abs(abs(a) - 0.5 * math.pi)) * 5.0))
    return 0.0


@njit(cache=True, error_model="numpy")
def paint(canvas: NDArray[np.float32], layers: NDArray[np.float64], light: float) -> None:
    """Composite `layers` float64 [L, 22] in order onto `canvas` float32 [H, W, 3], in place.

    Every layer is a soft-edged signed-distance shape, evaluated only in its bounding box. `light` in [-1, 1] says how
    far to the left (negative) or right the light comes from.
    """
    height, width = canvas.shape[0], canvas.shape[1]
    pixel = 1.0 / height
    soft = 1.25 * pixel
    sharp = 0.9 / pixel
    edge = np.empty((4, 3))
    for index in range(layers.shape[0]):
        layer = layers[index]
        kind, opacity, shade = layer[0], layer[21], layer[20]
        texture, azimuth = layer[15], layer[19]
        g0, g1, g2, g3, g4, g5, g6, g7 = layer[1], layer[2], layer[3], layer[4], layer[5], layer[6], layer[7], layer[8]
        if kind == CAPSULE:
            reach = max(g4, g5)
            left, right = min(g0, g2) - reach, max(g0, g2) + reach
            top, bottom = min(g1, g3) - reach, max(g1, g3) + reach
        elif kind in (ELLIPSE, SHADOW):
            left, right, top, bottom = g0 - g2, g0 + g2, g1 - g3, g1 + g3
        elif kind == QUAD:
            left, right = min(min(g0, g2), min(g4, g6)), max(max(g0, g2), max(g4, g6))
            top, bottom = min(min(g1, g3), min(g5, g7)), max(max(g1, g3), max(g5, g7))
        else:
            reach = max(g4, max(g5, g6))
            left, right, top, bottom = min(g0, g2) - reach, max(g0, g2) + reach, g1, g3
        first_row, last_row = max(0, int((top - soft) * height)), min(height, int((bottom + soft) * height) + 1)
        first_column, last_column = max(0, int((left - soft) * height)), min(width, int((right + soft) * height) + 1)
        dx, dy = g2 - g0, g3 - g1
        length2 = dx * dx + dy * dy + 1e-12
        length = math.sqrt(length2)
        if kind == QUAD:  # outward unit normal and offset of each edge
            turn = (g2 - g0) * (g5 - g3) - (g3 - g1) * (g4 - g2) + (g4 - g0) * (g7 - g5) - (g5 - g1) * (g6 - g4)
            sense = 1.0 if turn > 0.0 else -1.0
            for k in range(4):
                x0, y0 = layer[1 + 2 * k], layer[2 + 2 * k]
                x1, y1 = layer[1 + (2 * k + 2) % 8], layer[1 + (2 * k + 3) % 8]
                norm = math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2) + 1e-9
                edge[k, 0] = sense * (y1 - y0) / norm
                edge[k, 1] = -sense * (x1 - x0) / norm
                edge[k, 2] = edge[k, 0] * x0 + edge[k, 1] * y0
        for row in range(first_row, last_row):
            y = (row + 0.5) * pixel
            center, half = 0.0, 0.0
            t = 0.0
            if kind == LATHE:
                t = min(1.0, max(0.0, (y - g1) / (g3 - g1 + 1e-9)))
                center = g0 + t * dx
                half = (1.0 - t) * ((1.0 - 2.0 * t) * g4 + 4.0 * t * g5) - t * (1.0 - 2.0 * t) * g6
                if t < g7:
                    half *= math.sqrt(1.0 - (1.0 - t / g7) ** 2)
            elif kind == QUAD:
                t = (y - top) / (bottom - top + 1e-9)
            for column in range(first_column, last_column):
                x = (column + 0.5) * pixel
                u, v = 0.0, 0.0
                if kind == LATHE:
                    distance = max(abs(x - center) - half, max(g1 - y, y - g3))
                    if distance >= soft:
                        continue
                    u, v = (x - center) / (half + 1e-9), y - g1
                elif kind == CAPSULE:
                    t = min(1.0, max(0.0, ((x - g0) * dx + (y - g1) * dy) / length2))
                    away_x, away_y = x - g0 - t * dx, y - g1 - t * dy
                    radius = g4 + t * (g5 - g4)
                    distance = math.sqrt(away_x * away_x + away_y * away_y) - radius
                    if distance >= soft:
                        continue
                    u, v = (away_x * dy - away_y * dx) / (length * radius + 1e-9), t * length
                elif kind == QUAD:
                    distance = -1e9
                    for k in range(4):
                        distance = max(distance, edge[k, 0] * x + edge[k, 1] * y - edge[k, 2])
                    if distance >= soft:
                        continue
                else:
                    ux, uy = (x - g0) / (g2 + 1e-9), (y - g1) / (g3 + 1e-9)
                    radius = math.sqrt(ux * ux + uy * uy)
                    if kind == SHADOW:
                        distance = -1.0
                    else:
                        slope = math.sqrt((ux / (g2 + 1e-9)) ** 2 + (uy / (g3 + 1e-9)) ** 2) + 1e-9
                        distance = radius * (radius - 1.0) / slope
                    if distance >= soft:
                        continue
                    u, v = ux, uy
                alpha = opacity * min(1.0, max(0.0, 0.5 - distance / soft))
                if kind == SHADOW:
                    alpha = opacity * max(0.0, 1.0 - u * u - v * v)
                if alpha <= 0.0:
                    continue
                u = min(1.0, max(-1.0, u))
                second = 0.0
                if texture != SOLID:
                    second = _second_share(texture, v, math.asin(u) - azimuth, layer[16], layer[17], layer[18], sharp)
                round_shade = 0.35 * light * u - 0.55 * u * u
                bright = 1.0 + shade * (-t if kind == QUAD else round_shade)
                for c in range(3):
                    color = (layer[9 + c] + second * (layer[12 + c] - layer[9 + c])) * bright
                    canvas[row, column, c] += alpha * (color - canvas[row, column, c])


@njit(cache=True, error_model="numpy")
def crop(scene: NDArray[np.float32], x: float, y: float, height: int, width: int) -> NDArray[np.float32]:
    """Crop the `height` x `width` window of `scene` float32 [H, W, 3] at corner (x, y) in pixels, bilinear."""
    window = np.empty((height, width, 3), np.float32)
    left, top = int(x), int(y)
    fx, fy = x - left, y - top
    for row in range(height):
        upper = min(scene.shape[0] - 1, top + row)
        lower = min(scene.shape[0] - 1, upper + 1)
        for column in range(width):
            near = min(scene.shape[1] - 1, left + column)
            far = min(scene.shape[1] - 1, near + 1)
            for c in range(3):
                above = scene[upper, near, c] + fx * (scene[upper, far, c] - scene[upper, near, c])
                below = scene[lower, near, c] + fx * (scene[lower, far, c] - scene[lower, near, c])
                window[row, column, c] = above + fy * (below - above)
    return window


@njit(cache=True, error_model="numpy")
def expose(
    canvas: NDArray[np.float32],
    gain: NDArray[np.float64],
    saturation: float,
    curve: NDArray[np.float32],
    blur: float,
    noise: float,
    seed: int,
) -> NDArray[np.uint8]:
    """Simulate the sensor: `canvas` float32 [H, W, 3] becomes uint8 [H, W, 3].

    `blur` is the optics' standard deviation in pixels, `gain` float64 [3] the light and white balance per channel,
    `curve` float32 [1024] the tone curve over [0, 1], `noise` the read noise's standard deviation (1 = white), `seed`
    its stream.
    """
    height, width = canvas.shape[0], canvas.shape[1]
    reach = math.ceil(2.5 * blur)
    if reach > 0:
        weights = np.empty(2 * reach + 1, np.float32)
        for k in range(2 * reach + 1):
            weights[k] = math.exp(-0.5 * ((k - reach) / blur) ** 2)
        weights /= weights.sum()
        across = np.zeros_like(canvas)
        for row in range(height):
            for column in range(width):
                for k in range(2 * reach + 1):
                    source = min(width - 1, max(0, column + k - reach))
                    for c in range(3):
                        across[row, column, c] += weights[k] * canvas[row, source, c]
        canvas = np.zeros_like(across)
        for row in range(height):
            for k in range(2 * reach + 1):
                source = min(height - 1, max(0, row + k - reach))
                for column in range(width):
                    for c in range(3):
                        canvas[row, column, c] += weights[k] * across[source, column, c]
    image = np.empty((height, width, 3), np.uint8)
    state = np.uint64(seed)
    spread = noise * math.sqrt(6.0)  # the sum of two uniforms on +-1/2 has variance 1/6
    for row in range(height):
        for column in range(width):
            red, green, blue = canvas[row, column, 0], canvas[row, column, 1], canvas[row, column, 2]
            gray = 0.299 * red + 0.587 * green + 0.114 * blue
            for c in range(3):
                value = gain[c] * (gray + saturation * (canvas[row, column, c] - gray))
                value = curve[int(min(1.0, max(0.0, value)) * (CURVE_STEPS - 1) + 0.5)]
                state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
                high = np.float64(state >> np.uint64(32)) / 4294967296.0
                low = np.float64((state >> np.uint64(8)) & np.uint64(0xFFFFFF)) / 16777216.0
                value += spread * (high + low - 1.0)
                image[row, column, c] = np.uint8(min(255.0, max(0.0, value * 255.0 + 0.5)))
    return image
