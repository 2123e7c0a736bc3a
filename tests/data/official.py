"""Small folders and archives in the exact form of the official ones, true names and quirks included."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data import read_dataset
from harness.importing.label_checks import count
from harness.specs import DatasetSpec, load_dataset
from harness.specs.dataset import Expect

PROJECT = Path(__file__).parents[2]


@cache
def shipped(name: str) -> DatasetSpec:
    return load_dataset(name, PROJECT)


def example(project: Path) -> DatasetSpec:
    """The spec of docs/, in a project of its own: split/identity/image.jpg, identities as words, no camera labels."""
    (project / "datasets").mkdir(parents=True)
    shutil.copy(PROJECT / "docs" / "examples" / "my-dataset.yaml", project / "datasets")
    return load_dataset("my-dataset", project)


def expecting_what_is_there(spec: DatasetSpec, root: Path) -> DatasetSpec:
    """The same spec, but with the counts of the small folder at `root`."""
    dataset = read_dataset(spec, root)
    splits = {name: count(records, dataset.has_cameras) for name, records in dataset.splits.items()}
    return spec.model_copy(update={"expect": Expect(**splits)})


def picture(path: Path, seed: int | None = None, size: tuple[int, int] = (64, 128)) -> None:
    """Write an image whose content depends on `seed`, by default on the end of its path."""
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
    _pictures(root, MARKET)
    (root / "bounding_box_test" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (root / "gt_query").mkdir()
    (root / "gt_query" / "0001_c1s1_001051_00_good.mat").write_bytes(b"MATLAB 5.0")
    (root / "readme.txt").write_text("Market-1501\n")
    return root


DUKE = {
    "bounding_box_train": ["0001_c2_f0046182.jpg", "0001_c5_f0051341.jpg", "0002_c1_f0044158.jpg"],
    "query": ["0005_c2_f0046985.jpg", "0008_c3_f0026318.jpg"],
    "bounding_box_test": ["0005_c5_f0051781.jpg", "0008_c8_f0027004.jpg", "7139_c2_f0165467.jpg"],
}


def duke(folder: Path) -> Path:
    root = folder / "DukeMTMC-reID"
    _pictures(root, DUKE)
    (root / "CITATION_DukeMTMC.txt").write_text("@inproceedings{ristani2016MTMC}\n")
    return root


MSMT17 = {
    "list_train.txt": ["0000/0000_000_01_0303morning_0008_0.jpg 0", "0001/0001_001_14_0303noon_0015_1_ex.jpg 1"],
    "list_val.txt": ["0000/0000_013_04_0303morning_0020_2.jpg 0"],
    "list_query.txt": ["0000/0000_002_01_0303morning_0016_2.jpg 0", "0001/0001_005_15_0302afternoon_1475_1.jpg 1"],
    "list_gallery.txt": ["0000/0000_009_07_0303morning_0019_0.jpg 0", "0001/0001_000_03_0113noon_0438_0.jpg 1"],
}


def msmt17(folder: Path, train: str = "train", test: str = "test", line_end: str = "\n") -> Path:
    """MSMT17_V1; V2 has the folders mask_train_v2 and mask_test_v2. Test identities restart at 0."""
    root = folder / "MSMT17_V1"
    for name, lines in MSMT17.items():
        inside = train if name in ("list_train.txt", "list_val.txt") else test
        for line in lines:
            picture(root / inside / line.split()[0])
        (root / name).write_bytes("".join(line + line_end for line in lines).encode())
    return root


REPACKED = {
    "bounding_box_train": ["0000_c1_0000.jpg", "0000_c14_0030.jpg", "0781_c11_0015.jpg"],
    "query": ["0000_c1_0002.jpg", "0001_c15_0005.jpg"],
    "bounding_box_test": ["0000_c7_0009.jpg", "0001_c3_0000.jpg"],
}


def msmt17_repacked(folder: Path) -> Path:
    """MSMT17 as parts of the field pass it on: in the folders of Market-1501, with names of its own."""
    root = folder / "MSMT17_V1"
    _pictures(root, REPACKED)
    return root


VERI = {
    "image_train": ["0001_c001_00016450_0.jpg", "0001_c020_00016460_1.jpg", "0003_c002_00016900_0.jpg"],
    "image_query": ["0002_c002_00030600_0.jpg", "0005_c003_00077625_0.jpg"],
    "image_test": [
        "0002_c002_00030600_0.jpg",
        "0002_c002_00030605_1.jpg",
        "0002_c003_00084280_0.jpg",
        "0005_c003_00077625_0.jpg",
        "0005_c004_00082505_0.jpg",
    ],
}


def veri(folder: Path) -> Path:
    """VeRi-776: queries also in the gallery, XML that declares gb2312, 1-based index files, Windows line ends."""
    root = folder / "VeRi"
    for part, names in VERI.items():
        for name in names:
            picture(root / part / name, seed=int(name[1:4]) * 1000 + int(name[10:18]))
    for part, name in (
        ("image_train", "name_train.txt"),
        ("image_test", "name_test.txt"),
        ("image_query", "name_query.txt"),
    ):
        (root / name).write_bytes("".join(f"{image}\r\n" for image in VERI[part]).encode())
    for part, name in (("image_train", "train_label.xml"), ("image_test", "test_label.xml")):
        (root / name).write_bytes(veri_xml(VERI[part]))
    (root / "gt_index.txt").write_text("3 \n5 \n")
    (root / "jk_index.txt").write_text("1 2 \n4 \n")
    (root / "list_color.txt").write_bytes("1 yellow 黄\n".encode("gb2312"))
    return root


def veri_xml(names: list[str]) -> bytes:
    items = "\n".join(
        f'<Item imageName="{name}" vehicleID="{name[:4]}" cameraID="{name[5:9]}" colorID="1" typeID="3"/>'
        for name in names
    )
    head = '<?xml version="1.0" encoding="gb2312"?>\n<!-- 车辆 -->\n<TrainingImages Version="1.0">'
    return f'{head}\n<Items number="{len(names)}">\n{items}\n</Items>\n</TrainingImages>'.encode("gb2312")


def zip_of(folder: Path, archive: Path, extra: Mapping[str, bytes] | None = None) -> Path:
    """Pack `folder` itself, as the official archives do, and `extra` members by name."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            out.write(path, path.relative_to(folder.parent))
        for name, data in (extra or {}).items():
            out.writestr(name, data)
    return archive


def tar_of(folder: Path, archive: Path, *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(archive, "w:gz") as out:
        out.add(folder, folder.name)
        for member in extra:
            out.addfile(member, io.BytesIO(bytes(member.size)))
    return archive


def _pictures(root: Path, parts: Mapping[str, list[str]]) -> None:
    for part, names in parts.items():
        for name in names:
            picture(root / part / name)
