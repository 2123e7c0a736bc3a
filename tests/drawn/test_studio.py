"""Images: deterministic, independent of each other, and of what is asked for."""

import os
import subprocess
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.drawn.moments import draw_moment
from harness.drawn.schedule import Shot, schedule
from harness.drawn.spec import DrawnSpec
from harness.drawn.studio import Studio
from tests.drawn.conftest import make_spec

Image = NDArray[Any]
ROOT = Path(__file__).parents[2]


def differ(a: Image, b: Image) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def some(spec: DrawnSpec, split: str = "train") -> Shot:
    return next(shot for shot in schedule(spec) if shot.split == split)


def test_images_can_be_drawn_alone_and_in_any_order(person_spec: DrawnSpec) -> None:
    shots = schedule(person_spec)[:25]
    studio = Studio(person_spec)
    forwards = [studio.draw(shot) for shot in shots]
    backwards = [Studio(person_spec).draw(shot) for shot in reversed(shots)]
    for a, b in zip(forwards, reversed(backwards), strict=True):
        assert np.array_equal(a, b)


def test_another_process_draws_the_same() -> None:
    code = (
        "from tests.drawn.conftest import make_spec; from harness.drawn.schedule import schedule;"
        "from harness.drawn.studio import Studio; import zlib;"
        "s = make_spec(); print(zlib.crc32(Studio(s).draw(schedule(s)[3]).tobytes()))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "99", "OMP_NUM_THREADS": "1"}
    sums = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment, cwd=ROOT
        ).stdout
        for _ in range(2)
    }
    spec = make_spec()
    assert sums == {f"{zlib.crc32(Studio(spec).draw(schedule(spec)[3]).tobytes())}\n"}


def test_more_identities_change_no_camera_no_scene_and_no_image(person_spec: DrawnSpec) -> None:
    more = make_spec(train={"identities": 40, "cameras": [2, 3], "images": [2, 3]}, distractors=0)
    few, many = Studio(person_spec), Studio(more)
    for a, b in zip(few.scenes, many.scenes, strict=True):
        assert np.array_equal(a, b)
    shot = some(person_spec, "query")
    assert np.array_equal(few.draw(shot), many.draw(shot))


def test_another_camera_leaves_the_others_alone(person_spec: DrawnSpec) -> None:
    four, five = Studio(person_spec), Studio(make_spec(cameras=5))
    assert all(np.array_equal(a, b) for a, b in zip(four.scenes, five.scenes[:4], strict=True))
    shot = some(person_spec)
    assert np.array_equal(four.draw(shot), five.draw(shot))


def test_bodies_and_clothes_are_separate_streams(person_spec: DrawnSpec) -> None:
    winter, again = Studio(person_spec), Studio(make_spec())
    assert winter.person(3) == again.person(3)
    people = [winter.person(number) for number in range(40)]
    assert len({person.body for person in people}) == 40
    assert len({person.clothes for person in people}) == 40


@pytest.mark.parametrize("change", [{"seed": 8}, {"domain": "summer"}, {"domain": "generic"}])
def test_seed_and_domain_change_the_images(person_spec: DrawnSpec, change: dict[str, object]) -> None:
    other = make_spec(**change)
    shot = some(person_spec)
    assert differ(Studio(person_spec).draw(shot), Studio(other).draw(shot)) > 3


def test_two_images_of_one_person_differ_less_than_of_two_people(person_spec: DrawnSpec) -> None:
    """The drawing carries identity: averaged over a camera's images, the clothed middle tells people apart."""
    calm = make_spec(
        camera=person_spec.camera.model_dump() | {"noise": [0, 0], "white_balance": 0},
        image=person_spec.image.model_dump() | {"occlusion": 0, "companion": 0, "illumination": 0, "jitter": 0},
    )
    studio = Studio(calm)

    def portrait(subject: int, indices: Iterable[int]) -> Image:
        images = [studio.draw(Shot("train", 1, subject, 1, index)) for index in indices]
        return np.asarray(np.mean([image[10:55, 8:24] for image in images], axis=0))

    for subject in range(4):
        same = np.abs(portrait(subject, range(12)) - portrait(subject, range(12, 24))).mean()
        other = np.abs(portrait(subject, range(12)) - portrait(subject + 1, range(12, 24))).mean()
        assert same < other


@pytest.mark.parametrize("size", [(64, 32), (96, 48), (256, 128), (64, 64)])
def test_a_higher_resolution_shows_the_same_picture(size: tuple[int, int]) -> None:
    height, width = size
    calm = {"noise": [0, 0]}
    spec = make_spec(height=height, width=width, camera=make_spec().camera.model_dump() | calm)
    image = Studio(spec).draw(some(spec))
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert image.std() > 10
    if height == 2 * width:
        low = make_spec(camera=make_spec().camera.model_dump() | calm)
        step = height // 64
        if height % 64 == 0:
            shrunk = image.reshape(64, step, 32, step, 3).mean((1, 3))
            assert differ(shrunk, Studio(low).draw(some(low))) < 4


def test_junk_is_cut_badly_and_nothing_else_is(person_spec: DrawnSpec) -> None:
    studio = Studio(person_spec)
    for shot in schedule(person_spec):
        pose = draw_moment(person_spec, studio.cameras[shot.camera - 1], studio.scenery, shot).pose
        off_center = max(abs(pose.x - 0.25) / 0.25, abs(pose.ground - 0.96))
        assert (off_center > 0.5) == (shot.identity == -1)
