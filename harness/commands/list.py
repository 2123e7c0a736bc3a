"""What `harness list` shows: tables of datasets, methods, pairings, runs and parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.commands.screen import table
from harness.errors import UserError
from harness.inputs.json import read_json
from harness.inputs.limits import PUBLISHED_BYTES
from harness.paths import published_file, raw_folder, run_folder
from harness.pipeline.pipelines import evaluate_stage
from harness.pipeline.status import run_status
from harness.pipeline.trained import read_scores
from harness.specs.dataset import Counts, DatasetSpec
from harness.specs.pairing import Pairing
from harness.specs.registry import Registry
from harness.specs.yamlfile import nearest

Row = dict[str, Any]
STATES = ("queued", "running", "interrupted", "failed", "trained", "finished", "published")
KINDS = ("datasets", "methods", "pairings", "runs", "parts")


def listing(
    registry: Registry, what: str, starter: bool = False, method: str = "", task: str = "", status: str = ""
) -> list[Row]:
    """Return one row per thing; of pairings and runs only those of a method, on a task, in a status, if given.

    Raises UserError for an unknown kind of thing, method, task or status.
    """
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
        pairings = _filtered(registry, pairings, method, task)
        published = _published(registry.root)
        rows = [_run_row(registry, pairing, published) for pairing in pairings]
        if status and status not in STATES:
            raise UserError(f"no status is called {status!r}{nearest(status, STATES)}")
        rows = [row for row in rows if status in ("", row["status"])]
        return rows if what == "runs" else [{name: row[name] for name in list(row)[:5]} for row in rows]
    if what == "parts":
        from harness.commands.list_parts import part_rows

        return part_rows()
    raise UserError(f"nothing is called {what!r}; list one of: {', '.join(KINDS)}")


def stage_names(registry: Registry, starter: bool) -> list[str]:
    """Return the DVC stages that make the planned (or starter) results."""
    return [evaluate_stage(pairing) for pairing in _chosen(registry.checked(), starter)]


def show(rows: Sequence[Row], as_json: bool, limit: int | None = None) -> str:
    """Return rows as JSON or as an aligned table of at most `limit` characters a line."""
    if as_json:
        return json.dumps(list(rows), indent=2, ensure_ascii=False)
    if not rows:
        return "nothing like this: `harness list pairings` shows what is planned, `harness plan --add` plans more"
    names = list(rows[0])
    if limit is not None:  # what the key says already, and what is empty everywhere
        said = ("method", "source", "target", "seed") if "key" in names else ()
        names = [name for name in names if name not in said and any(row[name] not in (None, "") for row in rows)]
    return table(names, [[_text(row[name]) for name in names] for row in rows], limit)


def _filtered(registry: Registry, pairings: list[Pairing], method: str, task: str) -> list[Pairing]:
    """Those of a method and on a task, if these are given."""
    tasks = sorted({pairing.task for pairing in registry.planned.values()})
    if method:
        registry.method(method)
    if task and task not in tasks:
        raise UserError(f"no planned task is called {task!r}{nearest(task, tasks)}")
    return [p for p in pairings if method in ("", p.method) and task in ("", p.task)]


def _published(root: Path) -> dict[str, dict[str, Any]]:
    """The scores of published runs, by key; none if the snapshot is missing or cannot be read: `check` says why."""
    try:
        document = read_json(published_file(root), PUBLISHED_BYTES)
        return {key: run["metrics"] for key, run in document["runs"].items()}
    except (UserError, KeyError, TypeError, AttributeError):
        return {}


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


def _run_row(registry: Registry, pairing: Pairing, published: Mapping[str, dict[str, Any]]) -> Row:
    found = read_scores(run_folder(registry.root, pairing.key))
    scores: dict[str, Any] = {"map": found.map, "rank1": found.rank1} if found else {}
    status = run_status(registry.root, pairing.key)
    state: str = status.state
    if not scores and pairing.key in published:
        scores = published[pairing.key]
        state = "published" if state == "queued" else state
    return {
        "key": pairing.key, "method": pairing.method, "source": pairing.source, "target": pairing.target,
        "seed": pairing.seed, "status": state, "mAP": scores.get("map"), "Rank-1": scores.get("rank1"),
        "reason": "" if state == "published" else status.reason,
    }  # fmt: skip
