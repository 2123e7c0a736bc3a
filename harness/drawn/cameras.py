"""Cameras of a drawn domain: direction of view, light and sensor, sampled once per camera."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.drawn.raster import CURVE_STEPS
from harness.drawn.spec import DrawnSpec
from harness.drawn.streams import stream


@dataclass(frozen=True)
class Camera:
    """One camera: how it sees, and how its sensor renders what it sees."""

    gain: NDArray[np.float64]  # [3], white balance times the domain's tint
    curve: NDArray[np.float32]  # [CURVE_STEPS], contrast, brightness and gamma
    saturation: float
    blur: float  # standard deviation in 1/64 of the image height
    noise: float
    quality: int
    pitch: float  # radians
    heading: float  # direction in which most objects pass, radians
    light: float  # -1 from the left, 1 from the right


def draw_camera(spec: DrawnSpec, number: int) -> Camera:
    """Sample camera `number` (from 1) of a domain; it depends on nothing else that the dataset holds."""
    random = stream(f"camera {spec.domain}", spec.seed, number)
    look = spec.camera
    balance = np.exp(random.normal(0.0, 1.0, 3) * look.white_balance)
    gamma, contrast = random.uniform(*look.gamma), random.uniform(*look.contrast)
    brightness = random.uniform(*look.brightness)
    values = np.linspace(0.0, 1.0, CURVE_STEPS)
    curve = np.clip(brightness * (0.5 + contrast * (values - 0.5)), 0.0, 1.0) ** gamma
    return Camera(
        gain=balance * np.asarray(spec.image.tint),
        curve=curve.astype(np.float32),
        saturation=float(random.uniform(*look.saturation)),
        blur=float(random.uniform(*look.blur)),
        noise=float(random.uniform(*look.noise)),
        quality=int(random.integers(look.quality[0], look.quality[1] + 1)),
        pitch=math.radians(random.uniform(*look.pitch)),
        heading=float(random.uniform(-math.pi, math.pi)),
        light=float(random.uniform(-1.0, 1.0)),
    )
