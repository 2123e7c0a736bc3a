"""Declarative experiments and an honest leaderboard for unsupervised and cross-domain re-identification."""

__version__ = "0.1.0"
