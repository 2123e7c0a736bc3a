"""Pseudo-labels of an unlabelled set: Jaccard distance, DBSCAN, and what to do when the clusters collapse."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.errors import UserError
from harness.labels import cluster, jaccard_distance
from harness.labels.eps import data_driven_eps
from harness.learning.algorithm import RunContext
from harness.specs.labelling import Clustering, DataDrivenClustering

LABELS = "pseudo_labels"
"""Where the last pseudo-labels stand in `RunState.tensors`: int64 [N], -1 = outlier."""


def assign(features: Tensor, params: Clustering | DataDrivenClustering, run: RunContext) -> npt.NDArray[np.int64]:
    """Cluster L2-normalised features [N, d] and return pseudo-labels [N]: 0 … clusters - 1, -1 = outlier.

    With fewer than two clusters the labels of the last good epoch are returned, and the run's notes say so, if
    `params.on_collapse` is 'keep' and there is such an epoch. Else raises UserError with advice.
    """
    host = features.cpu().numpy()
    eps = params.eps if isinstance(params, Clustering) else _fixed_eps(host, params, run)
    distance = jaccard_distance(host, params.k1, params.k2, eps)
    return settle(cluster(distance, eps, params.min_samples), params, run)


def settle(
    labels: npt.NDArray[np.int64], params: Clustering | DataDrivenClustering, run: RunContext
) -> npt.NDArray[np.int64]:
    """Return `labels`, or the last good ones if these have collapsed; remember what is returned (see `assign`)."""
    clusters = int(labels.max(initial=-1)) + 1
    epoch = run.state.epoch + 1
    if clusters < 2:
        found = "no cluster" if clusters == 0 else "one single cluster"
        previous = run.state.tensors.get(LABELS)
        if params.on_collapse == "stop" or previous is None:
            advice = "a larger eps (or rho), a smaller min_samples" if clusters == 0 else "a smaller eps (or rho)"
            raise CollapseError(
                f"epoch {epoch}: clustering found {found} in {len(labels)} images; try {advice}, or a better start"
            )
        run.notes.append(f"epoch {epoch}: clustering found {found}; the labels of the epoch before were kept")
        return previous.cpu().numpy()
    run.state.tensors[LABELS] = torch.from_numpy(labels.astype(np.int64))
    return labels


class CollapseError(UserError):
    """Clustering gave nothing to learn from."""


def _fixed_eps(features: npt.NDArray[np.float32], params: DataDrivenClustering, run: RunContext) -> float:
    """Return the radius of the run, computed once, in its first epoch (MMT, SSKD)."""
    if "eps" not in run.state.values:
        run.state.values["eps"] = data_driven_eps(features, params.k1, params.k2, params.rho)
    return float(run.state.values["eps"])
