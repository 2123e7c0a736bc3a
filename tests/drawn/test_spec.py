"""Impossible drawn datasets are refused with the reason."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.drawn.conftest import SMALL, make_spec


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shoes": 1}, "Extra inputs are not permitted"),
        ({"domain": "autumn"}, "'winter', 'summer', 'generic' or 'traffic'"),
        ({"domain": "traffic"}, "domain 'traffic' does not draw kind 'person'"),
        ({"kind": "vehicle"}, "domain 'winter' does not draw kind 'vehicle'"),
        ({"cameras": 10}, "at most 9 cameras, not 10"),
        ({"height": 512}, "less than or equal to 256"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"queries": 3}, "3 of at least 3 images per identity and camera leave none"),
        ({"train": {"identities": 5, "cameras": [2, 5], "images": [1, 2]}}, "train.cameras: 5 per identity"),
        ({"train": {"identities": 5, "cameras": [3, 2], "images": [1, 2]}}, "lower bound 3 is above the upper bound 2"),
        ({"test": {"identities": 5, "cameras": [1, 2], "images": [3, 4]}}, "at least 2 per identity"),
        ({"camera": SMALL["camera"] | {"quality": [80, 40]}}, "quality: the lower bound 80 is above"),
        ({"camera": SMALL["camera"] | {"gamma": [1.2, 1.0]}}, "the lower bound 1.2 is above the upper bound 1.0"),
        ({"image": SMALL["image"] | {"occlusion": 1.5}}, "less than or equal to 1"),
    ],
)
def test_impossible_specs_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        make_spec(**changes)
    assert reason in str(error.value)


def test_nothing_has_a_hidden_default() -> None:
    for key in SMALL:
        with pytest.raises(ValidationError, match=key):
            make_spec(**{key: None})
    for part in ("train", "test", "camera", "image"):
        for key in SMALL[part]:
            rest = {name: value for name, value in SMALL[part].items() if name != key}
            with pytest.raises(ValidationError, match=f"{part}.{key}"):
                make_spec(**{part: rest})


def test_the_spec_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(make_spec(), "seed", 1)  # noqa: B010 - an assignment would not pass the type checker
