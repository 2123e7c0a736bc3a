"""What `harness show KEY` prints: what became of a run, its scores, its curves as small bars, its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.paths import run_folder
from harness.pipeline.status import run_status
from harness.specs.pairing import parse_key
from harness.specs.registry import Registry

if TYPE_CHECKING:
    from harness.store.run_files import RunResult

BARS = "▁▂▃▄▅▆▇█"
CURVES = {"target_map": "target mAP", "loss": "loss", "clusters": "clusters", "outliers": "outliers", "ari": "ARI"}
SCORES = {"map": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "minp": "mINP"}
FACTS = {"code_version": "code", "spec_hash": "spec hash", "protocol": "protocol", "regime": "regime",
         "bn_groups": "BatchNorm groups", "precision": "precision", "epochs": "epochs", "started": "started",
         "seconds": "seconds", "cpu_seconds": "CPU seconds", "gpu_seconds": "GPU seconds",
         "peak_memory_gib": "peak GiB", "resumed": "times resumed"}  # fmt: skip


def show_run(registry: Registry, key: str) -> list[str]:
    """Return the lines. Raises UserError for a key that is no planned, tried or published run."""
    parse_key(key)
    status = run_status(registry.root, key)
    result, origin = _result(registry, key)
    if result is None and status.attempt is None and key not in registry.planned:
        raise UserError(f"there is no run {key!r}; `harness list runs` shows those there are")
    state = origin if result is not None and status.state == "queued" else status.state
    lines = [f"{key}: {state}" + (f" ({status.reason})" if status.reason and state == status.state else "")]
    if result is None:
        return [*lines, f"  to run it: harness run {key}"]
    record = result.record.model_dump(mode="json")
    lines.append("  " + "   ".join(f"{title} {getattr(result.metrics, name):.1f}" for name, title in SCORES.items()))
    best = result.metrics.best_on_test
    if best:
        lines.append(f"  best epoch on the test set {best.epoch}: mAP {best.map:.1f} (never the headline)")
    lines += _variants(registry, key)
    for name, title in CURVES.items():
        values = [value for value in result.history.get(name, []) if value is not None]
        if len(values) > 1:
            lines.append(f"  {title:<10} {sparkline(values)}  {values[0]:.3g} → {values[-1]:.3g}")
    for name, title in FACTS.items():
        value = record.get(name)
        if value not in (None, ""):
            lines.append(f"  {title:<16} {f'{value:.1f}' if isinstance(value, float) else value}")
    lines.append(f"  {'device':<16} {result.record.hardware.device}")
    return [*lines, f"  to reproduce it: harness run {key}"]


def _variants(registry: Registry, key: str) -> list[str]:
    """The run's scores by variants of the protocol, or what is wrong with them."""
    from harness.pipeline.trained import read_trained
    from harness.store.run_files import BrokenResultError
    from harness.store.variant_files import read_variant, variant_files

    lines, folder = [], run_folder(registry.root, key)
    for path in variant_files(folder):
        try:
            found, _ = read_variant(path, read_trained(folder))
        except BrokenResultError as error:
            lines.append(f"  {path.name}: {error}")
            continue
        scores = "   ".join(f"{title} {getattr(found, name):.1f}" for name, title in SCORES.items())
        lines.append(f"  {found.protocol}: {scores}" + ("   (transductive)" if found.transductive else ""))
    return lines


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return values as bars, at most `width` of them, the lowest and highest value at the ends of their height."""
    step = max(1, -(-len(values) // width))
    shown = list(values[::step])
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in shown)


def _result(registry: Registry, key: str) -> tuple[RunResult | None, str]:
    """A finished run and where it comes from, or None."""
    from harness.store.published import read_published, unpacked
    from harness.store.run_files import read_run

    folder = run_folder(registry.root, key)
    if (folder / "metrics.json").exists():
        return read_run(folder), "finished"
    found = read_published(registry.root)
    run = found[0].runs.get(key) if found else None
    return (unpacked(key, run), "published") if run else (None, "")
