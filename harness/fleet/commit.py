"""The commit that a fleet computes: chosen, packed for the remote, and cloned into folders that are thrown away."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from configobj import ConfigObj

from harness.drafts import draft_folder
from harness.errors import DiskError, UserError
from harness.fleet.documents import Board

LOCK = "dvc.lock"
REF = "refs/fleet"
PREFIX = "run-"
SHOWN = 5


def choose_commit(root: Path, snapshot: bool) -> str:
    """Return the id of the commit that the fleet computes: HEAD, or with `snapshot` a commit of the tree as it is.

    The snapshot is on no branch; `refs/fleet/` keeps it, since records will name it. Lock files of DVC may differ:
    they hold results. Raises UserError for a tree with other changes, unless they are to be part of a snapshot.
    """
    head = git(root, "rev-parse", "--verify", "HEAD")
    changed = [
        line[3:] for line in git(root, "status", "--porcelain", "--untracked-files=all", "--no-renames").splitlines()
        if not line.endswith(LOCK)
    ]  # fmt: skip
    if changed and not snapshot:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise UserError(
            f"the tree differs from its commit {head[:12]}: {', '.join(changed[:SHOWN])}{more}; machines compute a "
            "commit: commit the changes, or let --snapshot make a commit of the tree as it is, on no branch"
        )
    commit = _snapshot(root, head) if changed else head
    git(root, "update-ref", f"{REF}/{commit}", commit)
    return commit


def _snapshot(root: Path, head: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_AUTHOR_NAME": "harness fleet", "GIT_AUTHOR_EMAIL": "fleet@localhost",
            "GIT_COMMITTER_NAME": "harness fleet", "GIT_COMMITTER_EMAIL": "fleet@localhost",
            "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
        }  # fmt: skip
        git(root, "read-tree", head, environment=environment)
        git(root, "add", "--all", environment=environment)
        tree = git(root, "write-tree", environment=environment)
        return git(root, "commit-tree", tree, "-p", head, "-m", "Snapshot for a fleet", environment=environment)


def publish_commit(root: Path, board: Board, commit: str) -> None:
    """Put the commit, with its history, on the remote, unless it is there. Raises UserError."""
    if board.remote.exists(board.bundle):
        return
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "commit.bundle"
        git(root, "update-ref", f"{REF}/{commit}", commit)
        git(root, "bundle", "create", "-q", str(bundle), f"{REF}/{commit}")
        board.remote.put(bundle, board.bundle)


@contextmanager
def throw_away_clone(board: Board, commit: str, scratch: Path, settings: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a clone of `commit` in `scratch`, gone at the end, with `settings` of DVC: section -> option -> value.

    The commit is fetched from the remote once for each machine; what a killed worker left there goes. Raises UserError;
    DiskError if the disk is full.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(draft_folder(scratch, PREFIX))
        except OSError as error:
            raise DiskError(f"{scratch}: cannot be written: {error.strerror}; name another --scratch") from None
        clone = folder / "clone"
        try:
            git(scratch, "clone", "-q", "--shared", "--no-checkout", str(_mirror(board, commit, scratch)), str(clone))
            git(clone, "checkout", "-q", "--detach", commit)
            _configure(clone, settings)
            yield clone
        finally:
            os.chdir(scratch)  # DVC works from within the clone


def _mirror(board: Board, commit: str, scratch: Path) -> Path:
    mirror = scratch / f"{board.fleet}.git"
    if mirror.is_dir():
        return mirror
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=scratch) as folder:
        bundle, draft = Path(folder) / "commit.bundle", Path(folder) / "mirror.git"
        if not board.remote.get(board.bundle, bundle):
            raise UserError(f"{board.remote}: has no fleet {board.fleet}; `harness fleet run` or `slurm` prepares one")
        git(scratch, "init", "-q", "--bare", str(draft))
        git(draft, "fetch", "-q", str(bundle), f"{REF}/{commit}:{REF}/{commit}")
        try:
            draft.rename(mirror)
        except OSError:  # another worker on this machine was faster
            if not mirror.is_dir():
                raise
    return mirror


def _configure(clone: Path, settings: Mapping[str, Any]) -> None:
    config = ConfigObj(str(clone / ".dvc" / "config.local"), encoding="utf-8")
    config.update(settings)
    config.write()


def git(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run git in a folder and return what it says. Raises UserError; DiskError if the disk is full."""
    command = ["git", *arguments]  # found by name: where it lies differs between systems
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        kind = DiskError if "No space left" in done.stderr else UserError
        raise kind(f"git {arguments[0]} in {folder}: {said[-1]}")
    return done.stdout.rstrip("\n")
