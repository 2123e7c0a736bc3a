"""Roboflow's `reid`: a folder with `reid_config.json` and weights of a timm network."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UserError
from harness.use.model import TrainedRun

WEIGHTS = "weights.safetensors"


def write_roboflow(run: TrainedRun, path: Path, half: bool) -> None:
    """Write the folder's files. Raises UserError for a network that `reid` cannot build."""
    raise UserError(
        f"{run.record.key}: Roboflow's reid builds timm's networks only, as they are: no last stride of 1, no GeM; "
        f"this run's is {run.method.compute.network.backbone.kind!r}"
    )
