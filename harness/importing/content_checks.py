"""Checks of file contents: duplicates, and changes since the dataset was added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from harness.importing.findings import Finding, some

Row = dict[str, Any]


def check_copies(manifest: pa.Table, has_cameras: bool) -> Iterator[Finding]:
    """Report files with equal content; duplicates that leak between splits or identities are the worse findings.

    A query that also lies in the gallery, with the same identity and camera, is none: evaluation leaves that pair out.
    """
    groups: dict[str, dict[tuple[str, str], Row]] = defaultdict(dict)
    for row in manifest.to_pylist():
        groups[row["content"]][row["split"], row["path"]] = row
    if len(groups) == 1 and manifest.num_rows > 1:
        yield Finding("error", f"all {manifest.num_rows} images are copies of one: there is nothing to learn from them")
        return
    kinds: dict[str, list[str]] = defaultdict(list)
    for rows in groups.values():
        if len(rows) > 1 and (kind := _kind(list(rows.values()), has_cameras)):
            kinds[kind].append(" = ".join(sorted(row["path"] for row in rows.values())))
    texts = {
        "leak": "images are in both train and test",
        "identities": "images carry more than one identity",
        "cameras": "images carry more than one camera",
        "self": "queries also lie in the gallery, and without camera labels nothing removes them there",
    }
    for kind, text in texts.items():
        if kinds[kind]:
            yield Finding("difference", f"{len(kinds[kind])} {text}: {some(kinds[kind])}")
    if kinds["harmless"]:
        copies = kinds["harmless"]
        yield Finding("notice", f"{len(copies)} images have copies with the same labels: {some(copies)}")


def _kind(rows: list[Row], has_cameras: bool) -> str | None:
    splits = {row["split"] for row in rows}
    if "train" in splits and len(splits) > 1:
        return "leak"
    if len({row["identity"] for row in rows}) > 1:
        return "identities"
    if has_cameras and len({row["camera"] for row in rows}) > 1:
        return "cameras"
    if not has_cameras and splits == {"query", "gallery"}:
        return "self"
    once_each = len(rows) == len(splits)
    return None if once_each else "harmless"


def check_changes(before: pa.Table, now: pa.Table) -> Iterator[Finding]:
    """Compare the manifest written when the dataset was added with the current files."""
    was = {(row["split"], row["path"]): row for row in before.to_pylist()}
    is_ = {(row["split"], row["path"]): row for row in now.to_pylist()}
    changes = {
        "are gone": [path for split, path in was.keys() - is_.keys()],
        "are new": [path for split, path in is_.keys() - was.keys()],
        "have other content": [key[1] for key in was.keys() & is_.keys() if was[key]["content"] != is_[key]["content"]],
        "have other labels": [
            key[1]
            for key in was.keys() & is_.keys()
            if any(was[key][label] != is_[key][label] for label in ("identity", "camera"))
        ],
    }
    for text, paths in changes.items():
        if paths:
            yield Finding(
                "difference", f"since the dataset was added, {len(paths)} images {text}: {some(sorted(paths))}"
            )
