"""Schedule of a drawn dataset: which subject is seen by which camera, how often, in which split."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.drawn.spec import DrawnSpec, DrawnSplit
from harness.drawn.streams import stream

Split = Literal["train", "query", "gallery"]

DISTRACTOR, JUNK = 0, -1
TEST_SUBJECTS, STRANGERS = 10_000, 20_000


@dataclass(frozen=True)
class Shot:
    """One image to draw.

    `identity` is the label (0 distractor, -1 junk). `subject` is the person or vehicle in it: training subjects count
    from 0, test subjects from 10,000, distractors from 20,000, so that the size of one split never changes the subjects
    of another. `camera` counts from 1, `index` within subject and camera.
    """

    split: Split
    identity: int
    subject: int
    camera: int
    index: int


def schedule(spec: DrawnSpec) -> list[Shot]:
    """Return all images of the dataset, ordered by split, identity and camera; identities count from 1, train first."""
    shots = [Shot("train", 1 + k, *sighting) for k, sighting in _sightings(spec, spec.train, 0)]
    test = [(1 + spec.train.identities + k, *sighting) for k, sighting in _sightings(spec, spec.test, TEST_SUBJECTS)]
    shots += [Shot("query", *sighting) for sighting in test if sighting[3] < spec.queries]
    # VeRi-776 keeps the queries in its gallery too; Market-1501 does not.
    shots += [Shot("gallery", *sighting) for sighting in test if spec.kind == "vehicle" or sighting[3] >= spec.queries]
    return shots + _distractors(spec) + _junk(spec)


def _sightings(spec: DrawnSpec, split: DrawnSplit, first: int) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Yield (number within the split, (subject, camera, index))."""
    for k in range(split.identities):
        random = stream(f"sightings {spec.domain}", spec.seed, first + k)
        count = int(random.integers(split.cameras[0], split.cameras[1] + 1))
        for camera in sorted(random.permutation(spec.cameras)[:count].tolist()):
            images = int(random.integers(split.images[0], split.images[1] + 1))
            for index in range(images):
                yield k, (first + k, camera + 1, index)


def _distractors(spec: DrawnSpec) -> list[Shot]:
    """Return images of people outside the query split, one each."""
    random = stream(f"distractors {spec.domain}", spec.seed)
    cameras = random.integers(1, spec.cameras + 1, spec.distractors).tolist()
    return [Shot("gallery", DISTRACTOR, STRANGERS + k, camera, 0) for k, camera in enumerate(cameras)]


def _junk(spec: DrawnSpec) -> list[Shot]:
    """Return test subjects cropped so badly that nobody can say who they are."""
    random = stream(f"junk {spec.domain}", spec.seed)
    subjects = random.integers(TEST_SUBJECTS, TEST_SUBJECTS + spec.test.identities, spec.junk).tolist()
    cameras = random.integers(1, spec.cameras + 1, spec.junk).tolist()
    return [Shot("gallery", JUNK, *who, 1000 + k) for k, who in enumerate(zip(subjects, cameras, strict=True))]
