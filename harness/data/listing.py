"""List the images of a split, with the labels that its list files and XML state."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from harness.errors import UserError
from harness.specs.layout import ImageSet

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")


@dataclass(frozen=True)
class Listed:
    """An image of a split, with the labels stated in a list or XML (None: only the file name states them)."""

    name: str  # path below the split's folder
    id: str | None
    camera: str | None
    stated_in: str  # file and line, or the folder


def images_below(folder: Path) -> list[str]:
    """Return the paths, below `folder`, of all files with an image's suffix, sorted. Hidden files are no images."""
    found = []
    for parent, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(parent).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        found += [prefix + name for name in files if name[0] != "." and name.lower().endswith(SUFFIXES)]
    return sorted(found)


def list_images(root: Path, part: ImageSet) -> list[Listed]:
    """Return the images of one split in the order in which they are stated; a name that is listed twice comes twice.

    Raises UserError for a file or folder that cannot be read, a malformed line, and a path that leaves the folder.
    """
    if part.lists:
        named = [entry for path in part.lists for entry in _read_list(root, path)]
    else:
        named = [Listed(name, None, None, part.folder) for name in images_below(root / part.folder)]
    if part.xml is None:
        return named
    labels = read_xml(root / part.xml)
    return [
        Listed(entry.name, *labels[entry.name], part.xml) if entry.name in labels and entry.id is None else entry
        for entry in named
    ]


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, with Unix or Windows line ends, blank ones kept as ''."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}; take this file from the official archive again") from error


def _read_list(root: Path, path: str) -> list[Listed]:
    entries = []
    for number, line in enumerate(read_lines(root / path), start=1):
        if not line:
            continue
        where = f"{path}:{number}"
        match = re.fullmatch(r"(.+?\.\w+)(?:\s+([^\s./]+))?", line)
        if match is None:
            raise UserError(f"{root / path}:{number}: expected 'path identity', found {line!r}")
        name = match[1].removeprefix("./")
        if name.startswith("/") or ".." in Path(name).parts:
            raise UserError(f"{root / path}:{number}: {name!r} leads out of the dataset's folder")
        entries.append(Listed(name, match[2], None, where))
    return entries


def read_xml(path: Path) -> dict[str, tuple[str, str]]:
    """Return identity and camera by image name.

    VeRi-776 declares gb2312, which the standard parser refuses, so the bytes are decoded here. Raises UserError.
    """
    try:
        data = path.read_bytes()
        declared = re.match(rb"\s*<\?xml[^>]*?encoding=[\"']([\w-]+)[\"'][^>]*\?>", data)
        encoding = declared[1].decode("ascii") if declared else "utf-8-sig"
        text = data.decode("gb18030" if encoding.lower() in ("gb2312", "gbk") else encoding)
        text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise UserError(f"{path}: declares XML entities, which a label file has no use for; it was not read")
        items = ElementTree.fromstring(text).iter()  # noqa: S314 (entities are refused above)
        return {
            item.attrib["imageName"]: (item.attrib["vehicleID"], item.attrib["cameraID"])
            for item in items
            if "imageName" in item.attrib
        }
    except (OSError, LookupError, UnicodeDecodeError, ElementTree.ParseError) as error:
        raise UserError(f"{path}: not a readable label file: {type(error).__name__}: {error}") from error


def _unreadable(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}; check that it exists and its permissions")
