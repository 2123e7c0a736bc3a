"""Identities of pedestrians: body and clothes, sampled from two independent streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from harness.drawn.domains import HAIR, SKIN, Wardrobe
from harness.drawn.layers import Color, Fabric, darker, plain
from harness.drawn.raster import BAND, CHECK, LOGO, OPEN, RINGS, SIDE, SOLID, STRIPES, YOKE

T = TypeVar("T")

TEXTURES = (SOLID, RINGS, STRIPES, CHECK, YOKE, LOGO, OPEN, BAND)


@dataclass(frozen=True)
class Body:
    """Proportions of a person: lengths as fractions of the stature, which is a fraction of the tallest person's."""

    stature: float
    girth: float
    shoulders: float
    hips: float
    legs: float
    head: float
    stride: float  # largest swing of the legs, in radians
    skin: Color
    hair: Color
    hairstyle: str  # bald, short, bob, long, tail, bun, afro
    beard: bool


@dataclass(frozen=True)
class Clothes:
    """What a person wears and carries; the same in every image of this identity."""

    upper: Fabric
    sleeve: str  # none, short, long
    sleeve_fabric: Fabric
    hem: float  # lower end of the upper garment, as a fraction of the legs (0: at the hip)
    lower: Fabric
    legwear: str  # trousers, shorts, skirt, dress
    legwear_length: float  # as a fraction of the leg
    shoes: Color
    hat: str  # none, cap, beanie, brim
    hat_color: Color
    scarf: Color | None
    hood: bool
    belt: Color | None
    bag: str  # none, backpack, handbag, shoulder
    bag_side: float  # -1 the person's right, +1 left
    bag_size: float
    bag_color: Color


@dataclass(frozen=True)
class Person:
    """An identity: its body and its clothes."""

    body: Body
    clothes: Clothes


def choose(random: np.random.Generator, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """Sample one of the options, by weight or uniformly."""
    if weights is None:
        return options[int(random.integers(len(options)))]
    point = random.random() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        point -= weight
        if point < 0:
            return option
    return options[-1]


def dye(random: np.random.Generator, palette: Sequence[Color]) -> Color:
    """Sample a color from a palette, slightly faded or darkened."""
    return darker(choose(random, palette), float(random.uniform(0.9, 1.1)))


def draw_body(random: np.random.Generator) -> Body:
    """Sample the body of a person."""
    return Body(
        stature=float(random.uniform(0.93, 1.0)),
        girth=float(np.clip(random.normal(1.0, 0.14), 0.75, 1.4)),
        shoulders=float(random.uniform(0.92, 1.1)),
        hips=float(random.uniform(0.88, 1.12)),
        legs=float(random.uniform(0.48, 0.54)),
        head=float(random.uniform(0.95, 1.12)),
        stride=float(random.uniform(0.25, 0.5)),
        skin=choose(random, SKIN, (0.25, 0.3, 0.2, 0.13, 0.12)),
        hair=choose(random, HAIR),
        hairstyle=choose(random, ("bald", "short", "bob", "long", "tail", "bun", "afro"), (4, 34, 16, 22, 10, 7, 7)),
        beard=bool(random.random() < 0.15),
    )


def draw_clothes(random: np.random.Generator, wardrobe: Wardrobe) -> Clothes:
    """Sample the clothes and the bag of a person."""
    color, second = dye(random, wardrobe.upper), dye(random, wardrobe.accent)
    texture = choose(random, TEXTURES, wardrobe.textures)
    upper = Fabric(
        *color,
        *second,
        texture,
        float(random.uniform(9, 15)),
        float(random.uniform()),
        float(random.uniform(0.3, 0.6)),
    )
    sleeve = choose(random, ("none", "short", "long"), wardrobe.sleeves)
    match = random.random()
    sleeve_fabric = upper if texture in (RINGS, CHECK, STRIPES) else plain(color)
    if match < 0.2:
        sleeve_fabric = plain(second)
    legwear, length = choose(
        random, (("trousers", 1.0), ("shorts", 0.45), ("skirt", 0.42), ("skirt", 0.75)), wardrobe.legs
    )
    lower_color = dye(random, wardrobe.lower)
    lower = plain(lower_color)
    pattern = random.random()
    if legwear == "trousers" and pattern < 0.14:
        lower = Fabric(*lower_color, *dye(random, wardrobe.accent), SIDE, 0.0, 0.0, 0.0)
    elif legwear == "skirt" and pattern < 0.35:
        lower = Fabric(*lower_color, *dye(random, wardrobe.accent), CHECK, 12.0, 0.0, 0.4)
    if legwear == "skirt" and random.random() < 0.4:  # a dress: the same fabric all over
        lower = plain(color) if texture not in (RINGS, CHECK, STRIPES) else upper
    coat = bool(random.random() < wardrobe.coat)
    return Clothes(
        upper=upper,
        sleeve="long" if coat else sleeve,
        sleeve_fabric=sleeve_fabric,
        hem=float(random.uniform(0.3, 0.62)) if coat else float(random.uniform(-0.04, 0.1)),
        lower=lower,
        legwear=legwear,
        legwear_length=length * float(random.uniform(0.92, 1.05)) if legwear != "trousers" else 1.0,
        shoes=dye(random, wardrobe.shoes),
        hat=choose(random, ("cap", "beanie", "brim")) if random.random() < wardrobe.hat else "none",
        hat_color=dye(random, wardrobe.accent),
        scarf=dye(random, wardrobe.accent) if random.random() < wardrobe.scarf else None,
        hood=bool(random.random() < wardrobe.hood),
        belt=dye(random, wardrobe.shoes) if random.random() < 0.2 else None,
        bag=choose(random, ("none", "backpack", "handbag", "shoulder"), wardrobe.bags),
        bag_side=choose(random, (-1.0, 1.0)),
        bag_size=float(random.uniform(0.85, 1.25)),
        bag_color=dye(random, wardrobe.accent),
    )
