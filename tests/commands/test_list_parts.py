"""`harness list parts`: every socket, its kinds, and what each kind is told."""

from __future__ import annotations

from pathlib import Path

from harness.commands.list import listing
from harness.specs import Registry

ROWS = listing(Registry.load(Path(__file__).parents[2]), "parts")


def test_every_kind_of_every_socket_is_listed() -> None:
    kinds: dict[str, list[str]] = {}
    for row in ROWS:
        if row["parameter"] is None:
            kinds.setdefault(row["socket"], []).append(row["kind"])
    assert kinds == {
        "params.labels.distance": ["jaccard", "jaccard-reranking", "ca-jaccard", "cosine"],
        "params.labels.clustering": ["dbscan", "dbscan-data-driven", "hdbscan", "infomap"],
        "compute.network.backbone": ["narrow", "narrow-vit", "resnet18", "resnet50", "mobilenet-v2", "timm"],
        "compute.network.pooling": ["average", "gem", "token"],
        "compute.optimizer": ["adam", "sgd"],
        "compute.schedule": ["constant", "step", "cosine"],
    }


def test_a_parameter_has_its_type_its_bounds_and_a_description() -> None:
    rows = {(row["kind"], row["parameter"]): row for row in ROWS}
    assert rows["dbscan", "eps"]["type"] == "number, > 0, < 1"
    assert rows["step", "milestones"]["type"] == "array of integer, > 0, at least 1"
    assert rows["resnet50", "stem_relu"]["type"] == "boolean"
    assert all(row["description"] for row in ROWS)
