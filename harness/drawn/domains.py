"""Domains: the clothes, colors and scenes of each (winter, summer, generic, traffic)."""

from dataclasses import dataclass

from harness.drawn.layers import Color


def _rgb(hexadecimal: str) -> Color:
    return (int(hexadecimal[0:2], 16) / 255, int(hexadecimal[2:4], 16) / 255, int(hexadecimal[4:6], 16) / 255)


def _palette(colors: str) -> tuple[Color, ...]:
    """Parse hexadecimal colors; a repeated one is worn by more people.

    Palettes are small on purpose, so that color alone does not identify anybody.
    """
    return tuple(_rgb(code) for code in colors.split())


SKIN = _palette("f2cfb4 e8b896 c98f68 9a6442 5f3d28")
HAIR = _palette("191513 191513 3a2618 5d3c22 8a6238 c9a468 8d8a86")


@dataclass(frozen=True)
class Wardrobe:
    """Clothes of a domain: palettes, and the probability of every garment."""

    upper: tuple[Color, ...]
    lower: tuple[Color, ...]
    accent: tuple[Color, ...]  # second colors, hats, bags, scarves
    shoes: tuple[Color, ...]
    textures: tuple[float, ...]  # weights of solid, rings, stripes, check, yoke, logo, open, band
    sleeves: tuple[float, float, float]  # weights of none, short, long
    legs: tuple[float, float, float, float]  # weights of trousers, shorts, short skirt, long skirt
    coat: float
    hat: float
    scarf: float
    hood: float
    bags: tuple[float, float, float, float]  # weights of none, backpack, handbag, shoulder bag


@dataclass(frozen=True)
class Scenery:
    """Background of a domain: kind of scene, and palettes for its parts."""

    family: str  # street, plaza, park or road
    horizon: tuple[float, float]  # where the wall meets the floor
    wall: tuple[Color, ...]
    floor: tuple[Color, ...]
    detail: tuple[Color, ...]


WARDROBES = {
    "winter": Wardrobe(
        upper=_palette("23252b 23252b 2d3650 2d3650 4a4d52 6a5a48 5b2f36 3f4a3c 7d7f82 b3aa9a"),
        lower=_palette("1f2126 1f2126 2c3448 2c3448 45474c 5d5245 6f7277"),
        accent=_palette("8c2f34 c2b8a6 2a3d66 1d1f22 5b6b4a b58a4a 7b7e86 e0ddd6"),
        shoes=_palette("1a1a1c 1a1a1c 3d2e24 5a5a5e b9b7b2"),
        textures=(0.34, 0.12, 0.07, 0.10, 0.12, 0.06, 0.11, 0.08),
        sleeves=(0.0, 0.05, 0.95),
        legs=(0.82, 0.0, 0.08, 0.10),
        coat=0.42,
        hat=0.34,
        scarf=0.30,
        hood=0.22,
        bags=(0.42, 0.24, 0.16, 0.18),
    ),
    "summer": Wardrobe(
        upper=_palette("f3f0e8 f3f0e8 d93a34 2f6fc4 f2c53c 2fa39a e87d9b 27292e 58a84a f08a35"),
        lower=_palette("2b3f66 2b3f66 4d7fb8 26262a efe9dc b99b6b 7f8a45 c24a52"),
        accent=_palette("ffffff e2382f 1f57b0 f6d143 22a08c 202226 f07fb0 7a4bb0"),
        shoes=_palette("f4f2ee f4f2ee 2a2a2c b5763e d2403a 3d6fc0"),
        textures=(0.27, 0.16, 0.10, 0.10, 0.09, 0.15, 0.05, 0.08),
        sleeves=(0.22, 0.63, 0.15),
        legs=(0.40, 0.30, 0.20, 0.10),
        coat=0.0,
        hat=0.22,
        scarf=0.0,
        hood=0.0,
        bags=(0.45, 0.22, 0.16, 0.17),
    ),
    "generic": Wardrobe(
        upper=_palette("5c4a7d 5c4a7d 3c6b52 3c6b52 8a7a3a a3563c 2f2f38 c9cbb8 6f8fa0"),
        lower=_palette("3a3a44 3a3a44 6b6f52 6b6f52 4c3f5e 8c7c66 25323a"),
        accent=_palette("d9d4b0 3f2a56 1f4d3f c77d3a 26262c 9fb8b0 8e3b5a"),
        shoes=_palette("2b2624 2b2624 6b5a48 8f948c d5d2c4"),
        textures=(0.30, 0.10, 0.14, 0.12, 0.08, 0.08, 0.10, 0.08),
        sleeves=(0.08, 0.35, 0.57),
        legs=(0.62, 0.12, 0.14, 0.12),
        coat=0.16,
        hat=0.25,
        scarf=0.08,
        hood=0.10,
        bags=(0.45, 0.22, 0.16, 0.17),
    ),
}

SCENERIES = {
    "winter": Scenery(
        "street",
        (0.3, 0.52),
        wall=_palette("6d6a68 7b7370 5f6468 83807a 6f5f58"),
        floor=_palette("9a9c9f 8a8c90 a7a8aa 7d7f83"),
        detail=_palette("3a3f47 4d4845 2f3a44 5d564f c9ccd0"),
    ),
    "summer": Scenery(
        "plaza",
        (0.3, 0.52),
        wall=_palette("e2d3b8 d8c4a4 ece3d2 cfc3b0 dcb894"),
        floor=_palette("d9cbb2 c9bba2 e3d8c4 bfae96"),
        detail=_palette("8fb4bf b5654a f2efe6 7fa070 9a7a58"),
    ),
    "generic": Scenery(
        "park",
        (0.3, 0.52),
        wall=_palette("5d7a4a 6b8552 4c6a48 7c8c58 587050"),
        floor=_palette("a59a78 8f9a68 b3a88a 7f9060"),
        detail=_palette("4a3a2a 3d5a38 6a5440 8a9a70 c9c8b8"),
    ),
    "traffic": Scenery(
        "road",
        (0.08, 0.28),
        wall=_palette("7c8a80 8b8f90 6f7f6a 9a9a94 84806f"),
        floor=_palette("6f7275 7d7f80 66696d 8a8a88"),
        detail=_palette("b9bcbf 5a6066 8f8a7a 4d5a52"),
    ),
}
