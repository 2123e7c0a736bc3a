"""Searches for neighbours by their time and by what they do to the clusters: exact, ours above its threshold, faiss's.

Clusters are compared with those of the exact search (adjusted Rand index), since a search that finds 97 of 100
neighbours misses those that matter: the ones where identities meet. Seconds are the processor's, of all cores.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks.features import IMAGES_PER_IDENTITY, clustered
from benchmarks.jaccard import EPS, K1, K2, MIN_SAMPLES
from benchmarks.measure import Outcome
from benchmarks.page import write_section
from harness.labels import Neighbours, cluster, jaccard_distance, nearest_neighbours
from harness.labels.neighbours import APPROXIMATE_ABOVE, ROUNDING

SIZES = {"small": 2_000, "16k": 16_384, "32k": 32_768, "65k": 65_536, "131k": 131_072}
TITLE = "Approximate neighbours"
INDICES = {
    "IVF, an eighth of the lists": ("IVF{lists},Flat", "nprobe={eighth}"),
    "IVF of 8-bit codes, half of the lists": ("IVF{lists},SQ8", "nprobe={half}"),
    "IVF of 4-bit product codes, an eighth, refined": ("IVF{lists},PQ64x4fs,RFlat", "nprobe={eighth},k_factor_rf=4"),
}
"""faiss's names: index, and parameters of its search."""
SCANNED = 65_536
"""Images beyond which only codes of 4 bits are looked through in lists: bytes and floats take longer than the exact
search."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """One search: processor seconds, share of true neighbours found, agreement of the clusters, and their number."""

    name: str
    seconds: float
    recall: float
    ari: float
    clusters: int


def run(size: str, repeats: int, with_reference: bool) -> Iterator[Outcome]:
    """Yield an outcome per search; sizes other than `small` write the section of `docs/performance.md`."""
    rows, indices = [], INDICES
    if SIZES[size] > SCANNED:
        indices = {name: index for name, index in INDICES.items() if "4-bit" in name}
    for found in searches(SIZES[size], indices):
        rows.append(found)
        said = f"recall {found.recall:.4f}, ARI {found.ari:.4f} with the exact search's {found.clusters:,} clusters"
        yield Outcome(f"search {found.name}", f"{SIZES[size]:,}", found.seconds, 0, agreement=said)
    if size != "small":
        write_section(TITLE, section(size, rows))


def searches(n: int, indices: dict[str, tuple[str, str]] = INDICES) -> Iterator[Found]:
    """Search n images by every means, once."""
    features, _ = clustered(n, n // IMAGES_PER_IDENTITY, seed=1)
    nearest_neighbours(features[:300], K1)  # compile
    nearest_neighbours(features[:300], K1, approximate_above=0)
    exact, seconds = timed(lambda: nearest_neighbours(features, K1))
    labels = labels_of(features, exact)
    yield Found("exact", seconds, 1, 1, int(labels.max()) + 1)
    works: dict[str, Callable[[], Neighbours]] = {
        "HNSW of 8-bit codes, refined": lambda: nearest_neighbours(features, K1, approximate_above=0)
    }
    for name, (index, parameters) in indices.items():
        works[name] = lambda index=index, parameters=parameters: by_faiss(features, index, parameters)  # type: ignore[misc]
    for name, work in works.items():
        near, seconds = timed(work)
        recall = float(np.mean(near.similarities >= exact.similarities[:, -1:] - ROUNDING))
        ari = adjusted_rand_score(labels, labels_of(features, near))
        yield Found(name, seconds, recall, float(ari), int(labels.max()) + 1)


def timed(work: Callable[[], Neighbours]) -> tuple[Neighbours, float]:
    begun = time.process_time()
    return work(), time.process_time() - begun


def labels_of(features: Matrix, near: Neighbours) -> NDArray[np.int64]:
    return cluster(jaccard_distance(features, K1, K2, EPS, neighbours=near), EPS, MIN_SAMPLES)


def by_faiss(features: Matrix, name: str, parameters: str) -> Neighbours:
    """The neighbours by an index of faiss, trained on the features themselves."""
    import faiss

    lists = 2 ** round(np.log2(2 * len(features) ** 0.5))
    values: dict[str, Any] = {"lists": lists, "eighth": lists // 8, "half": lists // 2}
    index = faiss.index_factory(features.shape[1], name.format(**values), faiss.METRIC_INNER_PRODUCT)
    index.train(features)
    index.add(features)
    faiss.ParameterSpace().set_index_parameters(index, parameters.format(**values))  # type: ignore[arg-type]
    similarity, found = index.search(features, K1)
    order = np.lexsort((found, -similarity), axis=1)
    near = np.take_along_axis(found, order, axis=1).astype(np.int32)
    return Neighbours(near, np.take_along_axis(similarity, order, axis=1), name, recall=float("nan"))


def section(size: str, rows: list[Found]) -> str:
    """The text of the page."""
    lines = [
        f"Written by `python -m benchmarks search --size {size}`; not edited by hand.",
        "",
        f"{SIZES[size]:,} images, features as above, k1 {K1}. Seconds are those of all cores together. *ARI*",
        f"is the agreement of the clusters (eps {EPS}) with those of the exact search, whose time grows with",
        "the square of the number of images, that of the graph (HNSW) little faster than the number.",
        "",
        "| search | processor seconds | recall | ARI of the clusters |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {row.name} | {row.seconds:.1f} | {row.recall:.2%} | {row.ari:.3f} |" for row in rows),
        "",
        "Missed neighbours cost more clusters than their number suggests. So the exact search is kept as long as it",
        f"can be borne: up to {APPROXIMATE_ABOVE:,} images on a CPU, and always on a GPU. Above, the graph with its",
        "refinement takes its place, and the run's record holds its recall.",
    ]
    return "\n".join(lines)
