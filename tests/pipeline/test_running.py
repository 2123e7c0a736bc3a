"""Many stages at once leave what `dvc repro` would have left; one that fails or is stopped leaves nothing half-done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.pipeline.running import Outcome, in_order, reproduce
from harness.pipeline.stages import Begun, Workspace

PROJECT = Path(__file__).parents[2]
PIPELINE = """\
stages:
  first:
    cmd: cat source > first.txt; echo read
    deps: [source]
    outs: [first.txt]
  left:
    cmd: sleep 0.4; cat first.txt > left.txt; echo $$PLACE >> places
    deps: [first.txt]
    outs: [left.txt]
  right:
    cmd: sleep 0.4; cat first.txt > right.txt; echo $$PLACE >> places
    deps: [first.txt]
    outs: [right.txt]
  last:
    cmd: cat left.txt right.txt > last.txt
    deps: [left.txt, right.txt]
    outs: [last.txt]
""".replace("$$", "$")
ORDER = ("first", "left", "right", "last")


def test_starts_come_first_and_then_what_waits_for_the_most_others() -> None:
    upstream: dict[str, set[str]] = {
        "data": set(), "start": {"data"}, "other": {"start"}, "alone": {"data"}, "again": {"data"},
        "long": {"start", "other"},
    }  # fmt: skip
    found = in_order(["alone", "again", "long", "start"], upstream, {"start"})
    assert found == ["data", "start", "other", "long", "alone", "again"]


class Heard:
    """A display that notes what it is told."""

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}
        self.lines: list[tuple[str, str]] = []
        self.outcomes: dict[str, str] = {}

    def began(self, stage: str, slot: int) -> None:
        self.slots[stage] = slot

    def said(self, stage: str, line: str) -> None:
        self.lines.append((stage, line))

    def ended(self, stage: str, outcome: str) -> None:
        self.outcomes[stage] = outcome

    def glance(self) -> None:
        pass


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with four small stages, of which nothing has run."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.chdir(root)
    (root / ".gitignore").write_text("*.txt\n")
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=root, check=True)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "source").write_text("one\n")
    return root


def edit(root: Path, old: str, new: str) -> None:
    text = (root / "dvc.yaml").read_text()
    assert old in text
    (root / "dvc.yaml").write_text(text.replace(old, new))


def run(root: Path, slots: Sequence[Mapping[str, str]] = ({}, {}), heard: Heard | None = None) -> Outcome:
    return reproduce(Workspace(root, [Path("dvc.yaml")]), ORDER, slots, heard or Heard())


def dvc(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def test_everything_runs_once_and_dvc_has_nothing_to_do(root: Path) -> None:
    heard = Heard()
    begun = time.monotonic()
    outcome = run(root, [{"PLACE": "a"}, {"PLACE": "b"}], heard)
    assert time.monotonic() - begun < 60
    assert sorted(outcome.done) == sorted(ORDER)
    assert (root / "last.txt").read_text() == "one\none\n"
    assert sorted((root / "places").read_text().split()) == ["a", "b"]  # side by side, each in a place of its own
    assert {heard.slots["left"], heard.slots["right"]} == {0, 1}
    assert ("first", "read") in heard.lines
    assert "up to date" in dvc(root, "status")
    assert "Running" not in dvc(root, "repro")
    again = run(root)
    assert (again.unchanged, again.done) == (list(ORDER), [])


def test_what_dvc_repro_did_is_not_done_again_and_the_other_way_round(root: Path) -> None:
    dvc(root, "repro")
    assert run(root).unchanged == list(ORDER)
    (root / "source").write_text("two\n")
    assert len(run(root).done) == 4
    assert "Running" not in dvc(root, "repro")


def test_what_was_computed_before_comes_from_the_cache(root: Path) -> None:
    run(root)
    (root / "source").write_text("two\n")
    run(root)
    (root / "source").write_text("one\n")
    (root / "places").unlink()
    assert run(root).restored == list(ORDER)
    assert (root / "last.txt").read_text() == "one\none\n"
    assert not (root / "places").exists()
    assert "up to date" in dvc(root, "status")


def test_a_failure_leaves_all_going_that_do_not_need_it(root: Path) -> None:
    edit(root, "cat first.txt > left.txt;", "echo went wrong >&2; exit 3;")
    heard = Heard()
    outcome = run(root, heard=heard)
    assert sorted(outcome.done) == ["first", "right"]
    assert outcome.failed == {"left": ["went wrong"]}
    assert outcome.skipped == {"last": "left"}
    assert heard.outcomes == {"first": "done", "right": "done", "left": "failed", "last": "skipped"}
    edit(root, "echo went wrong >&2; exit 3;", "cat first.txt > left.txt;")
    assert sorted(run(root).done) == ["last", "left"]


def test_an_output_that_was_not_written_and_a_dependency_that_is_not_there(root: Path) -> None:
    edit(root, "cat first.txt > left.txt;", "true;")
    (failed,) = run(root).failed.items()
    assert failed[0] == "left"
    assert "left.txt" in failed[1][0]
    (root / "source").unlink()
    assert "source" in run(root).failed["first"][0]


def test_killed_by_the_system(root: Path) -> None:
    edit(root, "cat first.txt > left.txt;", "kill -9 $$;")
    assert run(root).failed["left"] == ["killed by SIGKILL, which the system does when memory runs out"]


def test_an_edit_while_a_stage_runs_is_not_taken_for_what_it_read(root: Path) -> None:
    edit(root, "cat source > first.txt;", "cat source > first.txt; echo two > source;")
    assert "first" in run(root).done
    assert (root / "first.txt").read_text() == "one\n"
    assert "source" in dvc(root, "status")


def test_a_stage_that_another_process_is_at_work_on_is_waited_for(root: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from harness.pipeline.stages import Workspace
        workspace = Workspace(Path.cwd(), [Path("dvc.yaml")])
        print(workspace.begin("first"), flush=True)
        input()
        Path("first.txt").write_text("of the other\\n")
        workspace.finish("first")
        """
    )
    command = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline().strip() == "Begun.RUN"
        ours = Workspace(root, [Path("dvc.yaml")])
        assert ours.begin("first") is Begun.BUSY
        other.stdin.write("\n")
        other.stdin.flush()
        outcome = reproduce(ours, ORDER, [{}], Heard())
        assert other.wait() == 0
    assert outcome.unchanged == ["first"]
    assert (root / "last.txt").read_text() == "of the other\n" * 2


STOPPED = """
import sys
from pathlib import Path
from harness.pipeline import running
from harness.pipeline.running import reproduce
from harness.pipeline.stages import Workspace
from tests.pipeline.test_running import Heard, ORDER
import signal
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
running.GRACE_SECONDS = 1
class Told(Heard):
    def said(self, stage, line):
        print(line, flush=True)
try:
    reproduce(Workspace(Path.cwd(), [Path("dvc.yaml")]), ORDER, [{}, {}], Told())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_ends_every_command_and_what_it_started(root: Path, number: signal.Signals) -> None:
    edit(root, "cat source > first.txt;", "sh -c 'sleep 600 & echo $! >&2; trap \"\" TERM; wait; sleep 600';")
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED], cwd=root, env=environment, stdout=subprocess.PIPE, text=True
    ) as stopped:
        assert stopped.stdout is not None
        child = int(stopped.stdout.readline())
        os.kill(stopped.pid, number)
        assert stopped.wait() == 130
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(child, 0)
            time.sleep(0.05)
    edit(root, "sh -c 'sleep 600 & echo $! >&2; trap \"\" TERM; wait; sleep 600';", "cat source > first.txt;")
    assert sorted(run(root).done) == sorted(ORDER)  # no lock of DVC's is left behind


def test_a_pipeline_that_dvc_cannot_read(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: [")
    with pytest.raises(UserError, match="DVC"):
        Workspace(root, [Path("dvc.yaml")])
