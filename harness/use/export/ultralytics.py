"""Ultralytics' trackers: an ONNX file, fed RGB in [0, 1] at the graph's own size; the graph normalizes.

Versions before 8.4.190 or so take the height for the width too: ONNX Runtime then refuses the crops, none is misread.
"""

from __future__ import annotations

from pathlib import Path

from harness.use.export.graph import Contract
from harness.use.export.onnx_file import write_onnx
from harness.use.model import TrainedRun

CONTRACT = Contract(None)


def write_ultralytics(run: TrainedRun, path: Path, half: bool, opset: int) -> None:
    """Write `path` with the metadata that Ultralytics' loader reads."""
    metadata = {
        "task": "reid",
        "imgsz": str([run.input.height, run.input.width]),
        "stride": "1",
        "batch": "1",
        "names": "{0: 'crop'}",
        "channels": "3",
    }
    write_onnx(run, path, CONTRACT, half, opset, metadata)
