"""Whether a result is still what the specs, the data and the protocol of today would give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.data.prepared import open_prepared
from harness.errors import UserError
from harness.evaluation.protocol import PROTOCOL
from harness.paths import prepared_folder
from harness.specs import Registry, ResolvedMethod, parse_key
from harness.specs.resolve import CyclicExtendsError


def staleness(registry: Registry, key: str, record: Mapping[str, Any]) -> str:
    """Return why the run no longer matches the registry, or '' if it does.

    The spec is resolved without importing its algorithm (which may import torch): parameters that the YAML leaves to
    the algorithm's defaults are not compared.
    """
    try:
        pairing = parse_key(key)
        registry.method(pairing.method)
        merged = registry.merged(pairing.method, pairing.target)
        wanted = ResolvedMethod.model_validate(merged).model_dump(mode="json")
    except UserError as error:
        return str(error).splitlines()[0]
    except (KeyError, CyclicExtendsError, ValidationError):
        return f"{key.split('__')[0]} no longer has a valid spec for {key.split('__')[1]}"
    changed = _differing(wanted, record["spec"])
    if record["protocol"] != PROTOCOL:
        return f"scored by protocol {record['protocol']}; today's is {PROTOCOL}"
    if changed:
        shown = ", ".join(changed[:4]) + (", …" if len(changed) > 4 else "")
        return f"the spec has changed since: {shown}"
    for name, used in record["data_hashes"].items():
        if _data_hash(registry.root, name) not in (None, used):
            return f"{name} was prepared anew since, and differs"
    return ""


def _data_hash(root: Path, dataset: str) -> str | None:
    """Return the hash of a prepared dataset, None if it is not prepared here."""
    try:
        return open_prepared(prepared_folder(root, dataset)).data_hash
    except (UserError, KeyError):
        return None


def _differing(wanted: Any, recorded: Any, path: str = "") -> list[str]:
    if isinstance(wanted, dict) and isinstance(recorded, dict):
        found: list[str] = []
        for name, value in wanted.items():
            found += _differing(value, recorded.get(name), f"{path}.{name}" if path else name)
        return found
    return [] if wanted == recorded else [path]
