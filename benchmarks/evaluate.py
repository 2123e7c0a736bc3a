"""Ranking evaluation: `evaluate_ranking` and `evaluate_distances` against sorting the gallery for every query."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.faiss_there import faiss_seconds
from benchmarks.features import DIMENSIONS, IMAGES_PER_IDENTITY, cameras, clustered
from benchmarks.measure import Outcome, measured
from benchmarks.training import peak_gib
from harness.evaluation import evaluate_distances, evaluate_ranking
from harness.learning.device import synchronize

SIZES = {"small": (800, 8_000), "market1501": (3_368, 19_281), "msmt17": (11_659, 82_161)}
STRIP = 1024
PRODUCT = "the bare product"
NEAREST = 100


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield the outcomes at a named size."""
    yield from outcomes(*SIZES[size], repeats, with_reference)


def outcomes(
    queries: int, gallery: int, repeats: int, with_reference: bool, dimensions: int = DIMENSIONS
) -> Iterator[Outcome]:
    """Yield the outcomes from features and, with the reference, from given distances."""
    identities = gallery // IMAGES_PER_IDENTITY
    query_features, query_ids = clustered(queries, identities, 1, dimensions)
    gallery_features, gallery_ids = clustered(gallery, identities, 2, dimensions)
    labels = query_ids, gallery_ids, cameras(queries, 3), cameras(gallery, 4)
    evaluate_ranking(query_features[:50], gallery_features, query_ids[:50], gallery_ids, labels[2][:50], labels[3])
    shape = f"{queries:,} x {gallery:,}"

    _, product = measured(lambda: _product_in_strips(query_features, gallery_features), repeats)
    result, ours = measured(lambda: evaluate_ranking(query_features, gallery_features, *labels), repeats)
    if not with_reference:
        yield Outcome(
            "evaluate from features", shape, ours.seconds, ours.extra_gib, limit_s=product.seconds, limit=PRODUCT
        )
        return
    distances, whole = measured(lambda: 2 - 2 * (query_features @ gallery_features.T))
    expected, sort = measured(lambda: sorted_ap(distances, *labels))
    yield Outcome(
        "evaluate from features",
        shape,
        ours.seconds,
        ours.extra_gib,
        reference="product and argsort",
        reference_s=whole.seconds + sort.seconds,
        reference_extra_gib=whole.extra_gib + sort.extra_gib,
        limit_s=product.seconds,
        limit=PRODUCT,
        agreement=_agreement(result.ap, expected),
    )
    result, ours = measured(lambda: evaluate_distances(distances, *labels), max(repeats, 3))
    yield Outcome(
        "evaluate from distances",
        shape,
        ours.seconds,
        ours.extra_gib,
        reference="argsort",
        reference_s=sort.seconds,
        reference_extra_gib=sort.extra_gib,
        agreement=_agreement(result.ap, expected),
    )


def on_gpu(queries: int, gallery: int, device: torch.device, repeats: int, dimensions: int = DIMENSIONS) -> Outcome:
    """Measure the ranking of features that are on a GPU, against the bare product there."""
    identities = gallery // IMAGES_PER_IDENTITY
    (query, query_ids), (images, gallery_ids) = (
        clustered(count, identities, seed, dimensions) for count, seed in ((queries, 1), (gallery, 2))
    )
    labels = query_ids, gallery_ids, cameras(queries, 3), cameras(gallery, 4)
    asked, searched = torch.from_numpy(query).to(device), torch.from_numpy(images).to(device)

    def product() -> None:
        rows = max(1, min(STRIP, 2**28 // (4 * gallery)))
        for start in range(0, queries, rows):
            asked[start : start + rows] @ searched.T
        synchronize(device)

    for work in (product, lambda: evaluate_ranking(asked, searched, *labels)):  # choose algorithms
        work()
    _, bare = measured(product, repeats)
    peak_gib(device)
    result, ours = measured(lambda: evaluate_ranking(asked, searched, *labels), repeats)
    gib = peak_gib(device) or ours.extra_gib
    theirs = faiss_seconds(asked, searched, NEAREST)
    return Outcome(
        f"evaluate from features on {device.type}", f"{queries:,} x {gallery:,}", ours.seconds, gib,
        reference=f"faiss there, for the {NEAREST} nearest alone" if theirs else "", reference_s=theirs,
        limit_s=bare.seconds, limit=PRODUCT, agreement=f"mAP {result.map:.4f}",
    )  # fmt: skip


def _product_in_strips(query: Any, gallery: Any) -> None:
    rows = max(1, min(STRIP, 2**28 // (4 * len(gallery))))
    strip = np.empty((rows, len(gallery)), np.float32)
    for start in range(0, len(query), rows):
        part = query[start : start + rows]
        np.matmul(part, gallery.T, out=strip[: len(part)])


def sorted_ap(distances: Any, query_ids: Any, gallery_ids: Any, query_cameras: Any, gallery_cameras: Any) -> Any:
    """Return the average precision of every query by sorting its row, as the field's Python evaluators do."""
    ap = np.full(len(distances), np.nan)
    for query, row in enumerate(distances):
        order = np.argsort(row, kind="stable")
        same = gallery_ids[order] == query_ids[query]
        right = same[~(same & (gallery_cameras[order] == query_cameras[query]))]
        ranks = np.flatnonzero(right) + 1
        if len(ranks):
            ap[query] = np.mean(np.arange(1, len(ranks) + 1) / ranks)
    return ap


def _agreement(ours: Any, expected: Any) -> str:
    return (
        f"mAP {np.nanmean(ours):.4f}, off by {abs(np.nanmean(ours) - np.nanmean(expected)):.0e};"
        f" AP off by at most {np.nanmax(np.abs(ours - expected)):.0e}"
    )
