"""Other experimental designs than one fixed query set: several images per query, random splits, leave-one-out.

Each ranks by `evaluate_ranking`, so its rules stand: an image is removed where identity *and* camera are the query's.
What must not match need not be a camera: give the number of the session or track as the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.evaluation.ranking import RankingResult, evaluate_ranking
from harness.matrix import as_matrix, row_norms

DRAWS = 10
"""Random splits that VehicleID's results are averaged over (Liu et al., CVPR 2016, section 5.1)."""


def evaluate_multi_query(
    query_ids: Any,
    query_cameras: Any,
    more_features: Any,
    more_ids: Any,
    more_cameras: Any,
    gallery_features: Any,
    gallery_ids: Any,
    gallery_cameras: Any,
    *,
    top_k: int = 0,
) -> RankingResult:
    """Rank the gallery for each query by the mean of all normalized features of its identity under its camera.

    `more_features` [M, d] are the images that stand for the queries: of Market-1501 those of `gt_bbox`, which are also
    of identities and cameras that no query has. Raises UserError naming the first query without any.

    Source: Zheng et al., Scalable Person Re-identification (ICCV 2015), section 5.2, "multiple queries, average".
    """
    rows = as_matrix(more_features, "multi-query features")
    rows = rows / row_norms(rows, "multi-query features")[:, None]
    groups: dict[object, list[int]] = {}
    for index, key in enumerate(zip(_flat(more_ids), _flat(more_cameras), strict=True)):
        groups.setdefault(key, []).append(index)
    pooled = np.empty((len(_flat(query_ids)), rows.shape[1]), np.float32)
    for number, key in enumerate(zip(_flat(query_ids), _flat(query_cameras), strict=True)):
        if key not in groups:
            raise UserError(f"query {number}: no multi-query image shows identity {key[0]} under camera {key[1]}")
        pooled[number] = rows[groups[key]].mean(axis=0)
    return evaluate_ranking(
        pooled, gallery_features, query_ids, gallery_ids, query_cameras, gallery_cameras, top_k=top_k
    )


@dataclass(frozen=True)
class DrawnResult:
    """Scores averaged over random splits, as fractions, with their sample standard deviations over the draws."""

    map: float
    map_std: float
    cmc: dict[int, float]
    cmc_std: dict[int, float]
    draws: tuple[RankingResult, ...]


def evaluate_draws(
    features: Any, ids: Any, cameras: Any = None, *, draws: int = DRAWS, gallery_images: int = 1, seed: int = 0
) -> DrawnResult:
    """Score `draws` random splits of one test set: `gallery_images` of every identity in the gallery, the rest queries.

    VehicleID's protocol with one gallery image and no cameras. Identities with no image left for a query stand in the
    gallery only. Raises UserError if no identity has more than `gallery_images` images.
    """
    rows, labels = as_matrix(features, "features"), _flat(ids)
    marks = None if cameras is None else _flat(cameras)
    if draws < 1 or gallery_images < 1:
        raise UserError(f"draws and gallery_images must be at least 1, not {draws} and {gallery_images}")
    if np.unique(labels, return_counts=True)[1].max(initial=0) <= gallery_images:
        raise UserError(f"no identity has more than {gallery_images} images: none would be left as a query")
    results = []
    for draw in range(draws):
        generator = np.random.default_rng([seed, draw])
        shuffled = generator.permutation(len(labels))
        order = shuffled[np.argsort(labels[shuffled], kind="stable")]
        first = np.r_[True, labels[order][1:] != labels[order][:-1]]
        place = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        gallery, query = np.sort(order[place < gallery_images]), np.sort(order[place >= gallery_images])
        results.append(
            evaluate_ranking(
                rows[query], rows[gallery], labels[query], labels[gallery],
                None if marks is None else marks[query], None if marks is None else marks[gallery],
            )
        )  # fmt: skip
    maps = [result.map for result in results]
    curves = {rank: [result.cmc[rank] for result in results] for rank in results[0].cmc}
    return DrawnResult(
        map=float(np.mean(maps)),
        map_std=_spread(maps),
        cmc={rank: float(np.mean(values)) for rank, values in curves.items()},
        cmc_std={rank: _spread(values) for rank, values in curves.items()},
        draws=tuple(results),
    )


def evaluate_leave_one_out(features: Any, ids: Any, sessions: Any = None, *, top_k: int = 0) -> RankingResult:
    """Score every image as a query against all others.

    `sessions` [N] (or tracks, or cameras): images of the query's identity in its own session are left out, too; without
    them only the query itself is.
    """
    labels = _flat(ids)
    marks = np.arange(len(labels)) if sessions is None else _flat(sessions)
    return evaluate_ranking(features, features, labels, labels, marks, marks, top_k=top_k)


def _flat(labels: Any) -> NDArray[Any]:
    array = np.asarray(labels.detach().cpu().numpy() if hasattr(labels, "detach") else labels)
    if array.ndim != 1:
        raise UserError(f"labels must be a flat list; their shape is {array.shape}")
    return array


def _spread(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
