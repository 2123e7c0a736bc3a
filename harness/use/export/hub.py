"""Figures of a run in the words of the Hugging Face Hub: `model-index` in a card, and files under `.eval_results/`.

https://github.com/huggingface/hub-docs, modelcard.md and eval-results.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from harness.paths import write_text
from harness.pipeline.records import Metrics, Record
from harness.specs.dataset import DatasetSpec

FIGURES = {"map": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "minp": "mINP"}
FOLDER = ".eval_results"
TASK = "image-feature-extraction"


def model_index(record: Record, metrics: Metrics, dataset: DatasetSpec | None) -> list[dict[str, Any]]:
    """Return the `model-index` of a card: one model, one dataset, the figures of the last epoch in percent."""
    title = dataset.title if dataset else record.target
    return [
        {
            "name": record.key,
            "results": [
                {
                    "task": {"type": TASK, "name": f"Re-identification ({metrics.protocol})"},
                    "dataset": {"type": record.target, "name": title, "split": "query"},
                    "metrics": [
                        {
                            "type": _slug(title),
                            "name": title,
                            "value": round(getattr(metrics, name), 4),
                            "verified": False,
                        }
                        for name, title in FIGURES.items()
                    ],
                }
            ],
        }
    ]


def write_eval_results(folder: Path, record: Record, metrics: Metrics) -> Path:
    """Write the run's figures as the Hub reads them beside a model; return the file."""
    notes = (
        f"protocol {metrics.protocol}, last epoch, seed {record.seed}, {metrics.queries} queries in "
        f"{metrics.gallery} images; spec {record.spec_hash}, code {record.code_version}"
    )
    entries = [
        {
            "dataset": {
                "id": record.target, "task_id": f"{record.setting}_{_slug(title)}",
                "revision": record.data_hashes.get(record.target, ""),
            },
            "value": round(getattr(metrics, name), 4),
            "date": f"{record.started:%Y-%m-%d}",
            "notes": f"{title}, {notes}",
        }
        for name, title in FIGURES.items()
    ]  # fmt: skip
    path = folder / FOLDER / f"{record.target}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, as_yaml(entries))
    return path


def as_yaml(document: Mapping[str, Any] | list[Any]) -> str:
    """Return a document as block YAML."""
    yaml, out = YAML(), StringIO()
    yaml.default_flow_style, yaml.width = False, 120
    yaml.dump(document, out)
    return out.getvalue()


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower())
