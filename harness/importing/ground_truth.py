"""Check VeRi-776's published relevance files against the rule that the evaluation uses.

The rule: a gallery image of the query's identity is junk if it is of the query's camera too,
otherwise a correct match.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from harness.data.listing import read_lines
from harness.data.records import Dataset, ImageRecord
from harness.errors import UserError
from harness.importing.findings import Finding, some
from harness.specs.layout import GroundTruth


def check_ground_truth(truth: GroundTruth, dataset: Dataset, base: Path) -> Iterator[Finding]:
    """Compare every query's lines in the relevance files with the rule; no findings if the files are absent."""
    absent = [name for name in (truth.queries, truth.gallery, truth.good, truth.junk) if not (base / name).exists()]
    if absent:
        yield Finding("notice", f"the published relevance was not checked, because {some(absent)} is not there")
        return
    queries = _records(base / truth.queries, dataset.query)
    gallery = _records(base / truth.gallery, dataset.gallery)
    positions: dict[int, list[int]] = defaultdict(list)
    for position, record in enumerate(gallery, start=1):
        positions[record.id].append(position)
    good, junk = _positions(base / truth.good), _positions(base / truth.junk)
    if not len(good) == len(junk) == len(queries):
        text = f"{truth.good} has {len(good)} lines and {truth.junk} {len(junk)}, but there are {len(queries)} queries"
        yield Finding("difference", text)
        return
    wrong = []
    for number, query in enumerate(queries):
        same_camera = {at for at in positions[query.id] if gallery[at - 1].camera == query.camera}
        other_camera = set(positions[query.id]) - same_camera
        if good[number] != other_camera or junk[number] != same_camera:
            wrong.append(f"{query.path.name} (line {number + 1})")
    if wrong:
        text = f"{truth.good} and {truth.junk} contradict the same-camera rule for {len(wrong)} queries: {some(wrong)}"
        yield Finding("difference", text)
    else:
        yield Finding("notice", f"the same-camera rule gives exactly {truth.good} and {truth.junk}")


def _records(path: Path, records: tuple[ImageRecord, ...]) -> list[ImageRecord]:
    """Return the records in the order of a list of names."""
    by_name = {record.path.name: record for record in records}
    names = [line for line in read_lines(path) if line]
    if missing := [name for name in names if name not in by_name]:
        raise UserError(f"{path}: {len(missing)} names have no image: {some(missing)}; the dataset is incomplete")
    return [by_name[name] for name in names]


def _positions(path: Path) -> list[set[int]]:
    lines = read_lines(path)
    if lines and not lines[-1]:
        lines.pop()  # after the last line's end
    try:
        return [{int(number) for number in line.split()} for line in lines]
    except ValueError as error:
        raise UserError(f"{path}: expected one line of positions per query: {error}") from error
