"""Studio: renders any image of a drawn dataset, alone and in any order."""

import numpy as np
from numpy.typing import NDArray

from harness.drawn.cameras import draw_camera
from harness.drawn.coachwork import coachwork
from harness.drawn.domains import SCENERIES, WARDROBES
from harness.drawn.figure import figure
from harness.drawn.layers import Layer
from harness.drawn.moments import draw_moment
from harness.drawn.people import Person, draw_body, draw_clothes
from harness.drawn.pose import Pose
from harness.drawn.raster import LAYER_FLOATS, crop, expose, paint
from harness.drawn.scenes import MARGIN, STRIP, draw_scene
from harness.drawn.schedule import Shot
from harness.drawn.spec import DrawnSpec
from harness.drawn.streams import stream
from harness.drawn.vehicles import Vehicle, draw_vehicle_body, draw_vehicle_paint

PASSERS = 30_000  # first number of the subjects in the background


class Studio:
    """Cameras, scenes and subjects of one domain; subjects are sampled on first use."""

    def __init__(self, spec: DrawnSpec) -> None:
        self.spec = spec
        self.scenery = SCENERIES[spec.domain]
        self.cameras = [draw_camera(spec, number + 1) for number in range(spec.cameras)]
        self.scenes = [self._scene(number + 1) for number in range(spec.cameras)]
        self._people: dict[int, Person] = {}
        self._vehicles: dict[int, Vehicle] = {}

    def draw(self, shot: Shot) -> NDArray[np.uint8]:
        """Render one image, uint8 [height, width, 3], before compression."""
        spec = self.spec
        camera, scene = self.cameras[shot.camera - 1], self.scenes[shot.camera - 1]
        moment = draw_moment(spec, camera, self.scenery, shot)
        x = moment.window[0] * (scene.shape[1] - spec.width)
        y = moment.window[1] * (scene.shape[0] - spec.height)
        canvas = crop(scene, x, y, spec.height, spec.width)
        layers: list[Layer] = []
        if moment.companion is not None:
            layers += self._subject(PASSERS + moment.companion_number, moment.companion)
        layers += self._subject(shot.subject, moment.pose)
        layers += moment.occluder
        paint(canvas, _array(layers), camera.light)
        gain = camera.gain * moment.illumination
        blur = camera.blur * spec.height / 64
        return expose(canvas, gain, camera.saturation, camera.curve, blur, camera.noise, moment.noise_seed)

    def quality(self, shot: Shot) -> int:
        """Return the JPEG quality of the camera that takes this image."""
        return self.cameras[shot.camera - 1].quality

    def _subject(self, number: int, pose: Pose) -> list[Layer]:
        if self.spec.kind == "vehicle":
            return coachwork(self.vehicle(number), pose)
        return figure(self.person(number), pose)

    def vehicle(self, number: int) -> Vehicle:
        """Return vehicle `number`; it depends on nothing else that is drawn."""
        if number not in self._vehicles:
            domain, seed = self.spec.domain, self.spec.seed
            body = draw_vehicle_body(stream(f"body {domain}", seed, number))
            self._vehicles[number] = Vehicle(body, draw_vehicle_paint(stream(f"paint {domain}", seed, number)))
        return self._vehicles[number]

    def person(self, number: int) -> Person:
        """Return person `number`; it depends on nothing else that is drawn."""
        if number not in self._people:
            domain, seed = self.spec.domain, self.spec.seed
            body = draw_body(stream(f"body {domain}", seed, number))
            self._people[number] = Person(
                body, draw_clothes(stream(f"clothes {domain}", seed, number), WARDROBES[domain])
            )
        return self._people[number]

    def _scene(self, number: int) -> NDArray[np.float32]:
        layers = draw_scene(stream(f"scene {self.spec.domain}", self.spec.seed, number), self.scenery)
        height = round(self.spec.height * (1 + MARGIN))
        canvas = np.zeros((height, round(height * STRIP), 3), np.float32)
        paint(canvas, _array(layers), 0.0)
        return canvas


def _array(layers: list[Layer]) -> NDArray[np.float64]:
    return np.array(layers, np.float64).reshape(-1, LAYER_FLOATS)
