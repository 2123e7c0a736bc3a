"""The epoch chosen without labels: its weights stay in the run's state, and are evaluated once, at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from harness.labels.label_free import RULE, score
from harness.learning.extract import Embedder
from harness.learning.state import RunState
from harness.pipeline.records import Chosen
from harness.pipeline.training.evaluator import Evaluator

CHOSEN = "chosen"
"""Where `RunState.values` holds {"epoch", "score"} of the best epoch so far; its tensors carry this name in front."""


def consider(state: RunState, row: Mapping[str, Any], export: Callable[[], Mapping[str, Tensor]]) -> None:
    """Keep what the network is after the epoch of `row`, if its figures are at least as good as any epoch's before."""
    found = score(row)
    if found is None or found < state.values.get(CHOSEN, {}).get("score", float("-inf")):
        return
    state.values[CHOSEN] = {"epoch": row["epoch"], "score": found}
    # Clones, since training goes on in the network's own tensors.
    state.tensors |= {f"{CHOSEN}/{name}": value.detach().clone() for name, value in export().items()}


def chosen_epoch(
    state: RunState,
    rows: list[dict[str, Any]],
    evaluator: Evaluator,
    embedder: Callable[[Mapping[str, Tensor]], Embedder],
) -> Chosen | None:
    """Return the chosen epoch, with its test scores if there are any; None for a run without pseudo-labels."""
    if CHOSEN not in state.values:
        return None
    epoch = state.values[CHOSEN]["epoch"]
    row = rows[epoch - 1]
    found, rank1 = row["target_map"], row["target_rank1"]
    if found is None and evaluator.has_test:  # else this very network has been evaluated
        tensors = {
            name.removeprefix(f"{CHOSEN}/"): value
            for name, value in state.tensors.items()
            if name.startswith(f"{CHOSEN}/")
        }
        scores = evaluator.scores(embedder(tensors))
        found, rank1 = 100 * scores.map, 100 * scores.cmc[1]
    return Chosen(epoch=epoch, map=found, rank1=rank1, rule=RULE)
