"""A drawing of a body under way: places given in the body's own coordinates become layers of the image."""

from harness.drawn.layers import Fabric, Layer, Point, capsule, ellipse, lathe
from harness.drawn.pose import Pose, Projection

Joint = tuple[float, float, float]  # to the body's left, up, forward; shares of the stature


class Sketch:
    """Layers drawn so far. `drop` is how far a stride lowers the body; radii are shares of the stature."""

    def __init__(self, pose: Pose, drop: float) -> None:
        self.view = Projection(pose)
        self.scale = pose.scale
        self.heading = pose.heading
        self.drop = drop
        self.layers: list[Layer] = []

    def at(self, joint: Joint) -> Point:
        return self.view.point(joint[0], joint[1] - self.drop, joint[2])

    def width(self, across: float, along: float) -> float:
        """The visible half-width of a round part whose half-axes lie across the body and along its heading."""
        return self.view.half_width(across, along) / self.scale

    def limb(self, a: Joint, b: Joint, radius_a: float, radius_b: float, fabric: Fabric) -> None:
        scale = self.scale
        self.layers.append(capsule(self.at(a), self.at(b), radius_a * scale, radius_b * scale, fabric, self.heading))

    def trunk(
        self, top: Joint, bottom: Joint, widths: tuple[float, float, float], roundness: float, fabric: Fabric
    ) -> None:
        a, b, c = widths
        scaled = (a * self.scale, b * self.scale, c * self.scale)
        self.layers.append(lathe(self.at(top), self.at(bottom), scaled, roundness, fabric, self.heading))

    def ball(self, centre: Joint, radius_x: float, radius_y: float, fabric: Fabric, shade: float = 0.3) -> None:
        self.layers.append(ellipse(self.at(centre), radius_x * self.scale, radius_y * self.scale, fabric, shade))
