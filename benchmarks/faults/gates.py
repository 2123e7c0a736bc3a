"""One function per gate, which reads an input like the project does: anything but a UserError is a fault."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from harness.data.listing import list_images, read_xml
from harness.data.reading import to_number
from harness.errors import UserError
from harness.inputs.address import database_address
from harness.inputs.archives import extract
from harness.inputs.csv import parse_numbers
from harness.inputs.folders import files_below, leading_out
from harness.inputs.images import ImageError, decode
from harness.inputs.json import parse_json, parse_sealed, validated
from harness.inputs.parquet import parse_table
from harness.inputs.patterns import Pattern
from harness.inputs.text import HARMFUL, printable
from harness.inputs.yaml import compose, read_yaml
from harness.pipeline.records import Attempt, Metrics, Record
from harness.specs import DatasetSpec, MethodSpec
from harness.specs.layout import ImageSet, Layout
from harness.specs.yamlfile import validate
from harness.use.features import Features, read_features, write_features

PROJECT = Path(__file__).parents[2]


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
    parse_sealed(data, Path("x.json"), model if isinstance(tree, dict) else Record)


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
    inside = folder / "inside"
    (inside / "target").mkdir(parents=True)
    try:
        extract(path, inside / "target")
    finally:
        there = {entry.name for entry in inside.iterdir()}
        shutil.rmtree(inside)
        assert there == {"target"}, f"written beside the target: {there}"


ADDRESSES = (
    b"postgresql+psycopg://user:S3cret@host:5432/name", b"postgresql://user:a@b:S3cret@host/name?password=S3cret",
    b"sqlite:////tmp/board.db", b"mysql://user:S3cret@host/name", b"sqlite:///file:board.db?mode=rwc",
)  # fmt: skip


def fuzz_address(data: bytes, _: Path) -> None:
    """A database's address; a whole secret must not come back in a message."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        database_address(text)
    except UserError as error:
        assert "S3cret" not in str(error), f"repeats the secret: {error}"
        raise


PATTERNS = (
    rb"(?P<id>\d+)_c(?P<camera>\d+)s(?P<frame>\d+) 0002_c1s1_000451.jpg", rb"^(?P<id>[-\d]+)_c(\d) -1_c1",
    rb"(?P<id>a{2,9})(?=b)|\p{L}+(?P<camera>x) aaaaaaaaaab",
)  # fmt: skip


def fuzz_pattern(data: bytes, _: Path) -> None:
    """A pattern of a spec, and a name that it is to read."""
    pattern, _space, name = data.decode("utf-8", "surrogateescape").rpartition(" ")
    layout = {"train": "a", "query": "b", "gallery": "c", "pattern": pattern}
    validated(layout, "layout", Layout)
    for part in name.split():
        Pattern(pattern).search(part)


def fuzz_text(data: bytes, _: Path) -> None:
    """A text on its way to a terminal or an export."""
    shown = printable(data.decode("utf-8", "surrogateescape"))
    assert not HARMFUL.search(shown), "a control character is left"
    shown.encode("utf-8")


def fuzz_folder(data: bytes, folder: Path) -> None:
    """A tree of files, links, folders and pipes, one of each by a line: a kind, a name, and where a link leads."""
    root = folder / "tree"
    root.mkdir()
    try:
        for line in data.split(b"\n")[:40]:
            kind, _, rest = line.partition(b" ")
            name, _, to = rest.partition(b" ")
            with suppress(OSError, ValueError):
                _make(kind, os.fsencode(root) + b"/" + name.replace(b"..", b"_").replace(b"\0", b"_")[:200], to)
        names = files_below(root)
        assert all((root / name).is_file() for name in names), "names what is no file"
        inside = set(names) - set(leading_out(root, names))
        assert all((root / name).resolve().is_relative_to(root.resolve()) for name in inside), "leads out unseen"
    finally:
        shutil.rmtree(root)


def _make(kind: bytes, path: bytes, to: bytes) -> None:
    match kind:
        case b"folder":
            os.mkdir(path)  # noqa: PTH102 - names of bytes
        case b"link":
            os.symlink(to, path)  # noqa: PTH211
        case b"pipe":
            os.mkfifo(path)
        case _:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))


TREE = b"folder a\nfile a/1.jpg\nfile 2.jpg\nlink b a\nlink c ../..\nlink d d\npipe e\nfile .f\nlink a/g /etc/passwd"


@cache
def _seeds_checkpoint() -> list[bytes]:
    import torch

    from harness.learning.state import write_tensors

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        write_tensors({"a": torch.arange(40.0), "b": torch.ones(3, 5, dtype=torch.int64)}, path, {"key": "a__b__s0"})
        return [path.read_bytes()]


def fuzz_checkpoint(data: bytes, folder: Path) -> None:
    """A checkpoint: damaged in any way, it is found; what is read is what was written."""
    import torch

    from harness.learning.state import read_tensors

    path = folder / "checkpoint.safetensors"
    path.write_bytes(data)
    tensors, metadata = read_tensors(path)
    assert tensors["a"].equal(torch.arange(40.0)), "a damaged tensor was believed"
    assert metadata == {"key": "a__b__s0"}, "damaged metadata were believed"


def _seeds_table() -> list[bytes]:
    rows = {"path": ["a/1.jpg", "a/2.jpg"], "identity": ["1", "2"], "camera": ["1", ""], "split": ["train", "query"]}
    sink = io.BytesIO()
    pq.write_table(pa.table(rows | {"day": pa.array([0, 99999], pa.date32())}), sink, compression="none")
    return [b'path,identity,camera,split\na/1.jpg,1,1,train\n"a/2.jpg",2,,query\n', sink.getvalue()]


def fuzz_table(data: bytes, folder: Path) -> None:
    """A table of labels, CSV or Parquet."""
    name = "labels.parquet" if data[:4] == b"PAR1" else "labels.csv"
    (folder / name).write_bytes(data)
    for only in ("train", None):
        for entry in list_images(folder, ImageSet(folder="images", table=name, only=only)):
            to_number(entry.id or "0"), to_number(entry.camera or "0")


def _seeds_features() -> list[bytes]:
    seeds = []
    features = Features(np.eye(3, 8, dtype=np.float32), ("a.jpg", "b.jpg", "c.jpg"), "folder", "run", "f" * 64)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".parquet", ".npy"):
            write_features(features, Path(folder) / f"f{suffix}")
            seeds.append((Path(folder) / f"f{suffix}").read_bytes())
    return seeds


def fuzz_features(data: bytes, folder: Path) -> None:
    """A file of features."""
    path = folder / ("f.npy" if data[:4] == b"\x93NUM" else "f.parquet")
    path.write_bytes(data)
    (folder / "f.json").write_text(
        '{"paths": ["a.jpg", "b.jpg", "c.jpg"], "run": "r", "checkpoint": "c", "folder": "f"}'
    )
    found = read_features(path)
    assert len(found.paths) == len(found.matrix), "rows without a path"


Gate = tuple[Callable[[], list[bytes]], Callable[[bytes, Path], None]]
GATES: dict[str, Gate] = {
    "YAML": (_seeds_yaml, fuzz_yaml),
    "JSON": (_seeds_json, fuzz_json),
    "CSV": (lambda: [b"epoch,loss,note\n1,0.5,\n2,0.25,nan\n"], fuzz_csv),
    "Parquet": (_seeds_parquet, fuzz_parquet),
    "XML": (lambda: [XML, XML.replace(b"gb2312", b"utf-8")], fuzz_xml),
    "list": (lambda: [b"0001/a.jpg 1\n0002/b.jpg 2\r\n"], fuzz_list),
    "table of labels": (_seeds_table, fuzz_table),
    "image": (_seeds_image, fuzz_image),
    "archive": (_seeds_archive, fuzz_archive),
    "folder": (lambda: [TREE], fuzz_folder),
    "pattern": (lambda: list(PATTERNS), fuzz_pattern),
    "database address": (lambda: list(ADDRESSES), fuzz_address),
    "text": (lambda: ["a\x1b[2J\u202eb\r\nc\u2028é".encode()], fuzz_text),
    "checkpoint": (_seeds_checkpoint, fuzz_checkpoint),
    "features": (_seeds_features, fuzz_features),
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
