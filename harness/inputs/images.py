"""One image file to RGB pixels, with what is wrong with it if that fails.

Greyscale is repeated in three channels, 16-bit values are scaled to 8 bits, CMYK and palettes are converted,
transparency is dropped, and an EXIF orientation is applied. An ordinary JPEG gives exactly what
`PIL.Image.open(...).convert("RGB")` gives.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose

MOST_PIXELS = 64_000_000  # re-ID crops have thousands; more is a bomb or not a crop
UPRIGHT = {  # by EXIF orientation
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Facts:
    """What the manifest states about an image's file: its size in pixels as decoded, and its content's BLAKE2b."""

    width: int
    height: int
    content: str


class ImageError(Exception):
    """An image that cannot be used; the message says why, without the path."""


def read_image(path: Path) -> tuple[Image.Image, Facts]:
    """Return the image at `path` in RGB. Raises ImageError: missing, unreadable, empty, no image, broken or too big."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("is missing") from error
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})") from error
    if not data:
        raise ImageError("is empty (0 bytes)")
    image = decode(data)
    content = hashlib.blake2b(data, digest_size=16).hexdigest()
    return image, Facts(image.width, image.height, content)


def decode(data: bytes) -> Image.Image:
    """Return the encoded image in RGB. Raises ImageError."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ImageError(f"has {image.width}×{image.height} pixels, more than any crop")
            image.load()
            return _to_rgb(_upright(image))
    except UnidentifiedImageError as error:
        raise ImageError("is not an image") from error
    except Image.DecompressionBombError as error:
        raise ImageError("has more pixels than any crop") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"is broken ({error})") from error


def _upright(image: Image.Image) -> Image.Image:
    """As `ImageOps.exif_transpose`, which also rewrites the other EXIF fields and fails on unusual ones."""
    turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow's own conversion clips 16-bit values to 255
        values = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")
