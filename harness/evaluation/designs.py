"""Other experimental designs than one fixed query set: several images per query, random splits, leave-one-out.

Each ranks by `evaluate_ranking`, so its rules stand: an image is removed where identity *and* camera are the query's.
What must not match need not be a camera: give the number of the session or track as the camera.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.evaluation.matching import UNKNOWN_CAMERA, Index
from harness.evaluation.ranking import RankingResult, evaluate_ranking
from harness.matrix import Matrix, as_matrix, row_norms

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
    pooled = mean_of_each(query_ids, query_cameras, more_features, more_ids, more_cameras)
    return evaluate_ranking(
        pooled, gallery_features, query_ids, gallery_ids, query_cameras, gallery_cameras, top_k=top_k
    )


def mean_of_each(query_ids: Any, query_cameras: Any, more_features: Any, more_ids: Any, more_cameras: Any) -> Matrix:
    """Return the mean, [Q, d] float32, of the normalized features of each query's identity under its camera.

    Raises UserError naming the first query without any.
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
    return pooled


@dataclass(frozen=True)
class DrawnResult:
    """Scores averaged over random splits, as fractions, with their sample standard deviations over the draws."""

    map: float
    map_std: float
    cmc: dict[int, float]
    cmc_std: dict[int, float]
    draws: tuple[RankingResult, ...]


def evaluate_draws(
    features: Any,
    ids: Any,
    cameras: Any = None,
    *,
    draws: int = DRAWS,
    gallery_images: int = 1,
    seed: int = 0,
    distractor_ids: Collection[int | str] = (),
) -> DrawnResult:
    """Score `draws` random splits of one test set: `gallery_images` of every identity in the gallery, the rest queries.

    VehicleID's protocol with one gallery image and no cameras. Identities with no image left for a query stand in the
    gallery only; all images of distractors do. Raises UserError if no identity has more than `gallery_images` images.
    """
    rows, labels = as_matrix(features, "features"), _flat(ids)
    marks = None if cameras is None else _flat(cameras)
    results = []
    for query, gallery in random_splits(labels, draws, gallery_images, seed, distractor_ids):
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


def random_splits(
    ids: Any, draws: int = DRAWS, gallery_images: int = 1, seed: int = 0, distractor_ids: Collection[int | str] = ()
) -> list[tuple[Index, Index]]:
    """Return the indices of queries and gallery of each split that `evaluate_draws` scores, ascending."""
    labels = _flat(ids)
    if draws < 1 or gallery_images < 1:
        raise UserError(f"draws and gallery_images must be at least 1, not {draws} and {gallery_images}")
    distractor = np.isin(labels, list(distractor_ids))
    if np.unique(labels[~distractor], return_counts=True)[1].max(initial=0) <= gallery_images:
        raise UserError(f"no identity has more than {gallery_images} images: none would be left as a query")
    found = []
    for draw in range(draws):
        generator = np.random.default_rng([seed, draw])
        shuffled = generator.permutation(len(labels))
        order = shuffled[np.argsort(labels[shuffled], kind="stable")]
        first = np.r_[True, labels[order][1:] != labels[order][:-1]]
        place = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        gallery = (place < gallery_images) | distractor[order]
        found.append((np.sort(order[~gallery]), np.sort(order[gallery])))
    return found


def evaluate_leave_one_out(
    features: Any, ids: Any, sessions: Any = None, *, top_k: int = 0, distractor_ids: Collection[int | str] = ()
) -> RankingResult:
    """Score every image as a query against all others; images of distractors are no queries.

    `sessions` [N] (or tracks, or cameras): images of the query's identity in its own session are left out, too; without
    them, or where the session is unknown (-1), only the query itself is.
    """
    rows, labels = features if hasattr(features, "detach") else as_matrix(features, "features"), _flat(ids)
    marks = leave_one_out_marks(sessions, len(labels))
    queries = np.flatnonzero(~np.isin(labels, list(distractor_ids)))
    return evaluate_ranking(rows[queries], rows, labels[queries], labels, marks[queries], marks, top_k=top_k)


def leave_one_out_marks(sessions: Any, images: int) -> NDArray[Any]:
    """Return what an image shares with those that are left out with it: its session, or nothing but itself."""
    own = np.arange(images)
    if sessions is None:
        return own
    marks = _flat(sessions)
    if marks.dtype.kind not in "iu":
        return marks
    signed = marks.astype(np.int64)
    return np.where(signed == UNKNOWN_CAMERA, UNKNOWN_CAMERA - 1 - own, signed)


def _flat(labels: Any) -> NDArray[Any]:
    array = np.asarray(labels.detach().cpu().numpy() if hasattr(labels, "detach") else labels)
    if array.ndim != 1:
        raise UserError(f"labels must be a flat list; their shape is {array.shape}")
    return array


def _spread(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
