"""Damaged and hostile inputs, one function per gate: anything but a UserError is a fault. Used by the tests and by
`python -m benchmarks faults`.
"""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from harness.data.listing import list_images, read_xml
from harness.data.reading import to_number
from harness.errors import UserError
from harness.inputs.archives import extract
from harness.inputs.csv import parse_numbers
from harness.inputs.images import ImageError, decode
from harness.inputs.json import parse_document, parse_json
from harness.inputs.parquet import parse_table
from harness.inputs.yaml import compose, read_yaml
from harness.pipeline.records import Attempt, Metrics, Record
from harness.specs import DatasetSpec, MethodSpec
from harness.specs.layout import ImageSet
from harness.specs.yamlfile import validate

PROJECT = Path(__file__).parents[1]
TOKENS = [
    b"\0", b"\xff", b"\t", b"\n", b"\r\n", b"&a ", b"*a", b"<<: *a", b"!!int abc", b"!!bool x",
    b"!!python/object:os.x ",
    b"2024-13-45", b"9" * 5000, b"-", b"- - - ", b"[" * 80, b"{" * 80, b"}", b"]", b"Title: x\n", b"? ", b"|\n",
    b"nan", b".inf", b"1e999", b"1e308", b"-1", b"\"", b"'", b":", b"#", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1b[2J",
    b"\xe2\x80\xae", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"encoding='undefined'", b"encoding='punycode'", b"../",
    b"18446744073709551616", b"null", b"true", b"\\ud800", b"\\u0000", b"/etc", b"%TAG",
]  # fmt: skip
Random = random.Random


def mutated(data: bytes, source: Random) -> bytes:
    """Return `data` with some bytes flipped, cut, doubled or replaced by tokens that have broken parsers before."""
    found = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
        at = source.randrange(len(found) + 1)
        match source.randrange(6):
            case 0 if at < len(found):
                found[at] ^= 1 << source.randrange(8)
            case 1:
                found[at:at] = source.choice(TOKENS)
            case 2:
                del found[at : at + source.randrange(1, 40)]
            case 3:
                found[at : at + 8] = source.randbytes(8)
            case 4:
                length = source.randrange(1, 200)
                found[at:at] = found[at : at + length]
            case 5:
                del found[at:]
    return bytes(found)


def _seeds_yaml() -> list[bytes]:
    files = [*(PROJECT / "methods").glob("*.yaml"), *(PROJECT / "datasets").glob("*.yaml")]
    return [path.read_bytes() for path in sorted(files)]


def fuzz_yaml(data: bytes, folder: Path) -> None:
    """A spec: parsed, its lines found, validated."""
    path = folder / "spec.yaml"
    path.write_bytes(data)
    document = read_yaml(path)
    compose(path)
    model: Any = MethodSpec if "algorithm" in document else DatasetSpec
    validate(model, document, [path])


def _seeds_json() -> list[bytes]:
    attempt = {
        "key": "a__b__s0", "stage": "train", "spec_hash": "x", "status": "failed", "device": "cpu", "pid": 1,
        "started": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z", "seconds": 1.5, "message": "no",
    }  # fmt: skip
    import json

    metrics = dict.fromkeys(("map", "rank1", "rank5", "rank10", "minp", "map_trapezoid", "seconds"), 50.0)
    metrics |= {"protocol": "reid-v1", "queries": 5, "queries_without_match": 0, "gallery": 9, "best_on_test": None}  # type: ignore[dict-item]
    return [json.dumps(document).encode() for document in (attempt, metrics)]


def fuzz_json(data: bytes, _: Path) -> None:
    """A document of a run."""
    tree = parse_json(data, Path("x.json"))
    model: Any = Attempt if isinstance(tree, dict) and "pid" in tree else Metrics
    parse_document(data, Path("x.json"), model if isinstance(tree, dict) else Record)


def fuzz_csv(data: bytes, _: Path) -> None:
    """A history."""
    parse_numbers(data, Path("history.csv"))


def _seeds_parquet() -> list[bytes]:
    table = pa.table({"a": pa.array(range(50), pa.int32()), "b": [[i, i + 1] for i in range(50)]})
    seeds = []
    for compression in ("zstd", "none"):
        sink = io.BytesIO()
        pq.write_table(table, sink, compression=compression)
        seeds.append(sink.getvalue())
    return seeds


def fuzz_parquet(data: bytes, _: Path) -> None:
    """A table of queries."""
    parse_table(data, Path("x.parquet"), {"a": pa.int32(), "b": pa.list_(pa.int32())}, "write it again")


XML = b"<?xml version='1.0' encoding='gb2312'?><A><B imageName='0001_c001_1.jpg' vehicleID='0001' cameraID='c001'/></A>"


def fuzz_xml(data: bytes, folder: Path) -> None:
    """VeRi-776's labels."""
    path = folder / "labels.xml"
    path.write_bytes(data)
    for identity, camera in read_xml(path).values():
        to_number(identity), to_number(camera)


def fuzz_list(data: bytes, folder: Path) -> None:
    """A list of images."""
    (folder / "list.txt").write_bytes(data)
    for entry in list_images(folder, ImageSet(folder="images", lists=("list.txt",))):
        to_number(entry.id)


def _seeds_image() -> list[bytes]:
    ramp = np.linspace(0, 255, 24 * 16).astype(np.uint8).reshape(24, 16)
    images = {
        "JPEG": Image.fromarray(np.dstack([ramp] * 3)), "PNG": Image.fromarray(ramp.astype(np.uint16) * 257),
        "BMP": Image.fromarray(ramp), "WEBP": Image.fromarray(np.dstack([ramp] * 3)),
        "PPM": Image.fromarray(ramp), "TIFF": Image.fromarray(ramp), "GIF": Image.fromarray(ramp),
    }  # fmt: skip
    seeds = []
    for form, image in images.items():
        sink = io.BytesIO()
        image.save(sink, form)
        seeds.append(sink.getvalue())
    return [*seeds, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"]


def fuzz_image(data: bytes, _: Path) -> None:
    """An image file."""
    try:
        decode(data)
    except ImageError as error:
        raise UserError(str(error)) from None


def _seeds_archive() -> list[bytes]:
    seeds = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode=mode) as tar:  # type: ignore[call-overload]
            for name in ("set/a.jpg", "set/" + "long" * 40 + ".jpg", "set/.hidden"):
                entry = tarfile.TarInfo(name)
                entry.size = 700
                tar.addfile(entry, io.BytesIO(bytes(700)))
        seeds.append(sink.getvalue())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", method) as archive:
            archive.writestr("set/a.jpg", bytes(700))
            archive.writestr("set/ü.jpg", bytes(range(256)))
        seeds.append(sink.getvalue())
    return seeds


def fuzz_archive(data: bytes, folder: Path) -> None:
    """An archive of a dataset: nothing may be written beside its target."""
    path = folder / "archive.bin"
    path.write_bytes(data)
    target = folder / "inside" / "target"
    target.mkdir(parents=True, exist_ok=True)
    try:
        extract(path, target)
    finally:
        beside = {entry.name for entry in (folder / "inside").iterdir()}
        assert beside == {"target"}, f"written beside the target: {beside}"


Gate = tuple[Callable[[], list[bytes]], Callable[[bytes, Path], None]]
GATES: dict[str, Gate] = {
    "YAML": (_seeds_yaml, fuzz_yaml),
    "JSON": (_seeds_json, fuzz_json),
    "CSV": (lambda: [b"epoch,loss,note\n1,0.5,\n2,0.25,nan\n"], fuzz_csv),
    "Parquet": (_seeds_parquet, fuzz_parquet),
    "XML": (lambda: [XML, XML.replace(b"gb2312", b"utf-8")], fuzz_xml),
    "list": (lambda: [b"0001/a.jpg 1\n0002/b.jpg 2\r\n"], fuzz_list),
    "image": (_seeds_image, fuzz_image),
    "archive": (_seeds_archive, fuzz_archive),
}


def survives(gate: str, data: bytes, folder: Path) -> str | None:
    """Return what went wrong with one input, or None: it was read, or refused by a UserError of one clear line."""
    try:
        GATES[gate][1](data, folder)
    except UserError as error:
        return None if str(error).strip() and "None" not in str(error)[:5] else f"says nothing: {error!r}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None
