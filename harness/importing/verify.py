"""Verify a dataset on disk against its spec: counts, labels, contents, published relevance files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from harness.data.manifest import build_manifest, read_manifest
from harness.data.reading import read_dataset, recognize
from harness.data.records import SPLITS, Dataset
from harness.data.scan import Problem, Progress, default_workers, scan
from harness.importing.content_checks import check_changes, check_copies
from harness.importing.findings import Finding, Level, some
from harness.importing.ground_truth import check_ground_truth
from harness.importing.label_checks import check_labels
from harness.inputs.images import Facts
from harness.specs.dataset import DatasetSpec

MANIFEST = "manifest.parquet"
"""The manifest's name inside a dataset's raw folder, written when it is added."""


@dataclass(frozen=True)
class Verification:
    """Result of a verification; `manifest` is None if some image cannot be used."""

    dataset: Dataset
    manifest: pa.Table | None
    findings: tuple[Finding, ...]

    def at(self, *levels: Level) -> list[str]:
        """Return the texts of the findings at `levels`."""
        return [finding.text for finding in self.findings if finding.level in levels]

    @property
    def ok(self) -> bool:
        """True if nothing differs from the spec."""
        return not self.at("error", "difference")


def verify_dataset(
    spec: DatasetSpec, root: Path, workers: int | None = None, progress: Progress | None = None
) -> Verification:
    """Compare the dataset in `root` with its spec and open every image. Raises UserError if it cannot be read."""
    dataset = read_dataset(spec, root)
    base, arrangement = recognize(spec, root)
    findings = list(check_labels(spec, dataset, base, arrangement))
    if spec.layout.ground_truth:
        findings += check_ground_truth(spec.layout.ground_truth, dataset, base)
    facts: dict[str, list[Facts]] = {}
    problems: list[Problem] = []
    for split in SPLITS:
        paths = [record.path for record in dataset.splits[split]]
        found = scan(root, paths, workers or default_workers(), f"verify {spec.name} {split}", progress)
        facts[split] = [fact for fact in found if isinstance(fact, Facts)]
        problems += [problem for problem in found if isinstance(problem, Problem)]
    if problems:
        findings.append(Finding("error", f"{len(problems)} images cannot be used: {some(problems)}"))
        return Verification(dataset, None, tuple(findings))
    manifest = build_manifest(dataset, facts)
    findings += _check_contents(manifest, dataset, root)
    return Verification(dataset, manifest, tuple(findings))


def _check_contents(manifest: pa.Table, dataset: Dataset, root: Path) -> Iterator[Finding]:
    yield from check_copies(manifest, dataset.has_cameras)
    if (root / MANIFEST).exists():
        yield from check_changes(read_manifest(root / MANIFEST), manifest)
