"""Market-1501's layout: `bounding_box_train`, `query`, `bounding_box_test`; names like `0001_c1s1_000151_01.jpg`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.drawn.schedule import JUNK, Shot

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}


def market_paths(shots: Sequence[Shot]) -> list[Path]:
    """The path of every image inside the dataset's folder, in the order of `shots`.

    A name is identity (-1 junk, 0000 distractors), camera, sequence, frame and box (00: cut by hand, as queries are).
    """
    seen: Counter[int] = Counter()
    paths = []
    for shot in shots:
        frame = 1 + 25 * seen[shot.camera]
        seen[shot.camera] += 1
        identity = "-1" if shot.identity == JUNK else f"{shot.identity:04d}"
        box = "00" if shot.split == "query" else "01"
        paths.append(Path(FOLDERS[shot.split]) / f"{identity}_c{shot.camera}s1_{frame:06d}_{box}.jpg")
    return paths
