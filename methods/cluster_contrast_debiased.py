"""Cluster Contrast whose pseudo-labels do not follow the cameras.

Song, Park, Lee, "Exploring the camera bias of person re-identification" (ICLR 2025). Clusters of an unsupervised
network follow the camera more than individuals do. Two remedies, each a switch: distances are taken between features
normalized by mean and standard deviation of their camera; and a cluster that a single camera sees teaches nothing about
the others, so its images are left out. Memory, loss and all else are Cluster Contrast's.
"""

from __future__ import annotations

from harness.specs.params import DebiasedLabels
from methods.cluster_contrast import ClusterContrast


class DebiasedClusterContrast(ClusterContrast):
    """With both switches off it is Cluster Contrast, bit for bit."""

    class Params(ClusterContrast.Params):
        labels: DebiasedLabels

    params: Params
