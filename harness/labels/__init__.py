"""From features to pseudo-labels: neighbours, distances, clusterings, and how good the labels are.

Parts load on first use, so that a spec's parameters are checked without Numba.
"""

from typing import TYPE_CHECKING

from harness.lazy import lazy_attributes

if TYPE_CHECKING:
    from harness.labels.ca_jaccard import ca_jaccard_distance
    from harness.labels.clusterings.dbscan import cluster
    from harness.labels.clusterings.dbscan_data_driven import data_driven_eps
    from harness.labels.jaccard import jaccard_distance, reranking_jaccard_distance
    from harness.labels.neighbours import Neighbours, nearest_neighbours
    from harness.labels.quality import LabelQuality, label_quality
    from harness.labels.reliability import self_paced_reliability

__all__ = [
    "LabelQuality",
    "Neighbours",
    "ca_jaccard_distance",
    "cluster",
    "data_driven_eps",
    "jaccard_distance",
    "label_quality",
    "nearest_neighbours",
    "reranking_jaccard_distance",
    "self_paced_reliability",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "LabelQuality": "harness.labels.quality:LabelQuality",
        "Neighbours": "harness.labels.neighbours:Neighbours",
        "ca_jaccard_distance": "harness.labels.ca_jaccard:ca_jaccard_distance",
        "cluster": "harness.labels.clusterings.dbscan:cluster",
        "data_driven_eps": "harness.labels.clusterings.dbscan_data_driven:data_driven_eps",
        "jaccard_distance": "harness.labels.jaccard:jaccard_distance",
        "label_quality": "harness.labels.quality:label_quality",
        "nearest_neighbours": "harness.labels.neighbours:nearest_neighbours",
        "reranking_jaccard_distance": "harness.labels.jaccard:reranking_jaccard_distance",
        "self_paced_reliability": "harness.labels.reliability:self_paced_reliability",
    },
)
