"""Render a vehicle as layers: frusta whose visible faces carry windows, doors, lamps and decals, from far to near."""

import math
from collections.abc import Iterator
from dataclasses import replace

from harness.drawn.frusta import Face, Frustum, shape
from harness.drawn.layers import Color, Layer, blend, darker, ellipse, plain, quad, shadow
from harness.drawn.pose import Pose, Projection
from harness.drawn.vehicles import Vehicle, VehicleBody

TIRE: Color = (0.07, 0.07, 0.08)
HEADLAMP: Color = (0.95, 0.94, 0.84)
TAILLAMP: Color = (0.78, 0.08, 0.08)
DARK: Color = (0.09, 0.09, 0.1)


def coachwork(vehicle: Vehicle, pose: Pose) -> list[Layer]:
    """Return the layers of one vehicle; the pose gives the center of its bounding box and the longer side as scale."""
    return _Coachwork(vehicle, _fit(vehicle.body, pose)).layers


def _fit(body: VehicleBody, pose: Pose) -> Pose:
    """Return the pose at which the projected vehicle fills its bounding box, as in a detector's crop."""
    view = Projection(replace(pose, x=0.0, ground=0.0, scale=1.0))
    corners = [
        view.point(x * 0.5 * body.width, y * body.height, z * 0.5 * body.length)
        for x in (-1, 1)
        for y in (0, 1)
        for z in (-1, 1)
    ]
    left, right = min(x for x, _ in corners), max(x for x, _ in corners)
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    scale = pose.scale / max(right - left, bottom - top)
    return replace(
        pose, x=pose.x - 0.5 * scale * (left + right), ground=pose.ground - 0.5 * scale * (top + bottom), scale=scale
    )


class _Coachwork:
    """Layers of one vehicle, collected while its parts are drawn."""

    def __init__(self, vehicle: Vehicle, pose: Pose) -> None:
        self.body, self.paint = vehicle.body, vehicle.paint
        self.view = Projection(pose)
        self.scale = pose.scale
        self.layers: list[Layer] = []
        self._draw()

    def _draw(self) -> None:
        parts = shape(self.body)
        reach = 0.5 * math.hypot(self.body.length * self.view.sin, self.body.width * self.view.cos)
        self.layers.append(shadow(self.view.point(0, 0.01, 0), 1.25 * reach * self.scale, 0.2 * self.scale, 0.75))
        self._wheels(-self._near())
        if parts.chassis is not None:
            self._painted(parts.chassis, DARK)
        cab_is_nearer = self.view.cos > 0
        if parts.cargo is not None and cab_is_nearer:
            self._cargo(parts.cargo)
        self._painted(parts.hull, self.paint.color)
        for face in self._faces(parts.hull):
            self._lower(face)
        self._wheels(self._near())
        self._glazed(parts.cabin)
        if parts.chassis is not None:
            self._truck_lamps(parts.chassis)
        if parts.cargo is not None and not cab_is_nearer:
            self._cargo(parts.cargo)

    def _near(self) -> float:
        return 1.0 if self.view.depth(1.0, 0.0) > 0 else -1.0

    def _faces(self, part: Frustum) -> Iterator[Face]:
        """Yield the visible walls: those whose corners run clockwise in the image."""
        w, t, low, high = part.half_width, part.top_half_width, part.low, part.high
        r, f = part.rear * self.body.length, part.front * self.body.length
        tr, tf = part.top_rear * self.body.length, part.top_front * self.body.length
        walls = {
            "front": ((-t, high, tf), (t, high, tf), (w, low, f), (-w, low, f)),
            "rear": ((t, high, tr), (-t, high, tr), (-w, low, r), (w, low, r)),
            "left": ((t, high, tf), (t, high, tr), (w, low, r), (w, low, f)),
            "right": ((-t, high, tr), (-t, high, tf), (-w, low, f), (-w, low, r)),
            "top": ((-t, high, tr), (t, high, tr), (t, high, tf), (-t, high, tf)),
        }
        for name, wall in walls.items():
            a, b, c, d = (self.view.point(*corner) for corner in wall)
            if (c[0] - a[0]) * (d[1] - b[1]) - (c[1] - a[1]) * (d[0] - b[0]) > 0:
                yield Face(name, (a, b, c, d))

    def _painted(self, part: Frustum, color: Color) -> None:
        for face in self._faces(part):
            self.layers.append(quad(face.corners, _lit(color, face), shade=0.0 if face.name == "top" else 0.22))

    def _patch(self, face: Face, area: tuple[float, float, float, float], color: Color, shade: float = 0.0) -> None:
        self.layers.append(quad(face.patch(*area), color, shade))

    def _lower(self, face: Face) -> None:
        """Draw the details of a wall below the windows: lamps, plate, bumper, decals."""
        body, paint = self.body, self.paint
        if face.name == "top":
            if body.type == "pickup":  # the open bed
                self._patch(face, (0.08, 0.02, 0.92, 0.38), DARK)
            self._stripes(face)
            return
        if face.name in ("left", "right"):
            self._side(face)
            return
        if paint.decal == "twotone" and body.type != "truck":
            self._patch(face, (0.0, 0.5, 1.0, 1.0), _lit(paint.decal_color, face))
        self._patch(face, (0.0, 0.66, 1.0, 1.0), _lit(paint.bumper, face))
        if paint.decal in ("lettering", "panel") and face.name == "rear":
            self._patch(face, (0.3, 0.1, 0.7, 0.3), _lit(paint.decal_color, face))
        plate = (0.38, 0.68, 0.62, 0.86) if face.name == "front" else (0.36, 0.4, 0.64, 0.6)
        self._patch(face, plate, paint.plate)
        lamp = HEADLAMP if face.name == "front" else TAILLAMP
        if face.name == "front":
            self._patch(face, (0.28, 0.22, 0.72, 0.5), darker(DARK, 1.4))
            self._patch(face, (0.3, 0.33, 0.7, 0.38), (0.6, 0.6, 0.62))
        for left in (True, False):
            area = {
                "wide": (0.03, 0.2, 0.24, 0.42),
                "tall": (0.02, 0.08, 0.13, 0.58),
                "round": (0.06, 0.2, 0.2, 0.5),
            }[body.lamps]
            if not left:
                area = (1.0 - area[2], area[1], 1.0 - area[0], area[3])
            if body.lamps == "round":
                (ax, ay), _, (cx, cy), _ = face.patch(*area)
                center = (0.5 * (ax + cx), 0.5 * (ay + cy))
                radii = 0.5 * abs(cx - ax) + 0.004, 0.5 * abs(cy - ay)
                self.layers.append(ellipse(center, *radii, plain(lamp), shade=0.2))
            else:
                self._patch(face, area, lamp)

    def _side(self, face: Face) -> None:
        body, paint = self.body, self.paint
        line = _lit(darker(paint.color, 0.62), face)
        decal = _lit(paint.decal_color, face)
        if body.type != "truck":
            if paint.decal == "twotone":
                self._patch(face, (0.0, 0.52, 1.0, 1.0), decal, 0.2)
            elif paint.decal == "stripe":
                top = 0.2 + 0.3 * paint.decal_place
                self._patch(face, (0.0, top, 1.0, top + 0.16), decal)
            elif paint.decal == "door":
                self._patch(face, (0.36, 0.14, 0.56, 0.86), decal, 0.2)
            for door in (0.34, 0.56, 0.76) if body.type != "bus" else (0.1, 0.2, 0.55, 0.65):
                self._patch(face, (door, 0.05, door + 0.008, 0.92), line)
        if paint.decal == "panel":
            left = 0.3 + 0.25 * paint.decal_place
            self._patch(face, (left, 0.15, left + 0.2, 0.7), decal)
        elif paint.decal == "lettering":
            for k in range(5):
                left = 0.3 + 0.15 * paint.decal_place + 0.06 * k
                self._patch(face, (left, 0.28, left + 0.038, 0.6), decal)
        self._patch(face, (0.0, 0.86, 1.0, 1.0), _lit(paint.bumper, face))
        self._patch(face, (0.0, 0.18, 0.035, 0.42), HEADLAMP)
        self._patch(face, (0.97, 0.16, 1.0, 0.45), TAILLAMP)

    def _wheels(self, side: float) -> None:
        body = self.body
        flat = abs(self.view.sin)
        places = [0.5 * body.wheelbase, -0.5 * body.wheelbase]
        if body.type == "truck":
            places = [0.36, -0.26, -0.4]
        elif body.type == "bus":
            places = [0.3, -0.3]
        for place in places:
            x, y = self.view.point(side * 0.44 * body.width, body.wheel, place * body.length)
            across = (flat * body.wheel + 0.12 * body.wheel * abs(self.view.cos)) * self.scale
            tall = body.wheel * self.scale
            self.layers.append(ellipse((x, y), 1.12 * across, 1.1 * tall, plain(TIRE), shade=0.0))
            if side == self._near() and flat > 0.25:
                rim = plain(self.paint.rim)
                self.layers.append(ellipse((x, y), 0.62 * flat * tall, 0.62 * tall, rim, shade=0.5))
                self.layers.append(ellipse((x, y), 0.2 * flat * tall, 0.2 * tall, plain(darker(DARK, 1.5)), shade=0.0))

    def _glazed(self, part: Frustum) -> None:
        body, paint = self.body, self.paint
        for face in self._faces(part):
            color = paint.roof if face.name == "top" else blend(paint.roof, paint.color, 0.7)
            self.layers.append(quad(face.corners, _lit(color, face)))
            if face.name == "top":
                self._roof(face)
            elif face.name in ("left", "right"):
                for left, right in _side_windows(body.type):
                    self._patch(face, (left, 0.14, right, 0.92), darker(paint.glass, 1.15), -0.3)
            elif face.name == "front" or body.type not in ("van", "truck"):
                self._patch(face, (0.07, 0.1, 0.93, 0.94), paint.glass, -0.35)
                if face.name == "front" and paint.sticker is not None:
                    self._patch(face, (paint.sticker, 0.14, paint.sticker + 0.12, 0.38), paint.decal_color)
            else:
                self._patch(face, (0.14, 0.18, 0.46, 0.8), paint.glass, -0.35)
                self._patch(face, (0.54, 0.18, 0.86, 0.8), paint.glass, -0.35)
        if paint.sign is not None and body.type in ("sedan", "hatchback"):
            z = 0.5 * (part.top_rear + part.top_front)
            for face in self._faces(
                Frustum(z - 0.03, z + 0.03, 0.08, part.high, z - 0.02, z + 0.02, 0.07, part.high + 0.04)
            ):
                self.layers.append(quad(face.corners, _lit(paint.sign, face)))

    def _stripes(self, face: Face) -> None:
        """Continue the stripes of a striped vehicle over its hood and roof."""
        if self.paint.decal == "stripe":
            for left in (0.34, 0.56):
                self._patch(face, (left, 0.0, left + 0.1, 1.0), _lit(self.paint.decal_color, face))

    def _roof(self, face: Face) -> None:
        self._stripes(face)
        if self.body.sunroof:
            self._patch(face, (0.18, 0.3, 0.82, 0.75), darker(DARK, 1.3))
        if self.body.rack:
            self._patch(face, (0.04, 0.04, 0.11, 0.96), darker(DARK, 1.8))
            self._patch(face, (0.89, 0.04, 0.96, 0.96), darker(DARK, 1.8))

    def _cargo(self, part: Frustum) -> None:
        self._painted(part, self.paint.cargo)
        for face in self._faces(part):
            if face.name in ("left", "right") and self.paint.decal != "none":
                left = 0.15 + 0.3 * self.paint.decal_place
                tall = 0.62 if self.paint.decal in ("panel", "door") else 0.42
                self._patch(face, (left, 0.22, left + 0.4, tall), _lit(self.paint.decal_color, face))
            elif face.name == "rear":
                self._patch(face, (0.49, 0.03, 0.51, 0.97), darker(self.paint.cargo, 0.55))

    def _truck_lamps(self, bed: Frustum) -> None:
        for face in self._faces(bed):
            if face.name == "rear":
                self._patch(face, (0.04, 0.1, 0.2, 0.6), TAILLAMP)
                self._patch(face, (0.8, 0.1, 0.96, 0.6), TAILLAMP)
                self._patch(face, (0.38, 0.2, 0.62, 0.8), self.paint.plate)


def _lit(color: Color, face: Face) -> Color:
    return darker(color, {"top": 1.14, "front": 0.98, "rear": 0.9, "left": 0.94, "right": 0.86}[face.name])


def _side_windows(kind: str) -> tuple[tuple[float, float], ...]:
    """Return (front end, rear end) of every side window, as fractions of the cabin's length from its front."""
    if kind == "bus":
        return tuple((0.03 + 0.138 * k, 0.15 + 0.138 * k) for k in range(7))
    if kind == "van":
        return ((0.08, 0.3),)
    if kind in ("truck", "pickup"):
        return ((0.14, 0.86),)
    if kind == "suv":
        return ((0.08, 0.36), (0.4, 0.66), (0.7, 0.94))
    return ((0.1, 0.47), (0.52, 0.88))
