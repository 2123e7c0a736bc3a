"""Moments: everything that differs between two images of the same subject by the same camera."""

import math
from dataclasses import dataclass

from harness.drawn.cameras import Camera
from harness.drawn.domains import Scenery
from harness.drawn.layers import Layer, box, capsule, plain
from harness.drawn.people import choose
from harness.drawn.pose import Pose
from harness.drawn.schedule import JUNK, Shot
from harness.drawn.spec import DrawnSpec
from harness.drawn.streams import stream

FILL = {"person": 0.9, "vehicle": 0.92}  # fraction of the image that a well-fitted object takes
ANCHOR = {"person": 0.96, "vehicle": 0.52}  # vertical position of a pedestrian's feet, of a vehicle's center


@dataclass(frozen=True)
class Moment:
    """One image: pose, companion, occluder, light, background window and noise seed."""

    pose: Pose
    companion: Pose | None
    companion_number: int
    occluder: list[Layer]
    illumination: float
    window: tuple[float, float]  # where in the scene, each in [0, 1]
    noise_seed: int


def draw_moment(spec: DrawnSpec, camera: Camera, scenery: Scenery, shot: Shot) -> Moment:
    """Sample the moment of one image, from a random stream of its own."""
    random = stream(f"image {spec.domain}", spec.seed, shot.subject, shot.camera, shot.index)
    look = spec.image
    aspect = spec.width / spec.height
    heading = camera.heading + (math.pi if random.random() < 0.35 else 0.0)
    if random.random() >= look.view_concentration:
        heading = random.uniform(-math.pi, math.pi)
    heading += random.normal(0.0, 0.3)
    scale = random.uniform(*look.scale) * FILL[spec.kind]
    x = 0.5 * aspect + random.normal(0.0, look.jitter) * 0.7
    ground = ANCHOR[spec.kind] + random.normal(0.0, look.jitter)
    if shot.identity == JUNK:  # cropped so that less than half of the subject is left
        x += choose(random, (-1.0, 1.0)) * random.uniform(0.22, 0.32) * aspect / 0.5
        ground += choose(random, (-1.0, 1.0)) * random.uniform(0.25, 0.4)
    pose = Pose(
        x=float(x),
        ground=float(ground),
        scale=float(scale),
        heading=float(math.remainder(heading, 2 * math.pi)),
        pitch=camera.pitch,
        tilt=float(random.normal(0.0, 0.025)),
        phase=float(random.uniform(0.0, 2 * math.pi)),
    )
    companion = None
    if random.random() < look.companion:
        side = choose(random, (-1.0, 1.0))
        companion = Pose(
            x=0.5 * aspect + side * float(random.uniform(0.42, 0.55)) * aspect,
            ground=float(ground) - float(random.uniform(0.0, 0.04)),
            scale=float(scale) * float(random.uniform(0.92, 1.0)),
            heading=float(random.uniform(-math.pi, math.pi)),
            pitch=camera.pitch,
            tilt=0.0,
            phase=float(random.uniform(0.0, 2 * math.pi)),
        )
    occluder: list[Layer] = []
    if random.random() < look.occlusion:
        color = choose(random, scenery.detail)
        kind = int(random.integers(3))
        if kind == 0:  # a low wall
            occluder = [box(-1.0, float(random.uniform(0.68, 0.82)), 2.0, 1.1, color, 0.2)]
        elif kind == 1:  # a post
            post = float(random.uniform(0.2, 0.8)) * aspect
            occluder = [capsule((post, -0.1), (post, 1.1), 0.022, 0.024, plain(color))]
        else:  # the corner of a house
            edge = float(random.uniform(0.22, 0.34)) * aspect
            left = random.random() < 0.5
            occluder = [
                box(-0.1, -0.1, edge, 1.1, color, 0.1) if left else box(aspect - edge, -0.1, 2.0, 1.1, color, 0.1)
            ]
    return Moment(
        pose=pose,
        companion=companion,
        companion_number=int(random.integers(64)),
        occluder=occluder,
        illumination=float(math.exp(random.normal(0.0, look.illumination))),
        window=(float(random.random()), float(random.random())),
        noise_seed=int(random.integers(1, 2**62)),
    )
