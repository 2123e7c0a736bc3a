"""Geometry of vehicles: each type is built of frusta, boxes with sloping walls."""

from dataclasses import dataclass

from harness.drawn.layers import Point
from harness.drawn.vehicles import VehicleBody


@dataclass(frozen=True)
class Frustum:
    """A box with sloping walls; z runs from rear to front in fractions of the length, the rest are lengths."""

    rear: float
    front: float
    half_width: float
    low: float
    top_rear: float
    top_front: float
    top_half_width: float
    high: float


@dataclass(frozen=True)
class Face:
    """A visible wall. `corners`: top left, top right, bottom right, bottom left, seen from outside."""

    name: str  # front, rear, left, right, top
    corners: tuple[Point, Point, Point, Point]

    def patch(self, left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
        """Return the corners of a part of the wall, given in fractions of its width and height.

        On a side wall, `left` counts from the front of the vehicle.
        """
        if self.name == "right":
            left, right = 1.0 - right, 1.0 - left
        return (self._at(left, top), self._at(right, top), self._at(right, bottom), self._at(left, bottom))

    def _at(self, u: float, v: float) -> Point:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = self.corners
        a, b, c, d = (1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v
        return (a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy)


@dataclass(frozen=True)
class Shape:
    """Frusta of one vehicle; only trucks have a chassis and cargo."""

    hull: Frustum
    cabin: Frustum  # with the windows
    chassis: Frustum | None = None
    cargo: Frustum | None = None


def shape(body: VehicleBody) -> Shape:
    """Return the frusta of a vehicle of this body type."""
    half, low, high = 0.5 * body.width, body.clearance, body.height
    belt = low + body.belt * (high - low)
    nose = 0.5 - 0.25 * body.bonnet
    hull = Frustum(-0.5, 0.5, half, low, -0.485, 0.485, 0.97 * half, belt)

    def cabin(rear: float, front: float, top_rear: float, top_front: float, top: float = 0.78) -> Frustum:
        return Frustum(rear, front, 0.95 * half, belt, top_rear, top_front, top * half, high)

    if body.type == "sedan":
        return Shape(hull, cabin(-0.36, nose - 0.02, -0.24, nose - 0.17))
    if body.type == "hatchback":
        return Shape(hull, cabin(-0.485, nose, -0.38, nose - 0.15))
    if body.type == "suv":
        return Shape(hull, cabin(-0.485, nose - 0.02, -0.43, nose - 0.13))
    if body.type == "pickup":
        return Shape(hull, cabin(-0.1, nose - 0.01, -0.06, nose - 0.12))
    if body.type == "van":
        return Shape(hull, cabin(-0.485, 0.4, -0.47, 0.24, 0.86))
    if body.type == "bus":
        return Shape(hull, cabin(-0.485, 0.485, -0.48, 0.47, 0.92))
    deck, belt = low + 0.22 * (high - low), low + 0.5 * (high - low)
    return Shape(
        hull=Frustum(0.24, 0.5, 0.96 * half, deck, 0.24, 0.495, 0.95 * half, belt),
        cabin=Frustum(0.24, 0.495, 0.95 * half, belt, 0.25, 0.44, 0.86 * half, 0.86 * high),
        chassis=Frustum(-0.5, 0.5, 0.9 * half, low, -0.5, 0.49, 0.9 * half, deck),
        cargo=Frustum(-0.5, 0.21, half, deck, -0.5, 0.21, half, high),
    )
