"""From features to pseudo-labels: neighbours, Jaccard distance, clustering, and how good the labels are."""

from harness.labels.clustering import cluster
from harness.labels.eps import data_driven_eps
from harness.labels.jaccard import jaccard_distance
from harness.labels.neighbours import Neighbours, nearest_neighbours
from harness.labels.quality import LabelQuality, label_quality
from harness.labels.reliability import self_paced_reliability

__all__ = [
    "LabelQuality",
    "Neighbours",
    "cluster",
    "data_driven_eps",
    "jaccard_distance",
    "label_quality",
    "nearest_neighbours",
    "self_paced_reliability",
]
