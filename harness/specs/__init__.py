"""Declarative specs: datasets, methods, pairings and reported figures, read from YAML and validated."""

from typing import TYPE_CHECKING

from harness.lazy import lazy_attributes

if TYPE_CHECKING:
    from harness.specs.dataset import DatasetSpec
    from harness.specs.method import MethodSpec, ResolvedMethod
    from harness.specs.pairing import Pairing, parse_key
    from harness.specs.registry import Registry, load_dataset, load_method

__all__ = [
    "DatasetSpec",
    "MethodSpec",
    "Pairing",
    "Registry",
    "ResolvedMethod",
    "load_dataset",
    "load_method",
    "parse_key",
]

# Kinds of parts are specs of their own, and `compute` and `params` name every kind: importing all of this for
# `harness.specs.base` would go round in a circle.
__getattr__ = lazy_attributes(
    __name__,
    {
        "DatasetSpec": "harness.specs.dataset:DatasetSpec",
        "MethodSpec": "harness.specs.method:MethodSpec",
        "ResolvedMethod": "harness.specs.method:ResolvedMethod",
        "Pairing": "harness.specs.pairing:Pairing",
        "parse_key": "harness.specs.pairing:parse_key",
        "Registry": "harness.specs.registry:Registry",
        "load_dataset": "harness.specs.registry:load_dataset",
        "load_method": "harness.specs.registry:load_method",
    },
)
