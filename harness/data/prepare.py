"""Prepare a dataset: decode and resize every image once, into arrays that training memory-maps.

    manifest.parquet                       one row per image, in index order within each split
    train.npy  query.npy  gallery.npy      uint8 [N, H, W, 3], C order
    info.json                              name, data hash, image size, counts, hash of each file

The same input gives the same bytes, whatever the number of workers.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.manifest import build_manifest, manifest_hash, write_manifest
from harness.data.prepared import FORMAT, Prepared, open_prepared
from harness.data.reading import read_dataset
from harness.data.records import SPLITS, UNLABELED, Dataset
from harness.data.scan import Pixels, Problem, Progress, default_workers, scan
from harness.errors import DiskError, UserError
from harness.inputs.images import Facts
from harness.specs.dataset import DatasetSpec

EXAMPLES = 5


def prepare(
    spec: DatasetSpec,
    raw_folder: Path,
    out_folder: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Write the prepared form of the dataset in `raw_folder` to `out_folder`, replacing an earlier one at the end.

    Memory is bounded by `workers` chunks of images. Raises UserError for images that cannot be decoded and for a full
    disk; `out_folder` is then as it was.
    """
    dataset = read_dataset(spec, raw_folder)
    out_folder.parent.mkdir(parents=True, exist_ok=True)
    partial = out_folder.with_name(f".{out_folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _check_space(spec, dataset, out_folder.parent)
    partial.mkdir()
    try:
        _write(spec, dataset, raw_folder, partial, default_workers() if workers is None else workers, progress)
        _replace_folder(partial, out_folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskError(f"{out_folder}: the disk is full; free some space and run it again") from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_prepared(out_folder)


def _write(spec: DatasetSpec, dataset: Dataset, raw: Path, out: Path, workers: int, progress: Progress | None) -> None:
    facts: dict[str, list[Facts]] = {}
    problems: list[Problem] = []
    for split in SPLITS:
        paths = [record.path for record in dataset.splits[split]]
        pixels = _create_array(out / f"{split}.npy", len(paths), spec.image.height, spec.image.width)
        found = scan(raw, paths, workers, f"prepare {spec.name} {split}", progress, pixels)
        facts[split] = [fact for fact in found if isinstance(fact, Facts)]
        problems += [problem for problem in found if isinstance(problem, Problem)]
    if problems:
        examples = "; ".join(map(str, problems[:EXAMPLES]))
        raise UserError(
            f"{raw}: {len(problems)} images cannot be used: {examples}. Repair or restore them; "
            f"'harness data verify {spec.name}' shows all of them."
        )
    manifest = build_manifest(dataset, facts)
    write_manifest(manifest, out / "manifest.parquet")
    info = _info(spec, dataset) | {
        "data_hash": manifest_hash(manifest, spec.image.height, spec.image.width),
        "files": {path.name: _file_hash(path) for path in sorted(out.iterdir())},
    }
    (out / "info.json").write_text(json.dumps(info, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _info(spec: DatasetSpec, dataset: Dataset) -> dict[str, Any]:
    return {
        **({} if dataset.has_ids else {"has_ids": False}),
        "format": FORMAT,
        "name": spec.name,
        "arrangement": dataset.arrangement,
        "has_cameras": dataset.has_cameras,
        "height": spec.image.height,
        "width": spec.image.width,
        "splits": {
            split: {
                "images": len(records),
                "ids": len({record.id for record in records} - {UNLABELED}),
                "cameras": len({record.camera for record in records}) if dataset.has_cameras else 0,
                "dropped": dataset.dropped[split],
            }
            for split, records in dataset.splits.items()
        },
    }


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _create_array(path: Path, images: int, height: int, width: int) -> Pixels:
    """Create a .npy file of uint8 [images, height, width, 3] with unwritten data."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (images, height, width, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
        file.truncate(offset + images * height * width * 3)
    return Pixels(path, offset, height, width)


def _check_space(spec: DatasetSpec, dataset: Dataset, folder: Path) -> None:
    images = sum(len(records) for records in dataset.splits.values())
    needed = images * spec.image.height * spec.image.width * 3
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: preparing {spec.name} needs {needed / 2**30:.1f} GiB, but only {free / 2**30:.1f} GiB are free"
        )


def _replace_folder(new: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)
