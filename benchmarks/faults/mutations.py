"""Damage to bytes: flipped, cut, doubled, spliced with what has broken parsers before, or a value of another kind."""

from __future__ import annotations

import random
import re

TOKENS = [
    b"\0", b"\xff", b"\t", b"\n", b"\r\n", b"&a ", b"*a", b"<<: *a", b"!!int abc", b"!!bool x",
    b"!!python/object:os.x ",
    b"2024-13-45", b"9" * 5000, b"-", b"- - - ", b"[" * 80, b"{" * 80, b"}", b"]", b"Title: x\n", b"? ", b"|\n",
    b"nan", b".inf", b"1e999", b"1e308", b"-1", b"\"", b"'", b":", b"#", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1b[2J",
    b"\xe2\x80\xae", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"encoding='undefined'", b"encoding='punycode'", b"../",
    b"18446744073709551616", b"null", b"true", b"\\ud800", b"\\u0000", b"/etc", b"%TAG", b"(a+)+$", b"{9999}", b"@",
]  # fmt: skip
VALUES = [
    b"null", b"true", b"[]", b"{}", b"[1, 2]", b'"a"', b"-1", b"0", b"1e308", b"NaN", b"9" * 22, b"1" * 400, b"~",
    b'"' + b"x" * 2000 + b'"', b"2024-11-25", b"{1: {}}", b"off", b"0x1F", b"-0.0", b"[[[[[[]]]]]]", b"500",
]  # fmt: skip
VALUE = re.compile(rb"(?<=[:,\[] )[^\s,\]}]+|(?<=,)\w+")


def mutated(data: bytes, source: random.Random) -> bytes:
    """Return `data` with one to eight damages."""
    found = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
        at = source.randrange(len(found) + 1)
        match source.randrange(8):
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
            case _:  # a document that still parses gets further
                value = VALUE.search(found, at) or VALUE.search(found)
                if value:
                    found[value.start() : value.end()] = source.choice(VALUES)
    return bytes(found)
