"""What `harness inspect` left: the map of a run's features, and its clusters by how pure they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.inputs.parquet import load_table
from harness.paths import map_file
from harness.specs.pairing import parse_key

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FeatureMap:
    """N training images of the target: index in the split, place on the map, labels; `cluster` -1 is an outlier."""

    image: Ints
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    identity: Ints
    camera: Ints
    cluster: Ints
    data: str
    explained: float
    own_labels: bool


@dataclass(frozen=True)
class Cluster:
    """One cluster: its images (places in the map), its commonest identity with its share, and what else is in it.

    `share` is how much of that identity's images it holds: below 1, the identity is split.
    """

    number: int
    images: Ints
    identity: int
    purity: float
    identities: int
    cameras: int
    share: float


def read_map(root: Path, key: str) -> FeatureMap | None:
    """Return the map of a run, or None if there is none. Raises UserError if it cannot be read."""
    path = map_file(root, parse_key(key).key)
    if not path.exists():
        return None
    try:
        table = load_table(path)
        columns = {name: table[name].to_numpy() for name in ("image", "x", "y", "identity", "camera", "cluster")}
        found = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
        return FeatureMap(
            **columns, data=found["data"], explained=float(found["explained"]), own_labels=found["own_labels"] == "yes"
        )
    except (UserError, KeyError, ValueError) as error:
        why = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path.relative_to(root)} cannot be read: {why}; `harness inspect {key}` renews it") from None


def clusters(found: FeatureMap) -> list[Cluster]:
    """Return the clusters, the least pure first, larger ones before smaller ones."""
    result = []
    for number in np.unique(found.cluster[found.cluster >= 0]):
        images = np.flatnonzero(found.cluster == number)
        names, counts = np.unique(found.identity[images], return_counts=True)
        best = int(counts.argmax())
        everywhere = np.count_nonzero(found.identity == names[best])
        result.append(
            Cluster(int(number), images, int(names[best]), float(counts[best] / images.size), len(names),
                    len(np.unique(found.camera[images])), float(counts[best] / everywhere))
        )  # fmt: skip
    return sorted(result, key=lambda cluster: (cluster.purity, -cluster.images.size, cluster.number))


def split_identities(found: FeatureMap) -> int:
    """Return how many identities are spread over several clusters."""
    kept = found.cluster >= 0
    pairs = np.unique(np.stack([found.identity[kept], found.cluster[kept]]), axis=1)
    return int(np.count_nonzero(np.unique(pairs[0], return_counts=True)[1] > 1)) if pairs.size else 0
