"""Identities of vehicles: body and paint, sampled from two independent streams."""

from dataclasses import dataclass

import numpy as np

from harness.drawn.layers import Color, darker
from harness.drawn.people import choose

# VeRi-776's numbers of colors and types; here with RGB values and frequencies.
PAINTS: dict[int, tuple[Color, float]] = {
    1: ((0.86, 0.72, 0.16), 0.06),  # yellow
    2: ((0.84, 0.42, 0.14), 0.03),  # orange
    3: ((0.18, 0.40, 0.26), 0.04),  # green
    4: ((0.54, 0.56, 0.58), 0.19),  # gray
    5: ((0.66, 0.13, 0.14), 0.12),  # red
    6: ((0.16, 0.27, 0.52), 0.12),  # blue
    7: ((0.90, 0.90, 0.88), 0.22),  # white
    8: ((0.66, 0.58, 0.40), 0.04),  # golden
    9: ((0.34, 0.24, 0.17), 0.04),  # brown
    10: ((0.10, 0.10, 0.12), 0.14),  # black
}
TYPES = {"sedan": 1, "suv": 2, "van": 3, "hatchback": 4, "pickup": 6, "bus": 7, "truck": 8}
TYPE_WEIGHTS = (0.34, 0.18, 0.12, 0.15, 0.06, 0.06, 0.09)
DECALS = ("none", "stripe", "panel", "lettering", "twotone", "door")
ACCENTS: tuple[Color, ...] = (
    (0.92, 0.92, 0.90),
    (0.75, 0.14, 0.14),
    (0.14, 0.30, 0.60),
    (0.90, 0.76, 0.16),
    (0.12, 0.12, 0.14),
    (0.20, 0.52, 0.34),
)


@dataclass(frozen=True)
class VehicleBody:
    """Proportions of a vehicle: lengths as multiples of an average sedan's."""

    type: str
    length: float
    width: float
    height: float
    clearance: float
    belt: float  # lower edge of the windows, as a fraction of the height
    bonnet: float  # length of the hood, relative to the average of its type
    wheel: float  # radius
    wheelbase: float  # as a fraction of the length
    lamps: str  # wide, round, tall
    rack: bool
    sunroof: bool


@dataclass(frozen=True)
class VehiclePaint:
    """Colors and markings of a vehicle; the same in every image of this identity."""

    number: int  # VeRi-776's number of the color
    color: Color
    roof: Color
    bumper: Color
    glass: Color
    rim: Color
    decal: str
    decal_color: Color
    decal_place: float
    cargo: Color
    sign: Color | None  # on the roof, like a taxi's
    sticker: float | None  # position on the windshield, as a fraction of its width
    plate: Color


@dataclass(frozen=True)
class Vehicle:
    """An identity: its body and its paint."""

    body: VehicleBody
    paint: VehiclePaint


SIZES = {  # length, width, height
    "sedan": (1.0, 0.40, 0.32),
    "suv": (1.0, 0.43, 0.39),
    "van": (1.06, 0.43, 0.46),
    "hatchback": (0.86, 0.39, 0.34),
    "pickup": (1.14, 0.42, 0.38),
    "bus": (1.5, 0.5, 0.6),
    "truck": (1.35, 0.48, 0.6),
}


def draw_vehicle_body(random: np.random.Generator) -> VehicleBody:
    """Sample the body of a vehicle."""
    kind = choose(random, tuple(TYPES), TYPE_WEIGHTS)
    length, width, height = SIZES[kind]
    return VehicleBody(
        type=kind,
        length=length * float(random.uniform(0.93, 1.07)),
        width=width * float(random.uniform(0.95, 1.05)),
        height=height * float(random.uniform(0.93, 1.08)),
        clearance=float(random.uniform(0.04, 0.065)) * (1.4 if kind in ("suv", "pickup", "truck") else 1.0),
        belt=float(random.uniform(0.5, 0.58)) if kind not in ("bus", "van") else float(random.uniform(0.42, 0.52)),
        bonnet=float(random.uniform(0.85, 1.15)),
        wheel=float(random.uniform(0.072, 0.088)) * (1.15 if kind in ("suv", "pickup", "bus", "truck") else 1.0),
        wheelbase=float(random.uniform(0.56, 0.64)),
        lamps=choose(random, ("wide", "round", "tall")),
        rack=bool(kind in ("suv", "hatchback", "van") and random.random() < 0.35),
        sunroof=bool(kind in ("sedan", "suv", "hatchback") and random.random() < 0.25),
    )


def draw_vehicle_paint(random: np.random.Generator) -> VehiclePaint:
    """Sample colors and markings of a vehicle."""
    number = choose(random, tuple(PAINTS), tuple(weight for _, weight in PAINTS.values()))
    color = darker(PAINTS[number][0], float(random.uniform(0.85, 1.15)))
    black: Color = (0.1, 0.1, 0.11)
    return VehiclePaint(
        number=number,
        color=color,
        roof=choose(random, (color, black, (0.9, 0.9, 0.9)), (0.66, 0.2, 0.14)),
        bumper=choose(random, (darker(color, 0.92), (0.2, 0.2, 0.21)), (0.55, 0.45)),
        glass=choose(random, ((0.24, 0.3, 0.35), (0.15, 0.18, 0.22), (0.36, 0.44, 0.5))),
        rim=choose(random, ((0.72, 0.73, 0.75), (0.45, 0.46, 0.48), (0.16, 0.16, 0.17))),
        decal=choose(random, DECALS, (0.28, 0.18, 0.14, 0.14, 0.14, 0.12)),
        decal_color=choose(random, ACCENTS),
        decal_place=float(random.uniform(0.0, 1.0)),
        cargo=choose(random, ((0.85, 0.85, 0.84), (0.28, 0.38, 0.56), (0.5, 0.36, 0.24), (0.3, 0.44, 0.34), color)),
        sign=choose(random, ACCENTS) if random.random() < 0.2 else None,
        sticker=float(random.uniform(0.1, 0.8)) if random.random() < 0.5 else None,
        plate=choose(random, ((0.25, 0.4, 0.75), (0.88, 0.76, 0.25), (0.9, 0.9, 0.9)), (0.6, 0.25, 0.15)),
    )
