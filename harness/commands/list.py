"""What `harness list` shows: tables of datasets, methods, pairings, runs and parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from harness.errors import UserError
from harness.paths import raw_folder, run_folder
from harness.pipeline.pipelines import evaluate_stage
from harness.pipeline.status import run_status
from harness.pipeline.trained import read_scores
from harness.specs.dataset import Counts, DatasetSpec
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry

Row = dict[str, Any]
KINDS = ("datasets", "methods", "pairings", "runs", "parts")


def listing(registry: Registry, what: str, starter: bool = False) -> list[Row]:
    """Return one row per thing. Raises UserError for an unknown kind of thing."""
    registry.checked()
    if what == "datasets":
        return [_dataset_row(registry, name) for name in registry.datasets]
    if what == "methods":
        return [
            {"name": m.name, "setting": m.setting, "role": m.role, "regimes": " ".join(m.regimes), "title": m.title}
            for m in registry.methods.values()
        ]
    if what in ("pairings", "runs"):
        pairings = _chosen(registry, starter)
        rows = [_run_row(registry, pairing) for pairing in pairings]
        return rows if what == "runs" else [{name: row[name] for name in list(row)[:5]} for row in rows]
    if what == "parts":
        from harness.commands.list_parts import part_rows

        return part_rows()
    raise UserError(f"nothing is called {what!r}; list one of: {', '.join(KINDS)}")


def stage_names(registry: Registry, starter: bool) -> list[str]:
    """Return the DVC stages that make the planned (or starter) results."""
    return [evaluate_stage(pairing) for pairing in _chosen(registry.checked(), starter)]


def show(rows: Sequence[Row], as_json: bool) -> str:
    """Return rows as JSON or as an aligned table."""
    if as_json:
        return json.dumps(list(rows), indent=2, ensure_ascii=False)
    if not rows:
        return "nothing yet: run `harness plan`"
    names = list(rows[0])
    cells = [names, *([_text(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _chosen(registry: Registry, starter: bool) -> list[Pairing]:
    from harness.pipeline.plan import starter_pairings

    return starter_pairings(registry) if starter else list(registry.planned.values())


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _dataset_row(registry: Registry, name: str) -> Row:
    from harness.pipeline.plan import present_datasets

    spec = registry.datasets[name]
    if spec.drawn:
        here = "drawn" if raw_folder(registry.root, name).exists() else "to be drawn"
    else:
        here = "added" if name in present_datasets(registry) else "absent"
    return {
        "name": name, "kind": spec.kind, "regime": spec.regime, "role": spec.role, "here": here,
        "train": _images(spec, "train"), "query": _images(spec, "query"), "gallery": _images(spec, "gallery"),
        "title": spec.title,
    }  # fmt: skip


def _images(spec: DatasetSpec, split: Literal["train", "query", "gallery"]) -> int | None:
    counts: Counts | None = getattr(spec.expect, split, None)
    return counts.images if counts else None


def _run_row(registry: Registry, pairing: Pairing) -> Row:
    scores = read_scores(run_folder(registry.root, pairing.key))
    status = run_status(registry.root, pairing.key)
    return {
        "key": pairing.key, "method": pairing.method, "source": pairing.source, "target": pairing.target,
        "seed": pairing.seed, "status": status.state, "mAP": scores and scores.map,
        "Rank-1": scores and scores.rank1, "reason": status.reason,
    }  # fmt: skip
