"""Published weights: fetched once, whole and as their name says, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse
from urllib.request import urlopen

from harness.errors import UserError
from harness.paths import replacing

HASHED = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
"""A published file's name ends in the first digits of its SHA-256."""
CHUNK = 2**20
SECONDS = 20.0
"""Without a byte, after which a download is given up."""
OFFLINE = "HARNESS_OFFLINE"
HUB = re.compile(r"https://huggingface\.co/([^/]+/[^/]+)/resolve/main/(.+)")
LISTING = 2**20
"""Bytes of a repository's list of files on the Hub that are read."""


def file_name(url: str) -> str:
    """Return the name of the file behind an address."""
    return Path(urlparse(url).path).name


def may_download() -> bool:
    """Return whether this machine may fetch anything: HARNESS_OFFLINE=1 says no."""
    value = os.environ.get(OFFLINE) or "0"
    if value not in ("0", "1"):
        raise UserError(f"{OFFLINE}={value}: must be 0 or 1")
    return value == "0"


def download(url: str, path: Path, progress: Callable[[str, int, int], None] | None = None) -> None:
    """Write what `url` holds to `path`, its SHA-256 checked against its name, or against what the Hub says of it.

    Raises UserError without a network, for half a download and for another content; nothing is written then.
    """
    if urlparse(url).scheme != "https":
        raise UserError(f"{url}: is not fetched: only https addresses are")
    digest = hashlib.sha256()
    try:
        by_hub = _stated_by_hub(url)
        with urlopen(url, timeout=SECONDS) as answer, replacing(path) as partial:  # noqa: S310 - https, see above
            total = int(answer.headers.get("Content-Length") or 0)
            done = 0
            with partial.open("wb") as file:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    if progress:
                        progress(f"fetch {path.name} (KiB)", done // 1024, max(total, done) // 1024)
            if total and done != total:
                raise UserError(f"{url}: only {done} of {total} bytes came; run it again")
            stated = HASHED.search(path.name)
            if stated and not digest.hexdigest().startswith(stated[1]):
                raise UserError(f"{url}: has SHA-256 {digest.hexdigest()[:8]}…, its name says {stated[1]}; not kept")
            if by_hub and digest.hexdigest() != by_hub:
                raise UserError(f"{url}: has SHA-256 {digest.hexdigest()[:8]}…, the Hub says {by_hub[:8]}…; not kept")
    except (URLError, TimeoutError, ConnectionError) as error:
        raise UserError(
            f"{url}: cannot be fetched ({getattr(error, 'reason', error)}); on a machine without a network bring the "
            f"file as {path}"
        ) from error


def _stated_by_hub(url: str) -> str | None:
    """Return the SHA-256 that the Hugging Face Hub states of a file; None for an address elsewhere."""
    place = HUB.fullmatch(url)
    if place is None:
        return None
    repository, file = place.groups()
    with urlopen(f"https://huggingface.co/api/models/{repository}/tree/main", timeout=SECONDS) as answer:
        listing = answer.read(LISTING)
    try:
        (stated,) = (entry["lfs"]["oid"] for entry in json.loads(listing) if entry["path"] == file)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{url}: the Hub states no SHA-256 of it; not fetched") from error
    return str(stated)
