"""A worker without Ray: what it refuses, and what a signal leaves behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.commands.fleet import choose
from harness.errors import UserError
from harness.fleet import worker
from harness.fleet.commit import choose_commit, git
from harness.fleet.documents import Board, Work, now
from harness.fleet.head import prepare, run_on_ray
from harness.fleet.remote import Remote
from harness.fleet.slurm import Batch, script
from harness.fleet.snapshot import Snapshot, is_silent, left
from harness.fleet.versions import versions
from harness.fleet.worker import Job, work
from harness.paths import run_folder
from tests.fleet.conftest import START, Lab, is_amid, work_of
from tests.pipeline.tiny import silent

WORK = ("harness", "fleet", "work", START, "--gpus-per-run", "0", "--every", "0.2")


@pytest.fixture
def job(at_lab: Lab, tmp_path: Path) -> Job:
    """What a worker of this lab is told."""
    return prepare(at_lab.root, "", False, "a test", 0, 0.2, str(tmp_path / "scratch"))


def test_a_signal_saves_on_the_remote_and_leaves_nothing_else(at_lab: Lab, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    (scratch / "run-of-a-killed-worker" / "clone").mkdir(parents=True)
    process = at_lab.started(*WORK, "--scratch", str(scratch), "--share", "0/1")
    while not is_amid(at_lab, START):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert work_of(at_lab, START)["status"] == "interrupted"
    assert list(scratch.glob("run-*")) == []
    assert len(list(at_lab.remote.glob(f"fleet/*/state/{START}.safetensors"))) == 1

    status = at_lab.project.run("harness", "fleet", "status")
    assert "1 interrupted" in status
    assert START in status
    assert not run_folder(at_lab.root, START).exists()  # a worker leaves everything on the remote, nothing here


def test_a_tree_with_changes_is_refused_or_taken_as_it_is(at_lab: Lab) -> None:
    head, extra = git(at_lab.root, "rev-parse", "HEAD"), at_lab.root / "methods" / "new.yaml"
    lock = at_lab.root / "dvc.lock"
    before = lock.read_bytes() if lock.exists() else None
    lock.write_text("schema: '2.0'\n")  # results are no change
    try:
        assert choose_commit(at_lab.root, False) == head
        extra.write_text("name: new\n")
        with pytest.raises(UserError, match=r"differs from its commit .*methods/new.yaml.*--snapshot"):
            choose_commit(at_lab.root, False)
        taken = choose_commit(at_lab.root, True)
        assert git(at_lab.root, "show", f"{taken}:methods/new.yaml") == "name: new"
        assert git(at_lab.root, "rev-parse", "HEAD", f"{taken}^") == f"{head}\n{head}"
        assert git(at_lab.root, "diff", "--cached", "--name-only") == ""
        assert choose_commit(at_lab.root, True) == taken  # the same tree is the same commit
    finally:
        extra.unlink(missing_ok=True)
        lock.unlink() if before is None else lock.write_bytes(before)


def test_other_versions_are_refused_with_the_difference(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    found = versions()
    monkeypatch.setattr(worker, "versions", lambda: found | {"python": "3.12", "numpy": "1.0"})
    result = work(job, START, silent)
    assert result.outcome == "refused"
    assert f"python 3.12 instead of {found['python']}, numpy 1.0 instead of {found['numpy']}" in result.message


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'{"python": {}}', b"[" * 100_000])
def test_versions_that_cannot_be_read_are_named(data: bytes) -> None:
    board = Board(SimpleNamespace(read=lambda _: data), "a")  # type: ignore[arg-type]
    if not data:
        assert board.versions() is None
        return
    with pytest.raises(UserError, match=r"^fleet/a/versions.json: "):
        board.versions()


def test_no_gpu_where_one_is_needed(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_gpus", lambda: 0)
    result = work(job.model_copy(update={"gpus": 1}), START, silent)
    assert (result.outcome, "a run needs 1 GPUs, torch sees 0 here" in result.message) == ("refused", True)


def test_a_full_disk_is_said_so(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10 * 2**20))
    result = work(job, START, silent)
    assert (result.outcome, "its disk is full (10 MiB left)" in result.message) == ("refused", True)
    blocked = tmp_path / "file"
    blocked.touch()
    result = work(job.model_copy(update={"scratch": str(blocked / "below")}), START, silent)
    assert (result.outcome, "cannot be written" in result.message) == ("refused", True)


def test_a_fleet_that_nobody_prepared(job: Job) -> None:
    result = work(job.model_copy(update={"fleet": "0123-4567"}), START, silent)
    assert (result.outcome, "has no fleet 0123-4567" in result.message) == ("failed", True)


def test_work_of_another_worker_that_is_alive_is_left_to_it(job: Job) -> None:
    board, stop = job.board(), threading.Event()
    theirs = Work(
        item="drawn-winter", owner="other", host="far", status="running", every=0.2, began=now(), updated=now()
    )

    def beat() -> None:
        document = theirs
        while not stop.wait(0.05):
            document = document.model_copy(update={"beat": document.beat + 1})
            board.say(document)

    other = threading.Thread(target=beat)
    other.start()
    try:
        assert work(job, "drawn-winter", silent).outcome == "elsewhere"
    finally:
        stop.set()
        other.join()
    said: list[str] = []
    assert work(job, "drawn-winter", said.append).outcome == "finished"  # it has fallen silent
    assert said[0] == "drawn-winter: far is at it; watching whether it still is"


def test_clocks_that_differ_change_nothing_that_is_shown() -> None:
    """A machine whose clock is two hours ahead is not silent for minus two hours, nor one that is behind for two."""
    for ahead in (7200.0, -7200.0):
        at = now()
        heard = at + timedelta(seconds=ahead)
        one = Work(item="a", owner="o", host="h", status="running", every=30, began=heard, updated=heard, ahead=ahead)
        assert not is_silent(one, at + timedelta(seconds=60))
        assert is_silent(one, at + timedelta(seconds=600))


def test_a_clock_that_differs_from_the_remotes_is_said_so(
    at_lab: Lab, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Remote, "written", lambda remote, path: now() - timedelta(hours=2))
    said: list[str] = []
    assert work(job, "drawn-winter", said.append).outcome == "finished"
    assert any(
        "this machine's clock is 7200 s ahead of the remote's; times shown allow for it" in line for line in said
    )
    assert 7190 < work_of(at_lab, "drawn-winter")["ahead"] < 7210


def test_a_remote_that_is_away_for_a_moment_ends_no_run(
    at_lab: Lab, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Words on the way are dispensable."""

    def failing(remote: Remote, path: str, data: bytes) -> None:
        raise UserError("the remote is away")

    said: list[str] = []
    git(tmp_path, "clone", "-q", str(at_lab.root), str(tmp_path / "clone"))
    display = worker._Clone(job, job.board(), tmp_path / "clone", "drawn-winter", said.append)
    with monkeypatch.context() as away:
        away.setattr(Remote, "write", failing)
        display.spoke = -1000.0
        display.glance()
    assert said == ["drawn-winter: goes on without a word: the remote is away"]


def test_what_is_left_goes_by_what_was_finished() -> None:
    at = now()

    def one(item: str, status: str, seconds: float, rest: float | None = None) -> Work:
        return Work.model_validate(
            {"item": item, "owner": "o", "host": "h", "status": status, "every": 30, "began": at, "updated": at,
             "seconds": seconds, "left": rest}
        )  # fmt: skip

    work = (one("a", "finished", 100), one("b", "running", 50, 30.0), one("c", "running", 20))
    head = {"id": "f", "commit": "c", "owner": "o", "host": "h", "items": ("a", "b", "c", "d"), "began": at,
            "updated": at, "engine": "ray"}  # fmt: skip
    snapshot = Snapshot.model_validate({"fleet": "f", "written": at, "heads": [head], "work": work})
    assert left(snapshot) == pytest.approx((30 + 80 + 100) / 2)


def test_an_address_where_nobody_listens(at_lab: Lab) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=r"no Ray cluster can be reached at '127.0.0.1:9'"):
        run_on_ray(None, "127.0.0.1:9", 1)  # type: ignore[arg-type]


def test_what_slurm_is_given(job: Job, tmp_path: Path) -> None:
    text = script(tmp_path, job, Batch(2, 4, "32G", "12:00:00", 8, "gpu"), 1500)
    for line in ("--array=0-999%8", "--gres=gpu:2", "--cpus-per-task=4", "--mem=32G", "--time=12:00:00", "--requeue",
                 "--signal=B:USR1@120", "--partition=gpu"):  # fmt: skip
        assert f"#SBATCH {line}\n" in text
    assert f"fleet work --fleet {job.fleet} " in text
    (tmp_path / "x.sh").write_text(text)
    subprocess.run(["bash", "-n", str(tmp_path / "x.sh")], check=True)
    with pytest.raises(UserError, match="no blank"):
        script(tmp_path, job, Batch(0, 1, "16 G", "1:00", 0, ""), 1)


@pytest.mark.parametrize("share", ["3/3", "a/b", "1", "5/9"])
def test_a_share_that_cannot_be(at_lab: Lab, share: str) -> None:
    failed = at_lab.project.attempt(*WORK, "--share", share)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error: --share {share}: ")


def test_what_fits_nothing(at_lab: Lab) -> None:
    with pytest.raises(UserError, match="no planned pairing fits"):
        choose(at_lab.registry, ([], None, None, [7]))
