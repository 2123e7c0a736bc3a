"""Declarative specs: datasets, methods, pairings and reported figures, read from YAML and validated."""

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
