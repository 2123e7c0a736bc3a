"""From YAML mappings to what one run computes: regimes, `extends` and per-target adjustments, merged.

Pure functions on mappings. `raw` are the methods as their files state them, by name; `bases` what all methods of a
regime compute with unless they say otherwise (`methods/regimes/<regime>.yaml`), by regime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

OWN_KEYS = frozenset({"name", "title", "description", "role", "starter", "judged_against", "reported"})
"""Keys that say who a spec is; a spec never inherits them."""

ATOMIC_KEYS = frozenset({"init"})
"""Keys whose mappings are alternatives, so a child's value replaces the parent's as a whole."""

KIND = "kind"
"""The key that says which alternative a mapping is: another kind replaces what is below as a whole."""

Spec = Mapping[str, Any]


class CyclicExtendsError(ValueError):
    """A spec extends itself, directly or through others; `args[0]` is the chain of names."""


def merge(base: Spec, over: Spec) -> dict[str, Any]:
    """Return `base` with `over` laid on top: mappings are merged key by key, everything else is replaced.

    A mapping of another `kind` replaces, too: what one kind was given means nothing to another.

    >>> merge({"a": {"kind": "x", "of_x": 1}}, {"a": {"of_x": 2}})
    {'a': {'kind': 'x', 'of_x': 2}}
    >>> merge({"a": {"kind": "x", "of_x": 1}}, {"a": {"kind": "y", "of_y": 1}})
    {'a': {'kind': 'y', 'of_y': 1}}
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and key not in ATOMIC_KEYS:
            same_kind = value.get(KIND, below.get(KIND)) == below.get(KIND)
            merged[key] = merge(below, value) if same_kind else value
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


def flatten(name: str, raw: Mapping[str, Spec], bases: Mapping[str, Spec] = {}) -> dict[str, Any]:
    """Return spec `name` with everything it inherits: from its regimes' bases, then through `extends`.

    Errors as in `extends_chain`. A regime's `params` become complete: all that its runs compute with, but for the
    adjustments of targets.
    """
    chain = [raw[ancestor] for ancestor in reversed(extends_chain(name, raw))]
    stated = {regime for spec in chain for regime in _mapping(spec, "regimes")}
    merged: dict[str, Any] = {"regimes": {regime: bases.get(regime, {}) for regime in stated}} if stated else {}
    for spec in chain:
        dropped = OWN_KEYS | ({"paper"} & spec.keys())  # a method comes from one publication, not from two merged
        merged = merge({key: value for key, value in merged.items() if key not in dropped}, spec)
    for regime, section in _mapping(merged, "regimes").items():
        if isinstance(section, Mapping) and isinstance(section.get("params", {}), Mapping):
            merged["regimes"][regime] = {**section, "params": _layers(chain, regime, "", "params")}
    return merged


def resolve(name: str, raw: Mapping[str, Spec], bases: Mapping[str, Spec], regime: str, target: str) -> dict[str, Any]:
    """Return what a run of method `name` on `target` computes: setting, algorithm, init, compute, params.

    What a spec states wins over what it inherits. Within one spec, the adjustment for this target wins over the
    regime's section, and that over `params`. Raises KeyError(regime) if the method has no section for it.
    """
    spec = flatten(name, raw, bases)
    chain = [bases.get(regime, {}), *(raw[ancestor] for ancestor in reversed(extends_chain(name, raw)))]
    return {
        "name": spec["name"],
        "setting": spec["setting"],
        "algorithm": spec["algorithm"],
        "init": spec["regimes"][regime]["init"],
        "compute": _layers(chain, regime, target, "compute"),
        "params": _layers(chain, regime, target, "params"),
    }


def sized(resolved: Spec, height: int, width: int) -> dict[str, Any]:
    """Return what a run computes with the images' size where its backbone says that it works at that: `size: dataset`.

    >>> sized({"compute": {"network": {"backbone": {"kind": "narrow-vit", "size": "dataset"}}}}, 64, 32)
    {'compute': {'network': {'backbone': {'kind': 'narrow-vit', 'size': [64, 32]}}}}
    """
    backbone = _mapping(_mapping(_mapping(resolved, "compute"), "network"), "backbone")
    if backbone.get("size") != "dataset":
        return dict(resolved)
    return merge(resolved, {"compute": {"network": {"backbone": {"size": [height, width]}}}})


def _layers(chain: Iterable[Spec], regime: str, target: str, key: str) -> dict[str, Any]:
    """Merge what the specs of a chain, root first, state under `key`: at all, in the regime, and for the target."""
    merged: dict[str, Any] = {}
    for spec in chain:
        section = _mapping(_mapping(spec, "regimes"), regime)
        adjustment = _mapping(_mapping(section, "targets"), target)
        for layer in (spec, section, adjustment):
            merged = merge(merged, _mapping(layer, key))
    return merged


def _mapping(spec: Spec, key: str) -> Spec:
    """Return the mapping at `key`; an empty one where there is none (validation complains of what is there)."""
    found = spec.get(key)
    return found if isinstance(found, Mapping) else {}


def fingerprint(document: Any) -> str:
    """Return the SHA-256 (first 16 hex digits) of a JSON-able document, independent of key order."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
