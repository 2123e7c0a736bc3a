"""JSON documents, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import UserError
from harness.inputs.files import read_bytes
from harness.inputs.limits import TEXT_BYTES
from harness.inputs.tree import check_tree

Document = TypeVar("Document", bound=BaseModel)


def read_json(path: Path, most: int = TEXT_BYTES) -> Any:
    """Return the document in `path`. Raises UserError (MissingFileError if it is not there)."""
    return parse_json(read_bytes(path, most), path)


def parse_json(data: bytes, path: Path) -> Any:
    """Return the document in `data`, which was read from `path`. Raises UserError."""
    try:
        tree = json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # also a number of too many digits, and bytes that are no text
        raise UserError(f"{path}: not readable as JSON: {error}") from None
    check_tree(tree, str(path))
    return tree


def parse_document(data: bytes, path: Path, model: type[Document]) -> Document:
    """Return the validated document in `data`. Raises UserError naming the first field that is wrong."""
    return validated(parse_json(data, path), str(path), model)


def validated(tree: Any, where: str, model: type[Document]) -> Document:
    """Return `tree` as a `model`. Raises UserError, beginning with `where`, naming the first field that is wrong."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {field + ': ' if field else ''}{first['msg']}") from None


SEAL = "sha256"
"""The field of a document that holds the hash of the others; '' in documents older than it."""


def seal(tree: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document without its seal, as JSON with sorted keys."""
    rest = {name: value for name, value in tree.items() if name != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sealed(document: BaseModel) -> str:
    """Return a document as indented JSON that states its own hash."""
    tree = document.model_dump(mode="json")
    return json.dumps(tree | {SEAL: seal(tree)}, indent=2, ensure_ascii=False) + "\n"


def parse_sealed(data: bytes, path: Path, model: type[Document]) -> Document:
    """Return the validated document in `data`. Raises UserError also if its seal is not that of its content."""
    tree = parse_json(data, path)
    document = validated(tree, str(path), model)
    if tree.get(SEAL) and tree[SEAL] != seal(tree):
        raise UserError(f"{path}: is damaged, or was edited: its SHA-256 differs")
    return document


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")
