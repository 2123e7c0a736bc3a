"""Files: only regular ones are opened, none larger than its limit, and every failure names the file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from harness.errors import UserError
from harness.inputs.limits import TEXT_BYTES


class MissingFileError(UserError):
    """There is no such file."""


def read_bytes(path: Path, most: int = TEXT_BYTES) -> bytes:
    """Return the content of a regular file of at most `most` bytes.

    Raises MissingFileError; UserError for a folder, device or pipe (which is not waited for), a file that is too large
    or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {_why(error)}") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise UserError(f"{path}: cannot be read: it is a {kind(mode)}, not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {_why(error)}") from None
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise UserError(f"{path}: has more than {most // 2**20} MiB, which no file of its kind needs; it was not read")
    return data


def read_head(path: Path, size: int) -> bytes:
    """Return at most the first `size` bytes of a regular file, however large it is. Raises as `read_bytes`."""
    check_regular(path)
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {_why(error)}") from None


def check_regular(path: Path) -> None:
    """Raise MissingFileError or UserError unless a library that opens files itself may be given this one."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {_why(error)}") from None
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: cannot be read: it is a {kind(mode)}, not a regular file")


def read_text(path: Path, encoding: str = "utf-8-sig", errors: str = "strict") -> str:
    """Return a text file. Raises as `read_bytes`, and UserError naming the first byte that is no text.

    `errors="replace"` is for files of ours that are compared and written anew, whatever has become of them.
    """
    data = read_bytes(path)
    try:
        return data.decode(encoding, errors)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not {error.encoding}: not a text file, or damaged"
        ) from None


def kind(mode: int) -> str:
    """Return what a file that is not a regular one is."""
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISFIFO(mode):
        return "named pipe"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "link" if stat.S_ISLNK(mode) else "device"


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
