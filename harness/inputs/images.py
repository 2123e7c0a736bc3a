"""Decode an image file to RGB; a file that cannot be used raises ImageError with the reason.

Grayscale is repeated in three channels, 16-bit values are scaled to 8 bits, CMYK and palettes are converted,
transparency is dropped, and an EXIF orientation is applied. An ordinary JPEG gives exactly what
`PIL.Image.open(...).convert("RGB")` gives.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose

from harness.errors import UserError
from harness.inputs.files import MissingFileError, read_bytes
from harness.inputs.limits import IMAGE_BYTES, PIXELS, SIDE

warnings.filterwarnings("ignore", module="PIL")  # of damaged metadata, which no pixel depends on

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".pnm", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM", "TIFF")
"""What is tried, whatever the file is called: others can start programs (EPS) or take long to fail."""
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
    """Facts about an image file for the manifest: decoded size in pixels, and BLAKE2b hash of its content."""

    width: int
    height: int
    content: str


class ImageError(Exception):
    """An image that cannot be used; the message says why, without the path."""


def read_image(path: Path) -> tuple[Image.Image, Facts]:
    """Return the image at `path` in RGB. Raises ImageError: missing, unreadable, empty, no image, broken or too big."""
    try:
        data = read_bytes(path, IMAGE_BYTES)
    except MissingFileError as error:
        raise ImageError("is missing") from error
    except UserError as error:
        raise ImageError(str(error).removeprefix(f"{path}: ")) from error
    if not data:
        raise ImageError("is empty (0 bytes)")
    image = decode(data)
    content = hashlib.blake2b(data, digest_size=16).hexdigest()
    return image, Facts(image.width, image.height, content)


def read_size(path: Path) -> tuple[int, int] | None:
    """Return width and height as the file states them, without decoding it; None for a file that is no image."""
    try:
        with Image.open(io.BytesIO(read_bytes(path, IMAGE_BYTES)), formats=FORMATS) as image:
            return image.size
    except Exception:  # each format raises what it meets; whoever verifies the dataset names the file
        return None


def decode(data: bytes) -> Image.Image:
    """Return the encoded image in RGB. Raises ImageError."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > PIXELS or max(image.size) > SIDE:
                raise ImageError(f"has {image.width}×{image.height} pixels, more than any crop")
            if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):  # PPM scales to 16 bits itself
                raise ImageError("holds numbers of 32 bits, whose range nothing states; save it with 8 or 16 bits")
            image.load()
            return to_rgb(_upright(image))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError("is not an image") from error
    except Image.DecompressionBombError as error:
        raise ImageError("has more pixels than any crop") from error
    except Exception as error:  # each format raises what it meets: also RuntimeError, struct.error, MemoryError
        raise ImageError(f"is broken ({error or type(error).__name__})") from error


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation. `ImageOps.exif_transpose` also rewrites other fields, and fails on unusual ones."""
    turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in RGB: 16-bit values scaled, grey repeated, CMYK and palettes converted, alpha dropped."""
    if image.mode.startswith("I"):  # Pillow's own conversion clips 16-bit values to 255
        values = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((values + 128) // 257).clip(0, 255).astype(np.uint8))  # value / 257, rounded
    return image if image.mode == "RGB" else image.convert("RGB")


def resized(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """Return the image's pixels [height, width, 3] as the published transforms resize: bicubic, in 8 bits."""
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
