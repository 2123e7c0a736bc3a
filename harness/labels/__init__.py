"""From features to pseudo-labels: neighbours, Jaccard distance, clustering, and how good the labels are."""

from harness.labels.clustering import cluster
from harness.labels.jaccard import jaccard_distance
from harness.labels.neighbours import Neighbours, nearest_neighbours

__all__ = ["Neighbours", "cluster", "jaccard_distance", "nearest_neighbours"]
