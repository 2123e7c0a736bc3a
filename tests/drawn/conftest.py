"""Small specs of drawn datasets."""

from typing import Any

import pytest

from harness.drawn.spec import DrawnSpec

SMALL: dict[str, Any] = {
    "kind": "person",
    "domain": "winter",
    "seed": 7,
    "height": 64,
    "width": 32,
    "cameras": 4,
    "train": {"identities": 5, "cameras": [2, 3], "images": [2, 3]},
    "test": {"identities": 6, "cameras": [2, 4], "images": [3, 4]},
    "queries": 1,
    "distractors": 5,
    "junk": 3,
    "camera": {
        "white_balance": 0.05,
        "gamma": [0.8, 1.1],
        "contrast": [0.8, 1.0],
        "brightness": [0.9, 1.05],
        "saturation": [0.75, 1.0],
        "blur": [0.45, 0.85],
        "noise": [0.01, 0.02],
        "quality": [40, 80],
        "pitch": [4, 14],
    },
    "image": {
        "tint": [0.94, 0.97, 1.0],
        "view_concentration": 0.5,
        "illumination": 0.07,
        "jitter": 0.02,
        "scale": [0.88, 1.0],
        "occlusion": 0.2,
        "companion": 0.2,
    },
}


def make_spec(**changes: Any) -> DrawnSpec:
    return DrawnSpec.model_validate(SMALL | changes)


@pytest.fixture
def person_spec() -> DrawnSpec:
    return make_spec()
