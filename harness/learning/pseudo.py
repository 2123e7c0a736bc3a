"""Pseudo-labels of an unlabeled set: distances, clustering, and what to do when the clusters collapse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.errors import CollapseError, UserError
from harness.labels import cluster, self_paced_reliability
from harness.labels.clusterings import DBSCAN
from harness.labels.clusterings.base import ClusteringKind
from harness.labels.distances.base import DistanceKind, Distances
from harness.labels.label_free import centroid_silhouette
from harness.learning import ranks
from harness.learning.algorithm import RunContext
from harness.specs.params import Labels

SEARCH = "neighbour_search"
"""Where `RunState.values` holds how neighbours were searched, and the lowest recall: {"search": ..., "recall": ...}."""
LABELS = "pseudo_labels"
"""Where the last pseudo-labels stand in `RunState.tensors`: int64 [N], -1 = outlier."""
SILHOUETTE = "silhouette"
"""Where `RunState.values` holds how well the last pseudo-labels separate the features they were made of."""


Clusterer = TypeVar("Clusterer", bound=Callable[..., Any])


def _by_first_rank(clustering: Clusterer) -> Clusterer:
    """Have one of several devices' processes cluster, and all of them remember the same. The run comes last."""

    @wraps(clustering)
    def shared(*given: Any) -> Any:
        run: RunContext = given[-1]

        def work() -> tuple[Any, dict[str, Any], Tensor | None, list[str]]:
            return clustering(*given), run.state.values, run.state.tensors.get(LABELS), run.notes

        if ranks.count() == 1:
            return clustering(*given)
        found, run.state.values, labels, run.notes[:] = ranks.by_first(work)
        if labels is not None:
            run.state.tensors[LABELS] = labels
        return found

    return shared  # type: ignore[return-value]


@_by_first_rank
def assign(features: Tensor, params: Labels, run: RunContext) -> npt.NDArray[np.int64]:
    """Cluster L2-normalized features [N, d] and return pseudo-labels [N]: 0 … clusters - 1, -1 = outlier.

    Neighbours are searched on the features' device. With fewer than two clusters the labels of the last good epoch are
    returned, if there is such an epoch, and the run's notes say so. Else raises CollapseError with advice.
    """
    cameras = run.unlabeled.known_cameras if params.uses_cameras else None
    distances = _measure(params.compared(features, cameras), params.distance, run)
    labels = params.kept(params.clustering.cluster(distances, run.state.values), cameras)
    labels = fall_back(labels, params.clustering, run)
    remember(labels, features, run)
    return labels


def fall_back(labels: npt.NDArray[np.int64], clustering: ClusteringKind, run: RunContext) -> npt.NDArray[np.int64]:
    """Return `labels`, or the last good ones if these have collapsed (see `assign`)."""
    clusters = int(labels.max(initial=-1)) + 1
    epoch = run.state.epoch + 1
    if clusters < 2:
        found = "no cluster" if clusters == 0 else "one single cluster"
        previous = run.state.tensors.get(LABELS)
        if previous is None:
            advice = clustering.to_find_more if clusters == 0 else clustering.to_find_smaller
            raise CollapseError(
                f"epoch {epoch}: clustering found {found} in {len(labels)} images; try {advice}, or a better start"
            )
        run.notes.append(f"epoch {epoch}: clustering found {found}; the labels of the epoch before were kept")
        return previous.cpu().numpy()
    return labels


def _measure(features: Tensor, distance: DistanceKind, run: RunContext) -> Distances:
    """Search the neighbours and prepare distances; the run remembers how it searched, and the lowest recall."""
    if distance.neighbours >= len(features):
        raise UserError(
            f"labels.distance looks at {distance.neighbours} neighbours of each of {len(features)} images, that is, at "
            "all of them: choose fewer neighbours"
        )
    found = distance.search(features, run.unlabeled.known_cameras if distance.uses_cameras else None)
    lowest = min(found.recall, run.state.values.get(SEARCH, {}).get("recall", 1.0))
    run.state.values[SEARCH] = {"search": found.search, "recall": lowest}
    return distance.measure(features, found)


@_by_first_rank
def nested(
    features: Tensor, distance: DistanceKind, clustering: DBSCAN, offsets: Sequence[float], run: RunContext
) -> list[npt.NDArray[np.int64]]:
    """Cluster the same features at `clustering.eps` + each offset, from one distance matrix: labels [N] per offset."""
    eps = clustering.eps
    found = _measure(features, distance, run).within(eps + max(offsets))
    return [cluster(found, eps + offset, clustering.min_samples) for offset in offsets]


def self_paced(
    normal: npt.NDArray[np.int64],
    tight: npt.NDArray[np.int64],
    loose: npt.NDArray[np.int64],
    share: float,
    bound: float | None,
) -> tuple[npt.NDArray[np.int64], float]:
    """Return `normal` with unreliable images taken out (-1), and the bound on the independence score (SpCL, Sec. 3.3).

    A cluster's score is the smallest of its images'. The bound is fixed in the first epoch (`bound` None): the value at
    sorted position round(share · n) among the clusters of more than one image. An image stays if its cluster's
    independence score is within the bound and its own compactness score is its cluster's smallest.
    """
    compactness, independence = self_paced_reliability(normal, tight, loose)
    clusters = int(normal.max()) + 1
    kept = normal >= 0
    lowest_compactness, lowest_independence = np.full(clusters, np.inf), np.full(clusters, np.inf)
    np.minimum.at(lowest_compactness, normal[kept], compactness[kept])
    np.minimum.at(lowest_independence, normal[kept], independence[kept])
    if bound is None:
        several = np.sort(lowest_independence[np.bincount(normal[kept], minlength=clusters) > 1])
        bound = float(several[min(len(several) - 1, int(np.round(share * len(several))))])
    reliable = np.zeros(len(normal), bool)
    mine = normal[kept]
    reliable[kept] = (lowest_independence[mine] <= bound) & (compactness[kept] <= lowest_compactness[mine])
    return relabeled(np.where(reliable, normal, -1)), bound


def relabeled(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return labels renumbered to 0 … clusters - 1 without gaps; -1 stays."""
    result = np.full(len(labels), -1, np.int64)
    kept = labels >= 0
    result[kept] = np.unique(labels[kept], return_inverse=True)[1]
    return result


def singletons(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return labels in which every outlier has a label of its own, after those of the clusters."""
    outliers = labels < 0
    result = labels.copy()
    result[outliers] = labels.max(initial=-1) + 1 + np.arange(np.count_nonzero(outliers))
    return result


def remember(labels: npt.NDArray[np.int64], features: Tensor, run: RunContext) -> None:
    """Make `labels` of `features` the run's last pseudo-labels: what is judged and what a collapse falls back to."""
    run.state.values[SILHOUETTE] = centroid_silhouette(features, labels)
    run.state.tensors[LABELS] = torch.from_numpy(labels.astype(np.int64))
