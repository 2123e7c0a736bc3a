"""Poses: where a body stands, its projection into the image, and limbs drawn through that projection."""

import math
from dataclasses import dataclass

from harness.drawn.layers import Fabric, Layer, Point, capsule, ellipse, lathe

Joint = tuple[float, float, float]
"""A point of a body, as shares of its stature: to its left, up, forward."""


@dataclass(frozen=True)
class Pose:
    """Position and orientation of an object in the image.

    `heading` is the angle between its front and the viewer (0: it comes towards us, pi: it goes away, pi/2: it goes to
    the right), `pitch` how far the camera looks down, `tilt` how far it leans, `phase` the moment of its gait; all in
    radians. `x` and `ground` (image heights) say where its feet (a vehicle: its center) are, `scale` how many image
    heights one unit of length is.
    """

    x: float
    ground: float
    scale: float
    heading: float
    pitch: float
    tilt: float
    phase: float


class Projection:
    """Orthographic projection of body coordinates (x to the object's left, y up, z forward) into the image."""

    def __init__(self, pose: Pose) -> None:
        self.pose = pose
        self.cos, self.sin = math.cos(pose.heading), math.sin(pose.heading)
        self._up, self._down = math.cos(pose.pitch), math.sin(pose.pitch)

    def point(self, x: float, y: float, z: float) -> Point:
        """Project a point of the body into the image, in image heights."""
        pose = self.pose
        depth = z * self.cos - x * self.sin
        return (
            pose.x + pose.scale * (x * self.cos + z * self.sin + pose.tilt * y),
            pose.ground - pose.scale * (y * self._up - depth * self._down),
        )

    def depth(self, x: float, z: float) -> float:
        """Return how much nearer to the viewer a point is than the body's axis."""
        return z * self.cos - x * self.sin

    def half_width(self, across: float, along: float) -> float:
        """Return the visible half-width (image heights) of an elliptic cross-section with these half-axes."""
        return self.pose.scale * math.sqrt((across * self.cos) ** 2 + (along * self.sin) ** 2)


class Sketch:
    """Layers of one body, drawn through a pose: joints and radii are fractions of the stature.

    `drop` is how far a stride lowers the body.
    """

    def __init__(self, pose: Pose, drop: float) -> None:
        self.view = Projection(pose)
        self.scale = pose.scale
        self.heading = pose.heading
        self.drop = drop
        self.layers: list[Layer] = []

    def at(self, joint: Joint) -> Point:
        """Project a joint into the image."""
        return self.view.point(joint[0], joint[1] - self.drop, joint[2])

    def width(self, across: float, along: float) -> float:
        """Return the visible half-width of a round part whose half-axes lie across the body and along its heading."""
        return self.view.half_width(across, along) / self.scale

    def limb(self, a: Joint, b: Joint, radius_a: float, radius_b: float, fabric: Fabric) -> None:
        """Draw a limb from joint a to joint b."""
        scale = self.scale
        self.layers.append(capsule(self.at(a), self.at(b), radius_a * scale, radius_b * scale, fabric, self.heading))

    def trunk(
        self, top: Joint, bottom: Joint, widths: tuple[float, float, float], roundness: float, fabric: Fabric
    ) -> None:
        """Draw a round body between two joints, with half-widths at its top, middle and bottom."""
        a, b, c = widths
        scaled = (a * self.scale, b * self.scale, c * self.scale)
        self.layers.append(lathe(self.at(top), self.at(bottom), scaled, roundness, fabric, self.heading))

    def ball(self, center: Joint, radius_x: float, radius_y: float, fabric: Fabric, shade: float = 0.3) -> None:
        """Draw an ellipsoid."""
        self.layers.append(ellipse(self.at(center), radius_x * self.scale, radius_y * self.scale, fabric, shade))
