"""Safe extraction of zip and tar archives.

Nothing is written outside the target folder: absolute paths, '..', links and devices are refused, and so is an archive
that would grow beyond what images can. A file is written under a temporary name and renamed when it is complete, so an
interrupted extraction continues where it stopped.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from harness.data.scan import Progress
from harness.errors import UserError
from harness.inputs.limits import MEMBERS, NAME

MOST_GROWTH = 20  # images are compressed already: official archives grow by less than 1.1
SLACK = 64 * 2**20  # so that a small archive of text files is no bomb
CHUNK = 2**20
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)
DIRECTORY_BYTES = 256 * 2**20  # of a zip: enough for two million names


def extract(archive: Path, target: Path, progress: Progress | None = None) -> None:
    """Unpack a zip or tar archive (compressed or not) into `target`, which exists; whole files there are kept.

    Raises UserError for an archive that is unsafe, encrypted, broken or of another kind; OSError if the disk is full.
    """
    with _explained(archive):
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, target, progress)
        elif _is_tar(archive):
            _extract_tar(archive, target, progress)
        elif archive.suffix.lower() in (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz"):
            raise UserError(f"{archive}: is broken or cut short; download it again")
        else:
            raise UserError(f"{archive}: is no zip or tar archive; unpack it yourself and add the folder")


def _extract_zip(archive: Path, target: Path, progress: Progress | None) -> None:
    _check_directory(archive)
    with zipfile.ZipFile(archive) as file:
        everything = [member for member in file.infolist() if not member.filename.endswith("/")]
        members = [member for member in everything if _wanted(archive, member.filename)]
        if any(member.flag_bits & 1 for member in members):
            raise UserError(
                f"{archive}: is protected by a password; unpack it with the password you were given and add the folder"
            )
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise UserError(f"{archive}: {member.filename!r} is a link or device; refused, nothing was added")
        budget = _Budget(archive)
        budget.check(sum(member.file_size for member in everything))
        for number, member in enumerate(members, start=1):
            path = target / _safe(archive, member.filename)
            if not (path.is_file() and path.stat().st_size == member.file_size):
                with file.open(member) as source:
                    _write(source, path, member.file_size, budget)
            if progress:
                progress(f"unpack {archive.name}", number, len(members))


def _check_directory(archive: Path) -> None:
    """Refuse a zip whose table of contents alone would take the machine's memory: it is read before anything else."""
    with archive.open("rb") as file:
        file.seek(max(0, archive.stat().st_size - 65_557))  # the end record and its comment
        tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at >= 0 and len(tail) >= at + 16 and int.from_bytes(tail[at + 12 : at + 16], "little") > DIRECTORY_BYTES:
        raise UserError(f"{archive}: its table of contents takes more than {DIRECTORY_BYTES // 2**20} MiB; refused")


def _extract_tar(archive: Path, target: Path, progress: Progress | None) -> None:
    budget = _Budget(archive)
    size = archive.stat().st_size
    with archive.open("rb") as raw, _decompressed(raw) as plain:
        stream = _Metered(plain, _Budget(archive))
        with tarfile.TarFile(fileobj=cast(IO[bytes], stream)) as file:
            for number, member in enumerate(file):
                file.members = []  # type: ignore[attr-defined]  # TarFile would keep them all
                if number >= MEMBERS:
                    raise UserError(f"{archive}: has more than {MEMBERS:,} members; refused, nothing was added")
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
        if stream.ended:
            raise EOFError("it has no end mark")
        while stream.read(CHUNK):  # to the end of the file, where gzip, bzip2 and xz keep their checksums
            pass


def _is_tar(archive: Path) -> bool:
    """Whether the first block is a tar's header; `tarfile.is_tarfile` would read a whole name, however long."""
    try:
        with archive.open("rb") as raw, _decompressed(raw) as plain:
            tarfile.TarInfo.frombuf(plain.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError):
        return False
    return True


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    head = raw.read(6)
    raw.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if head.startswith(b"BZh"):
        return cast(IO[bytes], bz2.BZ2File(raw))
    if head.startswith((b"\xfd7zXZ", b"]\0\0")):
        return cast(IO[bytes], lzma.LZMAFile(raw))
    return raw


class _Metered:
    """A stream for TarFile that spends a budget: names, headers and what is skipped count like the rest."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self.stream, self.budget, self.ended = stream, budget, False

    def read(self, size: int) -> bytes:
        if size > CHUNK:
            raise UserError(f"{self.budget.archive}: a name or header of {size:,} bytes; refused, nothing was added")
        try:
            block = self.stream.read(size)
        except (OSError, zlib.error, lzma.LZMAError) as error:  # also gzip.BadGzipFile
            raise EOFError(str(error)) from None
        self.budget.spend(len(block))
        self.ended = size > 0 and not block
        return block

    def tell(self) -> int:
        return self.stream.tell()

    def seek(self, position: int) -> int:
        while (ahead := position - self.stream.tell()) > 0 and self.read(min(ahead, CHUNK)):
            pass
        if ahead < 0:
            self.stream.seek(position)
        return self.stream.tell()


def _mib(size: int) -> int:
    return -(-size // 2**20)


class _Budget:
    """Number of bytes that an archive may still write."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.left = archive.stat().st_size * MOST_GROWTH + SLACK

    def check(self, size: int) -> None:
        """Raise UserError if `size` more bytes exceed the budget."""
        if size > self.left:
            raise UserError(
                f"{self.archive}: would grow to more than {MOST_GROWTH} times its size, which images never do; "
                "it looks like a decompression bomb and was refused"
            )

    def spend(self, size: int) -> None:
        """Take `size` bytes from the budget. Raises UserError if they exceed it."""
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
    """Return True for data, False for a hidden file or a macOS resource fork. Raises UserError for an unsafe name."""
    return not any(part == "__MACOSX" or part.startswith(".") for part in _safe(archive, name).parts)


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or len(name) > NAME:
        raise UserError(
            f"{archive}: a member has no name, or one of {len(name)} characters; refused, nothing was added"
        )
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise UserError(f"{archive}: {name!r} leads out of the folder; refused, nothing was added")
    return path


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    """Raise the libraries' errors about a broken archive as UserError."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except OSError as error:
        if error.errno in DISK:  # what else the libraries raise is of the archive, like seeking before its beginning
            raise
        raise UserError(f"{archive}: is broken or cut short ({error}); download it again") from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile: an unknown compression method; a password
        raise UserError(
            f"{archive}: cannot be unpacked here ({error}); unpack it yourself and add the folder"
        ) from error
    except Exception as error:  # each library raises what it meets in a broken file
        raise UserError(f"{archive}: is broken or cut short ({error}); download it again") from error
