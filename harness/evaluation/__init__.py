"""From features to scores: ranking (protocol `reid-v1`) and the statistics that tell two results apart."""

from typing import TYPE_CHECKING

from harness.lazy import lazy_attributes

if TYPE_CHECKING:
    from harness.evaluation.ranking import PROTOCOL, RankingResult, evaluate_distances, evaluate_ranking
    from harness.evaluation.significance import RunComparison, compare_runs
    from harness.evaluation.statistics import Comparison, compare_ap

__all__ = [
    "PROTOCOL",
    "Comparison",
    "RankingResult",
    "RunComparison",
    "compare_ap",
    "compare_runs",
    "evaluate_distances",
    "evaluate_ranking",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "PROTOCOL": "harness.evaluation.ranking:PROTOCOL",
        "RankingResult": "harness.evaluation.ranking:RankingResult",
        "evaluate_distances": "harness.evaluation.ranking:evaluate_distances",
        "evaluate_ranking": "harness.evaluation.ranking:evaluate_ranking",
        "RunComparison": "harness.evaluation.significance:RunComparison",
        "compare_runs": "harness.evaluation.significance:compare_runs",
        "Comparison": "harness.evaluation.statistics:Comparison",
        "compare_ap": "harness.evaluation.statistics:compare_ap",
    },
)
