"""Contributed results: a document whose scores do not follow from its ranks does not pass."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import UserError
from harness.sharing.community import check_community, write_community
from harness.specs import Registry
from harness.store import ingest, open_store, views
from harness.store.community import community_files, packed, read_community, seal
from harness.store.database import database_url
from harness.store.run_files import TITLES
from tests.store.factory import Project

KEY = "cluster-contrast__beta__s0"
TRAIN = {"images": 40, "ids": 10, "cameras": 2}


@pytest.fixture
def document(project: Project) -> Path:
    project.dataset(
        "beta",
        sources=("alpha",),
        title="Beta Square",
        expect={"train": TRAIN, "query": TRAIN | {"images": 200}, "gallery": TRAIN | {"images": 60}},
    )
    return write_community(project.root, KEY, "vision-lab")


def check(project: Project, against: str = "") -> list[str]:
    return list(check_community(Registry.load(project.root), community_files(project.root), against))


def altered(path: Path, **changes: Any) -> None:
    """Alter a document and seal it anew, as a forger would."""
    tree = json.loads(path.read_text())
    for name, value in changes.items():
        tree[name] = tree[name] | value if isinstance(value, dict) else value
    tree["sha256"] = seal(tree)
    path.write_text(json.dumps(tree))


def test_a_document_holds_all_that_its_scores_follow_from(project: Project, document: Path) -> None:
    assert check(project) == []
    result = read_community(document)
    assert (result.ap.shape, result.metrics.queries) == ((200,), 200)
    ingest(project.root)
    rows = views.leaderboard(open_store(database_url(project.root), read_only=True), "beta")
    (row,) = [row for row in rows if row.method == "cluster-contrast.from.vision-lab"]
    (own,) = [row for row in rows if row.method == "cluster-contrast"]
    assert row.scores["map"].mean == pytest.approx(result.metrics.map)
    assert "computed by vision-lab" in row.origin
    assert own.seeds == (0, 1, 2)


@pytest.mark.parametrize("name", ["map", "rank1", "rank5", "rank10", "minp", "map_trapezoid"])
def test_no_score_can_be_embellished(project: Project, document: Path, name: str) -> None:
    metrics = json.loads(document.read_text())["metrics"]
    altered(document, metrics={name: metrics[name] + (0.01 if metrics[name] < 99.9 else -0.01)})
    (problem,) = check(project)
    assert problem.startswith(f"results/community/vision-lab/{KEY}.json: ")
    assert f"gives {TITLES[name]} of" in problem


def test_a_document_is_sealed_and_whole(project: Project, document: Path) -> None:
    text = document.read_text()
    document.write_text(text.replace('"seed":0', '"seed":1', 1))
    assert "SHA-256 differs" in check(project)[0]
    for changes, message in (
        ({"ranks": packed(np.array([1, 2]))}, "do not fit each other"),
        ({"ranks": "!"}, "ranks: "),
        ({"record": {"key": "supervised__beta__s0"}}, "belongs to"),
        ({"more": 1}, "more: "),
    ):
        document.write_text(text)
        altered(document, **changes)
        assert message in "".join(check(project)), changes
    document.write_text(text[:-100])
    assert "not readable as JSON" in check(project)[0]


def test_what_is_known_of_the_data_is_compared(project: Project, document: Path) -> None:
    project.dataset("beta", sources=("alpha",))  # of 40 query images
    assert check(project) == [
        f"results/community/vision-lab/{KEY}.json: 200 query images, beta has 40",
        f"results/community/vision-lab/{KEY}.json: 60 gallery images, beta has 40",
    ]
    (project.root / "datasets" / "beta.yaml").unlink()
    assert "no dataset is called 'beta'" in check(project)[0]


def test_a_file_elsewhere_is_said_so(project: Project, document: Path) -> None:
    (document.parent / "model.bin").write_bytes(b"x")
    assert "is not at results/community/LAB/KEY.json" in check(project)[0]


def test_what_others_contributed_stays(project: Project, document: Path) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
        subprocess.run(command, cwd=project.root, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", "results/community")
    git("commit", "-q", "-m", "One")
    git("checkout", "-q", "-b", "mine")
    write_community(project.root, "cluster-contrast__beta__s1", "vision-lab")
    git("add", "results/community")
    git("commit", "-q", "-m", "Two")
    assert check(project, "main") == []
    altered(document, history={"loss": [1.0] * 6})
    git("commit", "-q", "-a", "-m", "Three")
    assert "changed since main" in "".join(check(project, "main"))
    with pytest.raises(UserError, match="--against nowhere"):
        check(project, "nowhere")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_document_that_is_no_file_is_named_and_waited_for_by_nobody(
    project: Project, document: Path, make: Callable[[Path], object]
) -> None:
    other = document.with_name("cluster-contrast__beta__s1.json")
    make(other)
    report = ingest(project.root)
    (reason,) = (said for place, said in report.rejected.items() if place.endswith(other.name))
    assert "not a regular file" in reason
    rows = views.leaderboard(open_store(database_url(project.root), read_only=True), "beta")
    assert "cluster-contrast.from.vision-lab" in [row.method for row in rows]
