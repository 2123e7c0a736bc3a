"""Who is seen when: the protocol holds whatever the sizes."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.drawn.schedule import schedule
from tests.drawn.conftest import make_spec


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    train=st.integers(1, 12),
    test=st.integers(1, 12),
    cameras=st.integers(2, 9),
    queries=st.integers(1, 2),
    distractors=st.integers(0, 9),
    junk=st.integers(0, 9),
)
def test_the_protocol_is_valid(
    seed: int, train: int, test: int, cameras: int, queries: int, distractors: int, junk: int
) -> None:
    spec = make_spec(
        seed=seed,
        cameras=cameras,
        train={"identities": train, "cameras": [1, cameras], "images": [1, 4]},
        test={"identities": test, "cameras": [2, cameras], "images": [3, 4]},
        queries=queries,
        distractors=distractors,
        junk=junk,
    )
    shots = schedule(spec)
    ids = {split: {shot.identity for shot in shots if shot.split == split} for split in ("train", "query", "gallery")}
    assert ids["train"] == set(range(1, train + 1))
    assert ids["query"] == set(range(train + 1, train + test + 1))
    assert ids["gallery"] - {0, -1} == ids["query"]
    assert {shot.camera for shot in shots} <= set(range(1, cameras + 1))
    assert sum(shot.identity == 0 for shot in shots) == distractors
    assert sum(shot.identity == -1 for shot in shots) == junk

    # No image twice, so no query in the gallery.
    assert len({(shot.subject, shot.camera, shot.index) for shot in shots}) == len(shots)
    gallery = {(shot.identity, shot.camera) for shot in shots if shot.split == "gallery"}
    per_camera = Counter((shot.identity, shot.camera) for shot in shots if shot.split == "query")
    assert set(per_camera.values()) == {queries}
    for identity, camera in per_camera:
        assert any(other == identity and seen != camera for other, seen in gallery)
    for identity, camera in {(shot.identity, shot.camera) for shot in shots if shot.split == "train"}:
        count = sum(shot.identity == identity and shot.camera == camera for shot in shots)
        assert 1 <= count <= 4


def test_the_size_of_one_part_leaves_the_others_as_they_are() -> None:
    def seen(split: str, **changes: object) -> list[tuple[int, int, int]]:
        shots = schedule(make_spec(**changes))
        return [(shot.subject, shot.camera, shot.index) for shot in shots if shot.split == split]

    more = {"identities": 50, "cameras": [2, 3], "images": [2, 3]}
    assert seen("gallery") == seen("gallery", train=more)
    assert seen("query") == seen("query", train=more, distractors=0, junk=0)
    assert seen("train") == seen("train", train=more)[: len(seen("train"))]
