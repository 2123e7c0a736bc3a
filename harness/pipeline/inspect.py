"""The inspect stage: where a run's network puts the target's training images, and how they cluster.

It writes `results/maps/<key>.parquet`, some kilobytes for the pages to draw; no number of a result depends on it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from harness.data.prepared import open_prepared
from harness.errors import UserError
from harness.learning.algorithm import algorithm_class
from harness.learning.data import UnlabeledSet
from harness.learning.device import choose_device
from harness.learning.state import read_tensors
from harness.matrix import Matrix, as_matrix, row_norms
from harness.paths import map_file, prepared_folder, replacing, run_folder
from harness.pipeline.training.inputs import normalization_of
from harness.specs.method import ResolvedMethod
from harness.specs.pairing import Pairing
from harness.specs.params import Labels
from harness.specs.registry import Registry

USUAL = {"distance": {"kind": "jaccard", "k1": 30, "k2": 6}, "clustering": {"kind": "dbscan", "eps": 0.6,
         "min_samples": 4}}  # fmt: skip
"""How images are clustered for a method that makes no pseudo-labels: Cluster Contrast's values."""


def inspect(registry: Registry, pairing: Pairing, images: int) -> Path:
    """Project up to `images` training images of the run's target by PCA, cluster them, and write the map.

    Clustered is with the method's own distance and clustering, on the features of the last epoch. Raises UserError
    without a checkpoint, or for fewer than three images.
    """
    if images < 3:
        raise UserError(f"--images {images}: a map needs at least three images")
    tensors, metadata = read_tensors(run_folder(registry.root, pairing.key) / "checkpoint.safetensors")
    try:
        method = ResolvedMethod.model_validate_json(metadata["method"])
    except (KeyError, ValidationError):
        raise UserError(f"{pairing.key}: its checkpoint has a spec of another version; train the run again") from None
    algorithm = algorithm_class(method.algorithm, f"{pairing.key}: its checkpoint")
    target = open_prepared(prepared_folder(registry.root, pairing.target))
    split = target.split("train")
    chosen = np.unique(np.linspace(0, len(split) - 1, min(images, len(split))).astype(np.int64))
    device = choose_device()
    shown = normalization_of(registry, pairing, method)
    some = UnlabeledSet(split.images[chosen], split.cameras[chosen], device, shown)
    features = as_matrix(algorithm.embedder(method.compute, tensors, device)(some), "features")
    features = features / row_norms(features, "features")[:, None]
    labels, own = own_clusters(features, split.cameras[chosen], algorithm.Params.model_validate(method.params))
    places, explained = principal(features)
    table = pa.table(
        {
            "image": pa.array(chosen, pa.int32()),
            "x": pa.array(places[:, 0], pa.float32()),
            "y": pa.array(places[:, 1], pa.float32()),
            "identity": pa.array(split.ids[chosen], pa.int32()),
            "camera": pa.array(split.cameras[chosen], pa.int32()),
            "cluster": pa.array(labels, pa.int32()),
        }
    ).replace_schema_metadata(
        {"data": target.data_hash, "explained": f"{explained:.4f}", "own_labels": "yes" if own else "no"}
    )
    path = map_file(registry.root, pairing.key)
    with replacing(path) as partial:
        pq.write_table(table, partial, compression="zstd", write_page_checksum=True)
    return path


def own_clusters(features: Matrix, cameras: NDArray[np.int64], params: BaseModel) -> tuple[NDArray[np.int64], bool]:
    """Cluster by the method's own values, if it has some: whether it has is the second value."""
    own: Labels | None = getattr(params, "labels", None)
    labels = own or Labels.model_validate(USUAL)
    compared = labels.compared(torch.from_numpy(features), cameras)
    distances = labels.distance.measure(compared, labels.distance.search(compared, cameras))
    return labels.kept(labels.clustering.cluster(distances, {}), cameras), own is not None


def principal(features: Matrix) -> tuple[NDArray[np.float64], float]:
    """Return features [N, d] on their first two principal axes, [N, 2], and the share of variance these explain.

    The largest entry of each axis is positive, so that equal features give equal maps.
    """
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centered.T @ centered)
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    total = float(values.sum())
    places: NDArray[np.float64] = centered @ axes
    return places, float(values[::-1][:2].sum()) / total if total > 0 else 1.0
