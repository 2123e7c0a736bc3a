"""Text that others wrote, on its way to a terminal or an export: nothing in it moves a cursor or turns a line round."""

from __future__ import annotations

import re

HARMFUL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab and line end
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of direction
    "\u2028\u2029\ufff9-\ufffb\ud800-\udfff]"  # line separators, annotations, halves of a pair
    r"|\r(?!\n)"
)


WEIGHT = re.compile(r"(\x1b\[[0124]?m)")
"""What makes a terminal's text plain, bold, dim or underlined."""


def printable(text: str, weight: bool = False) -> str:
    """Return `text` with every control and bidirectional character written out as JSON does, like \\u001b.

    `weight`: but for bold, dim and underlined, in a text whose foreign parts were made printable before.
    """
    if weight:
        return "".join(part if WEIGHT.fullmatch(part) else printable(part) for part in WEIGHT.split(text))
    return HARMFUL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
