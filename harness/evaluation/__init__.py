"""From features to scores: ranking (protocol `reid-v1`) and the statistics that tell two results apart."""

from harness.evaluation.ranking import PROTOCOL, RankingResult, evaluate_distances, evaluate_ranking

__all__ = ["PROTOCOL", "RankingResult", "evaluate_distances", "evaluate_ranking"]
