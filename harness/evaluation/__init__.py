"""From features to scores: ranking (protocol `reid-v1`) and the statistics that tell two results apart.

Names are looked up when first used, so that a command that only needs the statistics does not load the compiler.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.evaluation.ranking import PROTOCOL, RankingResult, evaluate_distances, evaluate_ranking
    from harness.evaluation.statistics import Comparison, compare_ap

_HOME = {
    "PROTOCOL": "ranking",
    "RankingResult": "ranking",
    "evaluate_distances": "ranking",
    "evaluate_ranking": "ranking",
    "Comparison": "statistics",
    "compare_ap": "statistics",
}

__all__ = ["PROTOCOL", "Comparison", "RankingResult", "compare_ap", "evaluate_distances", "evaluate_ranking"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
