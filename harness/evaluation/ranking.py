"""Evaluation by protocol `reid-v1`: mAP, CMC and mINP of a ranking of gallery images.

Cosine similarity in float32; ties go to the lower gallery index; gallery images with the query's identity and camera
are removed, and so are junk images; distractors stay and count as wrong; a query without a right answer is left out
and counted. AP is (1/n) sum_i i / r_i over the ranks r_i of the n right answers (Zheng et al., ICCV 2015, with the
rank positions used by torchreid and fast-reid); the trapezoid AP is that of the official Market-1501 Matlab code; INP
is n / r_n (Ye et al., TPAMI 2021, eq. 2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.evaluation.counting import Ranks, count_ranks, count_ranks_on_device
from harness.evaluation.matching import Index, Labels
from harness.evaluation.reranking import RerankedDistances
from harness.matrix import SMALLEST_NORM, Matrix, as_matrix, row_norms

if TYPE_CHECKING:
    from torch import Tensor

CMC_RANKS = (1, 5, 10)
JUNK_IDS = (-1,)

# Limits of a strip, some queries against the whole gallery: number of queries, and bytes of similarities.
STRIP_QUERIES = 1024
STRIP_BYTES = 256 * 2**20


@dataclass(frozen=True)
class RankingResult:
    """Scores of one ranking, as fractions in [0, 1].

    `ap` [queries] is float64 in the order of the queries, NaN for a query without a right answer; `first_hit`
    [queries] is the 1-based rank of the first right answer, 0 where there is none; `top` [queries, top_k] holds the
    gallery indices of the first valid images, padded with -1. `ranks` holds the 1-based ranks of all right answers,
    ascending within a query, flat; query i has `counts[i]` of them.
    """

    map: float
    minp: float
    cmc: dict[int, float]
    map_trapezoid: float
    ap: NDArray[np.float64]
    first_hit: Index
    top: Index
    ranks: Index
    counts: Index

    @property
    def n_valid(self) -> int:
        """Queries with a right answer in the gallery: the denominator of every mean."""
        return int(np.count_nonzero(self.first_hit))

    @property
    def n_without_match(self) -> int:
        """Queries left out, because no gallery image of another camera shows their identity."""
        return len(self.first_hit) - self.n_valid


def evaluate_ranking(
    query_features: Any,
    gallery_features: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    *,
    junk_ids: Sequence[int | str] = JUNK_IDS,
    top_k: int = 0,
) -> RankingResult:
    """Rank the gallery for every query by cosine similarity and score the ranking by protocol `reid-v1`.

    Features are [queries, d] and [gallery, d], numpy or torch on any device, of any length (they are normalized here)
    and any float type (computed in float32). Identities and cameras are integers or strings. Camera -1 means unknown:
    such an image is never removed as "same camera". `None` for both camera lists means that no camera is known, so
    nothing is removed by camera. Queries are taken in strips: memory beyond the features stays below about 0.35 GiB,
    whatever the size of the gallery. CUDA tensors are ranked on their device.

    Raises UserError for NaN, infinite or zero rows (naming the row), mismatched shapes, or if no query has a match.
    """
    labels = Labels.read(query_ids, gallery_ids, query_cameras, gallery_cameras, junk_ids)
    query: Any
    gallery: Any
    if getattr(getattr(query_features, "device", None), "type", "cpu") != "cpu":
        import torch

        query = query_features.detach().float()
        gallery = torch.as_tensor(gallery_features).detach().to(query.device, torch.float32)
    else:
        query, gallery = as_matrix(query_features, "query features"), as_matrix(gallery_features, "gallery features")
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise UserError(f"query features have shape {tuple(query.shape)}, gallery features {tuple(gallery.shape)}")
    labels.check(len(query), len(gallery))
    strips = _strips if isinstance(query, np.ndarray) else strips_on_device
    return score(strips(query, gallery, labels, top_k))


def evaluate_distances(
    distances: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    *,
    junk_ids: Sequence[int | str] = JUNK_IDS,
    top_k: int = 0,
) -> RankingResult:
    """Score the ranking given by distances [queries, gallery] (smaller is closer); otherwise like `evaluate_ranking`.

    float32 and float64 are compared as they are, other types as float32. Nothing is copied but single rows, and of
    what `rerank` returns no more than a strip is computed at a time.
    """
    labels = Labels.read(query_ids, gallery_ids, query_cameras, gallery_cameras, junk_ids)
    if hasattr(distances, "detach"):
        distances = distances.detach().cpu().numpy()
    matrix = distances if isinstance(distances, RerankedDistances) else np.asarray(distances)
    if isinstance(matrix, np.ndarray) and matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float32)
    if matrix.ndim != 2:
        raise UserError(f"distances must be a matrix [queries, gallery]; their shape is {matrix.shape}")
    labels.check(*matrix.shape)
    sign = np.full(matrix.shape[1], -1, matrix.dtype)
    bounds = _bounds(*matrix.shape)
    matches = ((start, stop, labels.matches(start, stop)) for start, stop in bounds)
    return score(count_ranks(matrix[a:b], sign, labels.junk, match, top_k) for a, b, match in matches)


def _bounds(queries: int, gallery: int) -> Iterator[tuple[int, int]]:
    rows = _strip_rows(gallery)
    for start in range(0, queries, rows):
        yield start, min(start + rows, queries)


def _strip_rows(gallery: int) -> int:
    return max(1, min(STRIP_QUERIES, STRIP_BYTES // (4 * gallery)))


def _strips(query: Matrix, gallery: Matrix, labels: Labels, top_k: int) -> Iterator[Ranks]:
    length = row_norms(query, "query features")[:, None]
    scale = 1 / row_norms(gallery, "gallery features")
    product = np.empty((min(_strip_rows(len(gallery)), len(query)), len(gallery)), np.float32)
    for start, stop in _bounds(len(query), len(gallery)):
        strip = product[: stop - start]
        np.matmul(query[start:stop] / length[start:stop], gallery.T, out=strip)
        yield count_ranks(strip, scale, labels.junk, labels.matches(start, stop), top_k)


def strips_on_device(query: "Tensor", gallery: "Tensor", labels: Labels, top_k: int) -> Iterator[Ranks]:
    """Yield the same as `_strips`, computed by torch on the tensors' device."""
    norms = []
    for name, features in (("query", query), ("gallery", gallery)):
        norms.append(features.norm(dim=1))
        bad = ~(norms[-1].isfinite() & (norms[-1] >= SMALLEST_NORM))
        if bad.any():
            raise UserError(
                f"{name} features: row {int(bad.int().argmax())} has norm zero, or contains NaN or infinity"
            )
    for start, stop in _bounds(len(query), len(gallery)):
        product = (query[start:stop] / norms[0][start:stop, None]) @ gallery.T
        yield count_ranks_on_device(product, 1 / norms[1], labels.junk, labels.matches(start, stop), top_k)


def score(strips: Iterator[Ranks]) -> RankingResult:
    """Compute the scores from the ranks of all right answers, strip by strip. Raises UserError if no query has one."""
    parts = list(strips)
    counts = np.concatenate([part.counts for part in parts])
    ranks = np.concatenate([part.ranks for part in parts])
    owner = np.repeat(np.arange(len(counts)), counts)
    if 0 in ranks:
        raise UserError(f"query {owner[(ranks == 0).argmax()]}: its distances contain NaN or infinity")
    found = counts > 0
    if not found.any():
        raise UserError(
            f"none of the {len(counts)} queries has an image of its identity by another camera in the gallery:"
            " check the identities, or pass None for the cameras if they are not known"
        )
    start = np.cumsum(counts) - counts
    hit = np.arange(len(ranks)) - start[owner] + 1
    before = np.where(ranks > 1, (hit - 1) / np.maximum(ranks - 1, 1), 1)
    n = counts[found]

    def mean_over_hits(values: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = np.bincount(owner, weights=values, minlength=len(counts))[found] / n
        return mean

    ap = np.full(len(counts), np.nan)
    ap[found] = mean_over_hits(hit / ranks)
    first_hit = np.zeros(len(counts), np.int64)
    first_hit[found] = ranks[start[found]]
    return RankingResult(
        map=float(ap[found].mean()),
        minp=float((n / ranks[start[found] + n - 1]).mean()),
        cmc={rank: float((first_hit[found] <= rank).mean()) for rank in CMC_RANKS},
        map_trapezoid=float(mean_over_hits((hit / ranks + before) / 2).mean()),
        ap=ap,
        first_hit=first_hit,
        top=np.concatenate([part.top for part in parts]),
        ranks=ranks,
        counts=counts,
    )
