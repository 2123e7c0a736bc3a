"""Archives unpacked without trusting them.

Nothing is written outside the target folder: absolute paths, '..', links and devices are refused, and so is an archive
that would grow beyond what images can. A file is written under a temporary name and renamed when it is whole, so an
interrupted extraction goes on where it stopped.
"""

from __future__ import annotations

import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from harness.data.scan import Progress
from harness.errors import UserError

MOST_GROWTH = 20  # images are compressed already: official archives grow by less than 1.1
SLACK = 64 * 2**20  # so that a small archive of text files is no bomb
CHUNK = 2**20


def extract(archive: Path, target: Path, progress: Progress | None = None) -> None:
    """Unpack a zip or tar archive (compressed or not) into `target`, which exists; whole files there are kept.

    Raises UserError for an archive that is unsafe, encrypted, broken or of another kind; OSError if the disk is full.
    """
    with _explained(archive):
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, target, progress)
        elif tarfile.is_tarfile(archive):
            _extract_tar(archive, target, progress)
        elif archive.suffix.lower() in (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz"):
            raise UserError(f"{archive}: is broken or cut short; download it again")
        else:
            raise UserError(f"{archive}: is no zip or tar archive; unpack it yourself and add the folder")


def _extract_zip(archive: Path, target: Path, progress: Progress | None) -> None:
    with zipfile.ZipFile(archive) as file:
        members = [member for member in file.infolist() if not member.is_dir() and _wanted(archive, member.filename)]
        if any(member.flag_bits & 1 for member in members):
            raise UserError(
                f"{archive}: is protected by a password; unpack it with the password you were given and add the folder"
            )
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise UserError(f"{archive}: {member.filename!r} is a link or device; refused, nothing was added")
        budget = _Budget(archive)
        budget.check(sum(member.file_size for member in members))
        for number, member in enumerate(members, start=1):
            path = target / _safe(archive, member.filename)
            if not (path.is_file() and path.stat().st_size == member.file_size):
                with file.open(member) as source:
                    _write(source, path, member.file_size, budget)
            if progress:
                progress(f"unpack {archive.name}", number, len(members))


def _extract_tar(archive: Path, target: Path, progress: Progress | None) -> None:
    budget = _Budget(archive)
    size = archive.stat().st_size
    with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as file:
        for member in file:
            if progress:
                progress(f"unpack {archive.name} (MiB)", _mib(raw.tell()), _mib(size))
            if member.isdir() or not _wanted(archive, member.name):
                continue
            if not member.isreg():
                raise UserError(f"{archive}: {member.name!r} is a link or device; refused, nothing was added")
            budget.check(member.size)
            path = target / _safe(archive, member.name)
            source = file.extractfile(member)
            if source and not (path.is_file() and path.stat().st_size == member.size):
                _write(source, path, member.size, budget)


def _mib(size: int) -> int:
    return -(-size // 2**20)


class _Budget:
    """How many bytes an archive may still write."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.left = archive.stat().st_size * MOST_GROWTH + SLACK

    def check(self, size: int) -> None:
        if size > self.left:
            raise UserError(
                f"{self.archive}: would grow to more than {MOST_GROWTH} times its size, which images never do; "
                "it looks like a decompression bomb and was refused"
            )

    def spend(self, size: int) -> None:
        self.check(size)
        self.left -= size


def _write(source: IO[bytes], path: Path, size: int, budget: _Budget) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as out:
        while block := source.read(CHUNK):
            budget.spend(len(block))
            out.write(block)
    if partial.stat().st_size != size:
        raise EOFError(f"{path.name} is cut short")
    partial.replace(path)


def _wanted(archive: Path, name: str) -> bool:
    """Whether a member is data, not a hidden file or a resource fork of macOS. Raises UserError for an unsafe name."""
    return not any(part == "__MACOSX" or part.startswith(".") for part in _safe(archive, name).parts)


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise UserError(f"{archive}: {name!r} leads out of the folder; refused, nothing was added")
    return path


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    """Turn what the libraries raise for a broken archive into a message."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError) as error:
        raise UserError(f"{archive}: is broken or cut short ({error}); download it again") from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile: an unknown compression method; a password
        raise UserError(
            f"{archive}: cannot be unpacked here ({error}); unpack it yourself and add the folder"
        ) from error
