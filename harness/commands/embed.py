"""`harness embed`: a folder of pictures to a file of features."""

from __future__ import annotations

from pathlib import Path

from harness.commands.progress import console_progress
from harness.use.features import check_output, write_features
from harness.use.gallery import embed_folder
from harness.use.model import find_run, load


def embed(run: str, folder: Path, output: Path) -> str:
    """Write the features of every image below `folder` to `output` and say what was written. Raises UserError."""
    check_output(output)
    with console_progress() as show:
        features = embed_folder(load(find_run(run)), folder, show)
    write_features(features, output)
    count, size = features.matrix.shape
    return f"{output}: {count} features of {size} numbers, by {features.run} (weights {features.checkpoint[:12]})"
