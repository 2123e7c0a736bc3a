"""From features to scores: ranking by protocol `reid-v1`. What tells two results apart is reached from here, too."""

from typing import TYPE_CHECKING

from harness.lazy import lazy_attributes

if TYPE_CHECKING:
    from harness.evaluation.designs import (
        DrawnResult,
        evaluate_draws,
        evaluate_leave_one_out,
        evaluate_multi_query,
    )
    from harness.evaluation.protocol import PROTOCOL
    from harness.evaluation.ranking import RankingResult, evaluate_distances, evaluate_ranking
    from harness.evaluation.reranking import RerankedDistances, rerank
    from harness.statistics.methods import RunComparison, compare_runs
    from harness.statistics.networks import Comparison, compare_ap

__all__ = [
    "PROTOCOL",
    "Comparison",
    "DrawnResult",
    "RankingResult",
    "RerankedDistances",
    "RunComparison",
    "compare_ap",
    "compare_runs",
    "evaluate_distances",
    "evaluate_draws",
    "evaluate_leave_one_out",
    "evaluate_multi_query",
    "evaluate_ranking",
    "rerank",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "PROTOCOL": "harness.evaluation.protocol:PROTOCOL",
        "DrawnResult": "harness.evaluation.designs:DrawnResult",
        "evaluate_draws": "harness.evaluation.designs:evaluate_draws",
        "evaluate_leave_one_out": "harness.evaluation.designs:evaluate_leave_one_out",
        "evaluate_multi_query": "harness.evaluation.designs:evaluate_multi_query",
        "RankingResult": "harness.evaluation.ranking:RankingResult",
        "evaluate_distances": "harness.evaluation.ranking:evaluate_distances",
        "evaluate_ranking": "harness.evaluation.ranking:evaluate_ranking",
        "RerankedDistances": "harness.evaluation.reranking:RerankedDistances",
        "rerank": "harness.evaluation.reranking:rerank",
        "RunComparison": "harness.statistics.methods:RunComparison",
        "compare_runs": "harness.statistics.methods:compare_runs",
        "Comparison": "harness.statistics.networks:Comparison",
        "compare_ap": "harness.statistics.networks:compare_ap",
    },
)
