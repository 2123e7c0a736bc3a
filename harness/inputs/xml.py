"""XML of attributes: no entities, no declarations, the encodings that XML is written in."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

from harness.errors import UserError
from harness.inputs.files import read_bytes

ENCODINGS = frozenset(
    (
        *("utf-8", "utf-8-sig", "ascii", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"),
        *(f"iso8859-{part}" for part in range(1, 17)),
        *(f"cp{page}" for page in (*range(1250, 1259), 932, 936, 949, 950)),
    )
)
"""Python knows many more, among them some whose time grows with the square of a text's length."""


def read_attributes(path: Path, wanted: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the attributes `wanted` of every element that has the first of them. Raises UserError.

    VeRi-776 declares gb2312, which the standard parser refuses, so the bytes are decoded here.
    """
    data = read_bytes(path)
    declared = re.match(rb"\s*<\?xml[^>]{,200}?encoding=[\"']([\w.-]{1,40})[\"'][^>]{,200}\?>", data)
    encoding = declared[1].decode("ascii") if declared else "utf-8-sig"
    try:
        name = codecs.lookup("gb18030" if encoding.lower() in ("gb2312", "gbk") else encoding).name
        if name not in ENCODINGS:
            raise UserError(f"{path}: declares the encoding {encoding!r}, which no label file has; save it as UTF-8")
        text = data.decode(name)
        text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise UserError(f"{path}: declares XML entities, which a label file has no use for; it was not read")
        items = ElementTree.fromstring(text).iter()  # noqa: S314 (entities are refused above)
        return [tuple(item.attrib[name] for name in wanted) for item in items if wanted[0] in item.attrib]
    except KeyError as error:
        raise UserError(f"{path}: an element has {wanted[0]}, but no {error.args[0]}") from None
    except (LookupError, ValueError, ElementTree.ParseError) as error:  # no such encoding, no text, no XML
        raise UserError(f"{path}: not a readable label file: {type(error).__name__}: {error}") from None
