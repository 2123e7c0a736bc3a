"""The remote that machines share: what is wrong with it is said, and no credential is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.commands.fleet import status
from harness.errors import UserError
from harness.fleet.remote import Remote
from tests.fleet.conftest import Lab

SECRET = "s3cret"


@pytest.fixture
def config(at_lab: Lab) -> Iterator[Path]:
    """The configuration of the lab's project that is in no commit."""
    path = at_lab.root / ".dvc" / "config.local"
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("url", "message"),
    [("/nowhere/at/all", "there is no such folder on this machine; is it mounted"),
     ("/sys/kernel", "cannot be used: .*; see that it is there and may be written to"),
     ("https://example.org/dvc", "no cache of runs over HTTP")],
)  # fmt: skip
def test_a_remote_that_cannot_be_used_is_said_so(at_lab: Lab, config: Path, url: str, message: str) -> None:
    config.write_text(f"['remote \"lab\"']\n    url = {url}\n")
    with pytest.raises(UserError, match=message):
        Remote.of(at_lab.root).check()
    with pytest.raises(UserError, match=message):  # not that no fleet has used it
        list(status(at_lab.root, ""))


@pytest.mark.skipif(find_spec("dvc_s3") is not None, reason="the package is here")
def test_a_remote_whose_package_is_not_installed() -> None:
    with pytest.raises(UserError, match=r"needs a package that is not here: pip install 'dvc\[s3\]'$"):
        Remote("lab", {"url": "s3://bucket/reid"}).check()


def test_no_remote_and_an_unknown_one(at_lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no remote of DVC is called 'lap' \(known: lab\)"):
        Remote.of(at_lab.root, "lap")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    at_lab.project.run("sh", "-c", f"cd {tmp_path} && dvc init -q")
    with pytest.raises(UserError, match=r"has no remote of DVC.*dvc remote add"):
        Remote.of(tmp_path)


def test_a_configuration_that_dvc_does_not_understand(at_lab: Lab, config: Path) -> None:
    config.write_text("['remote \"lab\"']\n    colour = red\n")
    with pytest.raises(UserError, match=r"DVC's configuration cannot be used: .*colour"):
        Remote.of(at_lab.root)


def test_passwords_do_not_travel() -> None:
    remote = Remote("lab", {"url": "ssh://host/x", "user": "me", "password": SECRET, "secret_access_key": SECRET})
    assert remote.public().settings == {"url": "ssh://host/x", "user": "me"}
    in_url = Remote("lab", {"url": f"ssh://me:{SECRET}@host:22/x"})
    assert SECRET not in str(in_url)
    assert in_url.public().settings == {"url": "ssh://me@host:22/x"}


def test_every_machine_has_its_own_password(at_lab: Lab, config: Path) -> None:
    """What a head tells is kept; only what it does not tell is the machine's own."""
    config.write_text(f"['remote \"lab\"']\n    url = ssh://elsewhere/y\n    user = you\n    password = {SECRET}\n")
    found = Remote.with_credentials("lab", {"url": "ssh://host/x", "user": "me"}, at_lab.root)
    assert found.settings == {"url": "ssh://host/x", "user": "me", "password": SECRET}
    assert Remote.with_credentials("other", {"url": "ssh://host/x"}, at_lab.root).settings == {"url": "ssh://host/x"}


class Refused(Exception):  # noqa: N818 - as a library calls it
    """An error that is no OSError, as botocore's and asyncssh's are."""


class Store:
    """A file system that remembers what a folder held, as fsspec's of object stores do."""

    protocol = "s3"

    def __init__(self, error: Exception | None = None) -> None:
        self.held, self.error = ["bucket/fleet/one"], error
        self.fs = self
        self.remembered: list[str] | None = None

    def invalidate_cache(self) -> None:
        self.remembered = None

    def ls(self, path: str, detail: bool) -> list[str]:
        if self.error:
            raise self.error
        self.remembered = self.remembered or list(self.held)
        return self.remembered


def opened(store: Store, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Remote:
    monkeypatch.setattr(Remote, "_opened", (store, "bucket"))
    return Remote("lab", {"url": "s3://bucket", **settings})


def test_what_another_machine_wrote_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    remote = opened(store, monkeypatch)
    assert remote.names("fleet") == ["one"]
    store.held.append("bucket/fleet/two")
    assert remote.names("fleet") == ["one", "two"]


def test_errors_of_any_library_are_one_line_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = opened(Store(Refused(f"no {SECRET}\nsecond line")), monkeypatch, secret_access_key=SECRET)
    with pytest.raises(UserError, match=r"^remote 'lab' \(s3://bucket\): cannot be used: no \*\*\*; see that"):
        remote.names("fleet")


def test_faults_of_the_program_are_not_called_the_remotes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AttributeError):
        opened(Store(AttributeError("a typing error")), monkeypatch).names("fleet")
