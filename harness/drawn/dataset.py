"""Draw a whole dataset: as a folder in a real dataset's layout, or as arrays in memory."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.drafts import draft_folder
from harness.drawn.layouts import market_paths, veri_lists, veri_paths
from harness.drawn.schedule import schedule
from harness.drawn.spec import DrawnSpec
from harness.drawn.studio import Studio
from harness.errors import UserError


@dataclass(frozen=True)
class DrawnImages:
    """A drawn dataset in memory, before JPEG compression: N images ordered by split, identity and camera."""

    images: NDArray[np.uint8]  # [N, height, width, 3]
    identities: NDArray[np.int64]  # [N], 0 distractor, -1 junk
    cameras: NDArray[np.int64]  # [N], from 1
    splits: NDArray[np.str_]  # [N], train, query or gallery


def draw_dataset(spec: DrawnSpec, folder: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Draw the dataset into `folder`, which must not exist: Market-1501's layout for persons, VeRi-776's for vehicles.

    The same spec gives the same bytes (with the same version of Pillow's JPEG encoder). `progress(done, total)` is
    called after every image. The images are written beside `folder` and renamed at the end, so that it appears complete
    or not at all. Raises UserError if `folder` exists or cannot be written.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already: remove it to draw the dataset again")
    with ExitStack() as stack:
        try:
            draft = stack.enter_context(draft_folder(folder.parent, f".{folder.name}.draft-"))
        except OSError as error:
            raise UserError(f"cannot write beside {folder}: {error.strerror}") from error
        try:
            _write(spec, draft, progress)
            draft.chmod(0o755)  # a draft is private
            draft.replace(folder)
        except OSError as error:
            raise UserError(f"drawing into {folder} failed: {error.strerror or error}") from error


def _write(spec: DrawnSpec, folder: Path, progress: Callable[[int, int], None] | None) -> None:
    shots = schedule(spec)
    studio = Studio(spec)
    paths = market_paths(shots) if spec.kind == "person" else veri_paths(shots)
    for parent in sorted({path.parent for path in paths}):
        (folder / parent).mkdir()
    for done, (shot, path) in enumerate(zip(shots, paths, strict=True), start=1):
        Image.fromarray(studio.draw(shot)).save(folder / path, "JPEG", quality=studio.quality(shot))
        if progress is not None:
            progress(done, len(shots))
    if spec.kind == "vehicle":
        for name, content in veri_lists(shots, paths, studio.vehicle).items():
            (folder / name).write_bytes(content)


def draw_images(spec: DrawnSpec) -> DrawnImages:
    """Draw the same images into memory: height * width * 3 bytes per image."""
    shots = schedule(spec)
    studio = Studio(spec)
    images = np.empty((len(shots), spec.height, spec.width, 3), np.uint8)
    for row, shot in zip(images, shots, strict=True):
        row[:] = studio.draw(shot)
    return DrawnImages(
        images=images,
        identities=np.array([shot.identity for shot in shots], np.int64),
        cameras=np.array([shot.camera for shot in shots], np.int64),
        splits=np.array([shot.split for shot in shots], np.str_),
    )
