"""Whatever a user has of a picture (path, Pillow image, array) as the pixels that a model takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from harness.data.listing import images_below
from harness.data.scan import default_workers
from harness.errors import UserError
from harness.inputs.images import SUFFIXES, ImageError, read_image, resized, to_rgb

Picture = Path | str | Image.Image | npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]

EXAMPLES = 5


def pictures_in(folder: Path) -> list[str]:
    """Return the paths, below `folder`, of its images, sorted. Raises UserError if there is none, naming what is."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found = images_below(folder)
    if not found:
        suffixes = Counter(path.suffix.lower() or "no suffix" for path in folder.rglob("*") if path.is_file())
        there = ", ".join(f"{count} × {suffix}" for suffix, count in suffixes.most_common(EXAMPLES)) or "no file at all"
        raise UserError(f"{folder}: holds no image; it holds {there}. An image ends in one of: {' '.join(SUFFIXES)}")
    return found


def as_list(images: Any) -> Sequence[Any]:
    """Return one picture, or several in any sequence or array [N, H, W, 3], as a sequence of pictures."""
    single = isinstance(images, str | Path | Image.Image) or getattr(images, "ndim", 0) in (2, 3)
    return [images] if single else list(images)


def batches(pictures: Sequence[Any], height: int, width: int, size: int) -> Iterator[Pixels]:
    """Yield the pictures in batches of `size`, uint8 [B, height, width, 3], decoded by several threads.

    Raises UserError naming the pictures of a batch that cannot be used, and why.
    """

    def read(numbered: tuple[int, Any]) -> Pixels | str:
        number, picture = numbered
        try:
            return resized(_image(picture), height, width)
        except ImageError as error:
            name = picture if isinstance(picture, str | Path) else f"picture {number}"
            return f"{name} {error}"

    with ThreadPoolExecutor(default_workers()) as threads:
        for start in range(0, len(pictures), size):
            found = list(threads.map(read, enumerate(pictures[start : start + size], start)))
            broken = [problem for problem in found if isinstance(problem, str)]
            if broken:
                more = f" … and {len(broken) - EXAMPLES} more" if len(broken) > EXAMPLES else ""
                raise UserError(f"cannot be used: {'; '.join(broken[:EXAMPLES])}{more}. Mend or remove them")
            yield np.stack([pixels for pixels in found if not isinstance(pixels, str)])


def _image(picture: Any) -> Image.Image:
    """Return one picture in RGB. Raises ImageError."""
    if isinstance(picture, str | Path):
        return read_image(Path(picture))[0]
    if isinstance(picture, Image.Image):
        return to_rgb(picture)
    array = np.asarray(picture)
    grey = array.ndim == 2
    if array.dtype != np.uint8 or 0 in array.shape or not (grey or (array.ndim == 3 and array.shape[2] == 3)):
        raise ImageError(
            f"is none: {type(picture).__name__} {array.dtype} {array.shape}; a picture is a path, a Pillow image, or "
            "an array of uint8 in RGB [H, W, 3] or grey [H, W]"
        )
    return Image.fromarray(array).convert("RGB")
