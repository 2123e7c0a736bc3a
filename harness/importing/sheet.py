"""Look at a dataset: contact sheet of sample images, and statistics."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image, ImageDraw

from harness.data.records import Dataset, ImageRecord
from harness.inputs.images import ImageError, read_image
from harness.specs.dataset import DatasetSpec

MARGIN = 4
TILE = 128  # pixels, the height of one image on the sheet
LABEL = 16  # pixels for the text above the columns and, times 3, left of the rows


@dataclass(frozen=True)
class SplitStatistics:
    """Counts of one split; triples are (minimum, median, maximum)."""

    split: str
    images: int
    ids: int
    cameras: int  # 0 without camera labels
    images_per_id: tuple[int, float, int]
    cameras_per_id: tuple[int, float, int]
    distractors: int  # images of identities that are never a correct match
    dropped: int  # junk images, left out


def split_statistics(spec: DatasetSpec, dataset: Dataset) -> list[SplitStatistics]:
    """Return the statistics of each split; distractors are left out of the triples over identities."""
    table = []
    for split, records in dataset.splits.items():
        people = [record for record in records if record.id not in spec.distractor_ids]
        cameras = defaultdict(set)
        for record in people:
            cameras[record.id].add(record.camera)
        table.append(
            SplitStatistics(
                split=split,
                images=len(records),
                ids=len({record.id for record in records}),
                cameras=len({record.camera for record in records}) if dataset.has_cameras else 0,
                images_per_id=_spread(list(Counter(record.id for record in people).values())),
                cameras_per_id=_spread([len(seen) for seen in cameras.values()] if dataset.has_cameras else []),
                distractors=len(records) - len(people),
                dropped=dataset.dropped[split],
            )
        )
    return table


def _spread(values: list[int]) -> tuple[int, float, int]:
    return (min(values), median(values), max(values)) if values else (0, 0, 0)


def sample_sheet(
    spec: DatasetSpec, dataset: Dataset, root: Path, split: str = "train", identities: int = 8, columns: int = 8
) -> Image.Image:
    """Return a sheet: rows are identities (evenly spaced), columns cameras; further images without camera labels.

    Of more cameras than columns, each row shows those of its own identity, named in the picture's corner.
    An image that cannot be decoded is shown as a crossed box.
    """
    rows: dict[int, list[ImageRecord]] = defaultdict(list)
    for record in dataset.splits[split]:
        if record.id not in spec.distractor_ids:
            rows[record.id].append(record)
    known = sorted(rows)
    shown = known[:: max(1, -(-len(known) // identities))]
    width, height = TILE * spec.image.width // spec.image.height, TILE
    cameras = sorted({record.camera for record in dataset.splits[split]}) if dataset.has_cameras else None
    own = cameras is not None and len(cameras) > columns
    if own:
        cameras = None
        for identity in shown:
            first = {record.camera: record for record in reversed(rows[identity])}
            rows[identity] = [first[camera] for camera in sorted(first)]
    count = len(cameras) if cameras is not None else min(columns, max((len(rows[i]) for i in shown), default=0))
    size = (LABEL * 3 + count * (width + MARGIN), LABEL + len(shown) * (height + MARGIN))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for row, identity in enumerate(shown):
        top = LABEL + row * (height + MARGIN)
        draw.text((MARGIN, top), str(identity), fill="black")
        for column, cell in enumerate(_cells(rows[identity], cameras, count)):
            if cell is not None:
                left = LABEL * 3 + column * (width + MARGIN)
                sheet.paste(_tile(root / cell.path, width, height), (left, top))
                if own:
                    draw.text(
                        (left + MARGIN, top), f"camera {cell.camera}", fill="white", stroke_width=1, stroke_fill="black"
                    )
    for column, camera in enumerate(cameras or []):
        draw.text((LABEL * 3 + column * (width + MARGIN), 0), f"camera {camera}", fill="black")
    return sheet


def _cells(records: list[ImageRecord], cameras: list[int] | None, count: int) -> list[ImageRecord | None]:
    """Return one record per column: the first of each camera, or the first ones without camera labels."""
    if cameras is None:
        return [*records[:count]]
    return [next((record for record in records if record.camera == camera), None) for camera in cameras]


def _tile(path: Path, width: int, height: int) -> Image.Image:
    try:
        image, _ = read_image(path)
    except ImageError:
        tile = Image.new("RGB", (width, height), "lightgrey")
        ImageDraw.Draw(tile).line((0, 0, width, height), fill="red", width=2)
        return tile
    return image.resize((width, height), Image.Resampling.BICUBIC)
