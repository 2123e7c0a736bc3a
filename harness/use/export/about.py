"""What a file says of itself, beside its weights."""

from __future__ import annotations

import json
from typing import Any

from harness import __version__
from harness.use.export.graph import Contract
from harness.use.model import TrainedRun

KEY = "reid-harness"


def about(run: TrainedRun, contract: Contract, half: bool) -> dict[str, Any]:
    """Return the document: which run, what to feed, what comes out."""
    by_consumer = contract.of(run.input)
    normalization = by_consumer or run.input.normalization
    return {
        "run": run.record.key,
        "spec_hash": run.record.spec_hash,
        "code_version": run.record.code_version,
        "harness": __version__,
        "input": {
            "layout": "NCHW, RGB, values in [0, 1]" + (", then (x - mean) / std" if by_consumer else ""),
            "height": run.input.height,
            "width": run.input.width,
            "dtype": "float16" if half else "float32",
            "mean": normalization.mean,
            "std": normalization.std,
            "normalization": "by the consumer" if by_consumer else "inside the graph",
            "interpolation": "bicubic",
        },
        "output": {"layout": "[N, d], L2-normalized", "dtype": "float32", "similarity": "cosine"},
    }


def text(document: dict[str, Any]) -> str:
    """Return the document as one line, for a header."""
    return json.dumps(document, separators=(",", ":"))
