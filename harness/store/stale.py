"""Whether a run's record still is what the specs ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from harness.errors import UserError
from harness.specs import Registry, ResolvedMethod, parse_key
from harness.specs.resolve import CyclicExtendsError, flatten, resolve


def staleness(registry: Registry, key: str, record: Mapping[str, Any]) -> str:
    """Return why the run no longer matches the registry, or '' if it does.

    The spec is resolved without importing its algorithm (which may import torch): parameters that the YAML leaves to
    the algorithm's defaults are not compared.
    """
    try:
        pairing = parse_key(key)
        registry.method(pairing.method)
        target = registry.dataset(pairing.target)
        merged = resolve(flatten(pairing.method, registry.raw_methods), target.regime, target.name)
        wanted = ResolvedMethod.model_validate(merged).model_dump(mode="json")
    except UserError as error:
        return str(error).splitlines()[0]
    except (KeyError, CyclicExtendsError, ValidationError):
        return f"{key.split('__')[0]} no longer has a valid spec for {key.split('__')[1]}"
    changed = _differing(wanted, record["spec"])
    if changed:
        shown = ", ".join(changed[:4]) + (", …" if len(changed) > 4 else "")
        return f"the spec has changed since: {shown}"
    return ""


def _differing(wanted: Any, recorded: Any, path: str = "") -> list[str]:
    if isinstance(wanted, dict) and isinstance(recorded, dict):
        found: list[str] = []
        for name, value in wanted.items():
            found += _differing(value, recorded.get(name), f"{path}.{name}" if path else name)
        return found
    return [] if wanted == recorded else [path]
