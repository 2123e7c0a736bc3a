"""Small folders in the exact form of the official archives, true names and quirks included."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

PROJECT = Path(__file__).parents[2]


def picture(path: Path, seed: int | None = None, size: tuple[int, int] = (64, 128)) -> None:
    """Write a JPEG (or PNG, by suffix) whose content depends on `seed`, by default on the path's end."""
    if seed is None:
        seed = sum(ord(letter) * 31**place for place, letter in enumerate("/".join(path.parts[-2:]))) % 2**32
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    Image.fromarray(small).resize(size).save(path)


MARKET = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c2s1_000776_01.jpg", "0007_c3s3_077419_02.jpg"],
    "query": ["0001_c1s1_001051_00.jpg", "0003_c6s4_015641_00.jpg"],
    "bounding_box_test": [
        "-1_c1s1_000401_03.jpg",
        "-1_c2s3_042582_01.jpg",
        "0000_c1s1_000151_01.jpg",
        "0001_c2s1_001976_01.jpg",
        "0001_c1s1_001051_03.jpg",
        "0003_c1s6_015971_02.jpg",
    ],
    "gt_bbox": ["0001_c1s1_001051_00.jpg"],
}


def market(folder: Path) -> Path:
    """Market-1501-v15.09.15, Windows' Thumbs.db in the test folder and unused gt_* folders included."""
    root = folder / "Market-1501-v15.09.15"
    for part, names in MARKET.items():
        for name in names:
            picture(root / part / name)
    (root / "bounding_box_test" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (root / "gt_query").mkdir()
    (root / "gt_query" / "0001_c1s1_001051_00_good.mat").write_bytes(b"MATLAB 5.0")
    (root / "readme.txt").write_text("Market-1501\n")
    return root


def market_zip(folder: Path) -> Path:
    """The official archive: everything inside one outer folder."""
    root = market(folder / "unpacked")
    return zip_of(root.parent, folder / "Market-1501-v15.09.15.zip")


def zip_of(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            out.write(path, path.relative_to(folder))
    return archive
