"""Add a dataset: from an official archive or folder to a verified, versioned `data/raw/<name>`, all or nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from harness.data.manifest import read_manifest, write_manifest
from harness.data.reading import recognize
from harness.data.scan import Progress
from harness.errors import DiskError, UserError
from harness.importing.findings import some
from harness.importing.verify import MANIFEST, Verification, verify_dataset
from harness.inputs.archives import extract
from harness.inputs.files import read_bytes, read_text
from harness.inputs.folders import files_below, leading_out
from harness.paths import raw_folder
from harness.specs.dataset import DatasetSpec

Link = Literal["copy", "hardlink", "symlink"]


@dataclass(frozen=True)
class Added:
    """Result of `add_dataset`; `verification` is None if the dataset had been added before."""

    folder: Path
    images: int
    source: Path  # the folder or archive that it came from
    verification: Verification | None
    versioned: bool  # whether DVC tracks it; False outside a DVC repository


def add_dataset(
    spec: DatasetSpec,
    path: Path | str,
    root: Path | str,
    link: Link = "copy",
    allow_mismatch: bool = False,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Added:
    """Import `spec`'s official archive or unpacked folder at `path` into the project at `root`.

    Everything happens in a folder beside the target, which is renamed in the end, so a dataset is there as a whole or
    not at all. After an interruption or on a full disk the same call goes on where it stopped; if the dataset is there,
    it does nothing. Images that cannot be used are refused always, other differences unless `allow_mismatch`.

    Raises UserError, also for a PATH that is not this dataset.
    """
    if spec.drawn is not None:
        raise UserError(f"{spec.name} is drawn, not imported; run: dvc repro prepare@{spec.name}")
    path, root = Path(path).absolute(), Path(root).absolute()
    target = raw_folder(root, spec.name)
    partial = target.with_name(f".{spec.name}.partial")
    if (target / MANIFEST).exists():
        versioned = target.with_name(f"{target.name}.dvc").exists() or _version(root, target)
        _clear(partial)
        return Added(target, read_manifest(target / MANIFEST).num_rows, path, None, versioned)
    if target.exists():
        raise UserError(
            f"{target}: exists, but was not written by 'harness data add'; move it away, or add it from there"
        )
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no such file or folder, or it cannot be read")
    try:
        if path.is_dir():
            path, _ = recognize(spec, path)
        elif not path.is_file():
            raise UserError(f"{path}: is neither a folder nor a regular file")
        _fetch(path, partial, link, progress)
        base, _ = recognize(spec, partial)
        verification = verify_dataset(spec, base, workers, progress)
        manifest = _judge(spec, path, verification, allow_mismatch)
        (base / MANIFEST).unlink(missing_ok=True)  # it may be a link to the manifest of the folder that is imported
        write_manifest(manifest, base / MANIFEST)
    except UserError as error:
        _clear(partial)
        raise UserError(str(error).replace(str(partial), str(path))) from error  # the path that the user knows
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskError(
                f"{target}: the disk is full; nothing was registered. Free some space and run the same command again: "
                f"it goes on where it stopped (or delete {partial})"
            ) from error
        raise DiskError(f"{error.filename or path}: {error.strerror or error}; nothing was registered") from error
    base.replace(target)
    try:
        versioned = _version(root, target)
    except UserError:
        target.replace(base)
        raise
    _clear(partial)
    return Added(target, manifest.num_rows, path, verification, versioned)


def _judge(spec: DatasetSpec, path: Path, verification: Verification, allow_mismatch: bool) -> pa.Table:
    """Return the manifest of a dataset that may be added. Raises UserError that lists every reason against it."""
    refused = verification.at("error") if allow_mismatch else verification.at("error", "difference")
    if refused or verification.manifest is None:
        lines = "\n".join(f"  - {text}" for text in refused)
        hint = "" if verification.at("error") else "\nTo use it in spite of this, add --allow-mismatch."
        what = f"is not {spec.title} as published" if spec.expect else "cannot be used as it is"
        raise UserError(f"{path}: {what}; nothing was registered:\n{lines}{hint}")
    return verification.manifest


def _fetch(path: Path, partial: Path, link: Link, progress: Progress | None) -> None:
    """Bring the files at `path` into `partial`, keeping those that an interrupted call brought from there before."""
    if path.is_file() and link != "copy":
        raise UserError(f"{path}: an archive is unpacked, it cannot be linked; unpack it and add the folder")
    note = _source_note(partial)
    state = path.stat()
    source = json.dumps({"path": str(path), "size": state.st_size, "time": state.st_mtime_ns, "link": link})
    if not (note.exists() and read_text(note) == source):
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    note.write_text(source)
    if path.is_dir():
        _copy(path, partial, link, progress)
    else:
        extract(path, partial, progress)


def _source_note(partial: Path) -> Path:
    """Return the file that names the source of an unfinished import."""
    return partial.with_suffix(".source")


def _clear(partial: Path) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    _source_note(partial).unlink(missing_ok=True)


def _copy(source: Path, target: Path, link: Link, progress: Progress | None) -> None:
    bring: dict[Link, Callable[[Path, Path], object]] = {
        "copy": shutil.copy2,
        "hardlink": os.link,
        "symlink": os.symlink,
    }
    names = files_below(source)
    if out := leading_out(source, names):
        raise UserError(
            f"{source}: {len(out)} files are links, or lie behind links, that lead out of this folder: {some(out)}; "
            "nothing outside is copied. Copy it with `cp -rL` first, or add the folder that the links lead to"
        )
    files = [Path(name) for name in names]
    for stale in {path.relative_to(target) for path in target.rglob("*") if not path.is_dir()} - set(files):
        (target / stale).unlink()
    for number, file in enumerate(files, start=1):
        if not _same(source / file, target / file):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            part = (target / file).with_name(f".{file.name}.part")
            part.unlink(missing_ok=True)
            try:
                bring[link](source / file, part)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    raise UserError(
                        f"{source}: is on another file system, so it cannot be hard-linked; copy it"
                    ) from error
                raise
            part.replace(target / file)
        if progress:
            progress(f"{link} {source.name}", number, len(files))


def _same(one: Path, other: Path) -> bool:
    if not other.is_file():
        return False
    a, b = one.stat(), other.stat()
    return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)


def _version(root: Path, folder: Path) -> bool:
    """Track `folder` with DVC if `root` is a DVC repository. Raises UserError with DVC's message."""
    if not (root / ".dvc").is_dir():
        return False
    pointer = folder.with_name(f"{folder.name}.dvc")
    before = read_bytes(pointer) if pointer.exists() else None
    command = [sys.executable, "-m", "dvc", "add", "--no-relink", str(folder.relative_to(root))]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        pointer.unlink(missing_ok=True)  # DVC writes it before it has all the files
        if before is not None:
            pointer.write_bytes(before)
        said = (done.stderr or done.stdout).strip()
        errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
        raise UserError(
            f"{folder}: DVC could not version it; nothing was registered. "
            f"Mend this and run the same command again: {errors[-1] if errors else said[-500:]}"
        )
    return True
