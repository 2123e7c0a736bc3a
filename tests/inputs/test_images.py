import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from harness.inputs.images import ImageError, decode, read_image


def encoded(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


RAMP = np.linspace(0, 255, 24 * 16).astype(np.uint8).reshape(24, 16)  # 24 high, 16 wide


def test_an_ordinary_jpeg_is_what_the_published_pipelines_decode():
    data = encoded(Image.fromarray(np.dstack([RAMP, RAMP.T.reshape(24, 16), 255 - RAMP])), "JPEG")
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_array_equal(np.asarray(decode(data)), np.asarray(expected))


def test_grayscale_is_repeated_in_three_channels():
    pixels = np.asarray(decode(encoded(Image.fromarray(RAMP), "PNG")))
    np.testing.assert_array_equal(pixels, np.dstack([RAMP] * 3))


def test_16_bit_values_are_scaled_not_clipped():
    deep = RAMP.astype(np.uint16) * 257
    pixels = np.asarray(decode(encoded(Image.fromarray(deep), "PNG")))
    np.testing.assert_array_equal(pixels, np.dstack([RAMP] * 3))


def test_cmyk_becomes_rgb():
    ink = Image.new("CMYK", (16, 24), (0, 255, 255, 0))
    pixels = np.asarray(decode(encoded(ink, "TIFF")))
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.uint8([255, 0, 0]), (24, 16, 3)))


def test_transparency_is_dropped():
    pixels = np.asarray(decode(encoded(Image.new("RGBA", (16, 24), (10, 20, 30, 0)), "PNG")))
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.uint8([10, 20, 30]), (24, 16, 3)))


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: to be shown rotated by 90° clockwise
    path = tmp_path / "turned.png"
    Image.fromarray(RAMP).save(path, exif=exif)
    image, facts = read_image(path)
    np.testing.assert_array_equal(np.asarray(image)[:, :, 0], np.rot90(RAMP, k=-1))
    assert (facts.width, facts.height) == (24, 16)


def test_an_unusual_exif_field_does_no_harm():
    """Pillow's own `exif_transpose` fails on it, because it writes every field anew."""
    fields = struct.pack("<4sIH", b"II*\0", 8, 2)
    fields += struct.pack("<HHIHH", ExifTags.Base.Orientation, 3, 1, 6, 0)
    fields += struct.pack("<HHI4s", ExifTags.Base.ImageWidth, 1, 1, b"ab") + bytes(4)
    data = encoded(Image.fromarray(RAMP), "PNG", exif=b"Exif\0\0" + fields)
    with Image.open(io.BytesIO(data)) as image, pytest.raises(struct.error):
        ImageOps.exif_transpose(image)
    np.testing.assert_array_equal(np.asarray(decode(data))[:, :, 0], np.rot90(RAMP, k=-1))


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_turned_as_pillow_does(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(Image.fromarray(RAMP), "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode(data)), expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"just text", "is not an image"),
        (encoded(Image.fromarray(RAMP), "JPEG")[:-200], "is broken"),
        (encoded(Image.fromarray(RAMP), "PNG")[:60], "is broken"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path, data, message):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message):
        read_image(path)


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    with pytest.raises(ImageError, match="is missing"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path)


def test_an_image_of_more_pixels_than_any_crop_is_not_decoded():
    with pytest.raises(ImageError, match="more than any crop"):
        decode(encoded(Image.new("1", (9000, 9000)), "PNG"))


def test_an_eps_starts_no_program(monkeypatch):
    def refused(*arguments, **options):
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.check_call", refused)
    monkeypatch.setattr("subprocess.Popen", refused)
    data = encoded(Image.new("RGB", (16, 24)), "EPS")
    with pytest.raises(ImageError, match="is not an image"):
        decode(data)


@pytest.mark.parametrize(
    "values",
    [RAMP.astype(np.float32) / 255, RAMP.astype(np.int32)],
    ids=["float 0 to 1", "int32 below 256"],
)
def test_numbers_without_a_range_are_refused_not_blackened(values):
    with pytest.raises(ImageError, match="32 bits"):
        decode(encoded(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize(("width", "height"), [(64_000_000, 1), (8000, 8000)])
def test_a_small_file_of_many_pixels_takes_no_memory(width, height):
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))
    with pytest.raises(ImageError, match="more than any crop"):
        decode(data)


def test_a_16_bit_pgm_is_scaled(tmp_path):
    path = tmp_path / "a.pgm"
    deep = (RAMP.astype(np.uint16) * 257).astype(">u2")
    path.write_bytes(b"P5 16 24 65535\n" + deep.tobytes())
    image, _ = read_image(path)
    np.testing.assert_array_equal(np.asarray(image), np.dstack([RAMP] * 3))
