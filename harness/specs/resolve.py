"""From YAML mappings to what one run computes: `extends`, regimes and per-target adjustments, merged.

Pure functions on mappings. Nothing else in `harness/specs` can change a number, so this file alone is a dependency of
the training stages; messages, schemas and tables can be edited without retraining anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

OWN_KEYS = frozenset({"name", "title", "description", "role", "starter", "judged_against", "reported"})
"""Keys that say who a spec is; a spec never inherits them."""

ATOMIC_KEYS = frozenset({"init"})
"""Keys whose mappings are alternatives, so a child's value replaces the parent's as a whole."""


class CyclicExtendsError(ValueError):
    """A spec extends itself, directly or through others; `args[0]` is the chain of names."""


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on top: mappings are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and key not in ATOMIC_KEYS:
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def extends_chain(name: str, raw: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names from `name` up to its root ancestor.

    Raises KeyError(the missing name) for an unknown ancestor, CyclicExtendsError for a cycle.
    """
    chain = [name]
    while (parent := raw[chain[-1]].get("extends")) is not None:
        if parent in chain:
            raise CyclicExtendsError([*chain, parent])
        if parent not in raw:
            raise KeyError(parent)
        chain.append(parent)
    return chain


def flatten(name: str, raw: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return spec `name` with everything it inherits through `extends` (errors as in `extends_chain`)."""
    merged: dict[str, Any] = {}
    for ancestor in reversed(extends_chain(name, raw)):
        stated = raw[ancestor]
        dropped = OWN_KEYS | ({"paper"} & stated.keys())  # a method comes from one publication, not from two merged
        merged = merge({key: value for key, value in merged.items() if key not in dropped}, stated)
    return merged


def resolve(spec: Mapping[str, Any], regime: str, target: str) -> dict[str, Any]:
    """Return what a run of flattened method `spec` on `target` computes: setting, algorithm, init, compute, params.

    Later wins: the method's `params`, the regime's, the regime's adjustment for this target.
    Raises KeyError(regime) if the method has no section for it.
    """
    section = spec["regimes"][regime]
    adjustment = (section.get("targets") or {}).get(target) or {}
    params = merge(merge(spec["params"], section.get("params") or {}), adjustment.get("params") or {})
    compute = merge(section["compute"], adjustment.get("compute") or {})
    return {
        "name": spec["name"],
        "setting": spec["setting"],
        "algorithm": spec["algorithm"],
        "init": section["init"],
        "compute": compute,
        "params": params,
    }


def fingerprint(document: Any) -> str:
    """Return the SHA-256 (first 16 hex digits) of a JSON-able document, independent of key order."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
