"""How a body stands before the camera: the projection from body coordinates to the image."""

import math
from dataclasses import dataclass

from harness.drawn.layers import Point


@dataclass(frozen=True)
class Pose:
    """Where an object is and which way it faces.

    `heading` is the angle between its front and the viewer (0: it comes towards us, pi: it goes away, pi/2: it goes to
    the right), `pitch` how far the camera looks down, `tilt` how far it leans, `phase` the moment of its gait; all in
    radians. `x` and `ground` (image heights) say where its feet (a vehicle: its centre) are, `scale` how many image
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
    """Orthographic: body coordinates are x to the object's left, y up, z forward."""

    def __init__(self, pose: Pose) -> None:
        self.pose = pose
        self.cos, self.sin = math.cos(pose.heading), math.sin(pose.heading)
        self._up, self._down = math.cos(pose.pitch), math.sin(pose.pitch)

    def point(self, x: float, y: float, z: float) -> Point:
        pose = self.pose
        depth = z * self.cos - x * self.sin
        return (
            pose.x + pose.scale * (x * self.cos + z * self.sin + pose.tilt * y),
            pose.ground - pose.scale * (y * self._up - depth * self._down),
        )

    def depth(self, x: float, z: float) -> float:
        """How much nearer to the viewer than the body's axis."""
        return z * self.cos - x * self.sin

    def half_width(self, across: float, along: float) -> float:
        """The visible half-width (image heights) of an elliptic cross-section with these half-axes."""
        return self.pose.scale * math.sqrt((across * self.cos) ** 2 + (along * self.sin) ** 2)
