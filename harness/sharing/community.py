"""One JSON document per run under `results/community/<lab>/`, for pull requests: small, and all its scores recomputed.

It holds the record, the scores, the curves, and the ranks of every right answer of every query, from which mAP, CMC and
mINP follow exactly. `harness results check` is what a continuous integration runs on a pull request.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.inputs.parquet import load_table
from harness.paths import community_folder, run_folder, write_text
from harness.specs.pairing import parse_key
from harness.specs.registry import Registry
from harness.store.community import CommunityRun, packed, read_community, seal
from harness.store.origin import lab_name
from harness.store.published import read_published, unpacked_identities
from harness.store.run_files import RunResult, digest, read_run, verified_queries


def write_community(root: Path, key: str, lab: str) -> Path:
    """Write a finished run of this project as a document; return its path. Raises UserError."""
    folder = run_folder(root, parse_key(key).key)
    if digest(folder) is None:
        raise UserError(f"{key}: is not finished here; run: harness run {key}")
    result = read_run(folder)
    if result.identities is None:
        raise UserError(f"{key}: does not say which queries show the same identity")
    ranks = load_table(verified_queries(folder))["match_ranks"].combine_chunks()
    run = CommunityRun(
        record=result.record, metrics=result.metrics, history=result.history, identities=packed(result.identities),
        counts=packed(ranks.value_lengths().to_numpy()), ranks=packed(ranks.flatten().to_numpy()), sha256="",
    )  # fmt: skip
    document = run.model_dump(mode="json")
    document["sha256"] = seal(document)
    path = community_folder(root) / lab_name(lab) / f"{key}.json"
    write_text(path, json.dumps(document, separators=(",", ":")) + "\n")
    return path


def check_community(registry: Registry, paths: Sequence[Path], against: str) -> Iterator[str]:
    """Yield what is wrong with documents, one line each: form, seal, scores, and what is known of the data.

    `against`: a commit or branch; what it holds already may be neither changed nor removed.
    """
    root = registry.root
    base = community_folder(root)
    for path in sorted(path for path in base.rglob("*") if path.is_file()) if base.exists() else ():
        if path.parent.parent != base or path.suffix != ".json":
            yield f"{path.relative_to(root)}: is not at results/community/LAB/KEY.json"
    for path in paths:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        try:
            lab_name(path.parent.name)
            yield from (f"{name}: {line}" for line in _doubts(registry, read_community(path)))
        except UserError as error:
            yield f"{name}: {str(error).removeprefix(f'{path.name}: ')}"
    if against:
        yield from _altered(root, against)


def _doubts(registry: Registry, result: RunResult) -> Iterator[str]:
    record, metrics = result.record, result.metrics
    if record.target not in registry.datasets:
        yield f"no dataset is called {record.target!r} here; its spec belongs into the same pull request"
        return
    if record.method not in registry.methods:
        yield f"no method is called {record.method!r} here; its spec belongs into the same pull request"
    expect = registry.dataset(record.target).expect
    for split, found in (("query", metrics.queries + metrics.queries_without_match), ("gallery", metrics.gallery)):
        stated = getattr(expect, split) if expect else None
        if stated is not None and stated.images is not None and stated.images != found:
            yield f"{found} {split} images, {record.target} has {stated.images}"
    known = _published_identities(registry.root).get(record.data_hashes.get(record.target, ""))
    if known is not None and result.identities is not None and not _same_groups(known, result.identities):
        yield f"its queries do not show the identities that those of {record.target} show"


def _published_identities(root: Path) -> dict[str, NDArray[np.int32]]:
    found = read_published(root)
    stated = found[0].identities if found else {}
    return {data: unpacked_identities(numbers) for data, numbers in stated.items()}


def _same_groups(a: NDArray[np.int32], b: NDArray[np.int32]) -> bool:
    """Whether two numberings part queries alike."""
    if a.shape != b.shape:
        return False
    pairs = len(np.unique(np.stack([a, b]), axis=1).T)
    return bool(pairs == len(np.unique(a)) == len(np.unique(b)))


def _altered(root: Path, against: str) -> Iterator[str]:
    command = ["git", "diff", "--name-status", "--no-renames", f"{against}...HEAD", "--", "results/community"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UserError(f"--against {against}: {said[0] if said else 'git does not know it'}")
    for line in done.stdout.splitlines():
        what, _, name = line.partition("\t")
        if what != "A":
            yield f"{name}: {'removed' if what == 'D' else 'changed'} since {against}; leave it, and add another"
