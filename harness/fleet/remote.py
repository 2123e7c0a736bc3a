"""The remote that the machines share: whatever DVC can push to (a folder, SSH, S3 …), read and written through DVC."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.fs import RemoteMissingDepsError, parse_external_url

from harness.errors import UserError
from harness.pipeline.code import HOME

HOW = "add one that all machines reach, and commit it: dvc remote add --default lab /a/shared/folder (or ssh://, s3://)"
SECRETS = ("password", "passphrase", "secret", "token", "key_id", "account_key", "customer_key", "connection_string")
"""What the name of a setting has in it that is nobody else's business."""
WHOLE = ("s3", "gs", "azure", "oss")
"""Where a file that is written appears whole or not at all; elsewhere it is renamed when it is."""


@dataclass(frozen=True)
class Remote:
    """A remote by its name and its settings in DVC's words, `url` among them."""

    name: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, root: Path, name: str = "") -> Remote:
        """Return the remote of that name, or the default one, of the project at `root`. Raises UserError."""
        config = _config(root)
        name = name or config["core"].get("remote", "")
        if not name:
            raise UserError(f"the project has no remote of DVC, through which machines share results; {HOW}")
        if name not in config["remote"]:
            known = ", ".join(config["remote"]) or "none"
            raise UserError(f"no remote of DVC is called {name!r} (known: {known}); {HOW}")
        settings = {key: value for key, value in config["remote"][name].items() if value is not None}
        if settings["url"].partition(":")[0] in ("http", "https"):
            raise UserError(f"remote {name!r}: DVC keeps no cache of runs over HTTP; {HOW}")
        return cls(name, _plain(settings))

    @classmethod
    def with_credentials(cls, name: str, settings: Mapping[str, Any], root: Path = HOME) -> Remote:
        """Return a remote that another machine told of, with the secrets that this one's configuration has for it.

        These are in DVC's global configuration, or in that of the checkout at `root`.
        """
        own = _config(root)["remote"].get(name, {})
        return cls(name, {**_plain({key: own[key] for key in own if _is_secret(key)}), **settings})

    def public(self) -> Remote:
        """Return the remote as it may travel to other machines: each has credentials of its own (see the guide)."""
        settings = {key: value for key, value in self.settings.items() if not _is_secret(key)}
        parts = urlsplit(str(settings["url"]))
        if parts.password is not None:
            settings["url"] = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}"))
        return Remote(self.name, settings)

    def __str__(self) -> str:
        return f"remote {self.name!r} ({str(self.settings['url']).rpartition('@')[2]})"

    def check(self) -> None:
        """Raise UserError unless the remote is there and can be written to."""
        with self.explained():
            if self._fs.protocol == "local" and not Path(self._path).is_dir():
                raise UserError(f"{self}: there is no such folder on this machine; is it mounted? Else create it")
            probe = f"fleet/.probe-{uuid.uuid4().hex}"
            self.write(probe, b"")
            self._fs.rm_file(self._at(probe))

    def read(self, path: str) -> bytes | None:
        """Return a file of the remote; None if it is not there."""
        with self.explained():
            try:
                found: bytes = self._fs.cat_file(self._at(path))
            except FileNotFoundError:
                return None
            return found

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the remote, whole or not at all."""
        with self.explained(), self._replacing(self._at(path)) as place:
            self._fs.pipe_file(place, data)

    def put(self, file: Path, path: str) -> None:
        """Copy a file to the remote, whole or not at all."""
        with self.explained(), self._replacing(self._at(path)) as place:
            self._fs.put_file(os.fspath(file), place)

    def get(self, path: str, file: Path) -> bool:
        """Copy a file of the remote here, whole or not at all; False if it is not there."""
        with self.explained():
            if not self._fs.exists(self._at(path)):
                return False
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.partial")
            try:
                self._fs.get_file(self._at(path), os.fspath(partial))
                partial.replace(file)
            finally:
                partial.unlink(missing_ok=True)
            return True

    def exists(self, path: str) -> bool:
        """Whether a file of the remote is there."""
        with self.explained():
            return bool(self._fs.exists(self._at(path)))

    def written(self, path: str) -> datetime | None:
        """Return when a file was written by the remote's own clock; None if the remote does not say.

        fsspec's file systems that keep no times raise NotImplementedError, or lack the key.
        """
        with suppress(NotImplementedError, KeyError, TypeError, UserError), self.explained():
            found: datetime = self._fs.modified(self._at(path))
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        return None

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder of the remote; none if it is not there."""
        with self.explained():
            try:
                found = self._fs.ls(self._at(folder), detail=False)
            except FileNotFoundError:
                return []
            return sorted(
                name for path in found if not (name := str(path).rstrip("/").rpartition("/")[2]).startswith(".")
            )

    def remove(self, path: str) -> None:
        """Delete a file of the remote, if it is there."""
        with self.explained(), suppress(FileNotFoundError):
            self._fs.rm_file(self._at(path))

    def _at(self, path: str) -> str:
        return f"{self._path.rstrip('/')}/{path}"

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        with self.explained():
            fs, path = parse_external_url(self.settings["url"], {k: v for k, v in self.settings.items() if k != "url"})
        return fs, str(path)

    @property
    def _fs(self) -> Any:
        fs = self._opened[0]
        fs.fs.invalidate_cache()  # fsspec remembers what a folder held: other machines write there, too
        return fs

    @property
    def _path(self) -> str:
        return self._opened[1]

    @contextmanager
    def _replacing(self, place: str) -> Iterator[str]:
        if self._fs.protocol in WHOLE:
            yield place
            return
        folder, _, name = place.rpartition("/")
        self._fs.makedirs(folder, exist_ok=True)
        partial = f"{folder}/.{name}.{uuid.uuid4().hex[:8]}"
        try:
            yield partial
            self._fs.mv(partial, place)
        except BaseException:
            with suppress(Exception):
                self._fs.rm_file(partial)
            raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Make UserErrors of what goes wrong with the remote, without a secret in them.

        Every kind of file system raises the errors of its own library (botocore's, asyncssh's …); Python's own are
        faults of a program, but for those of the system.
        """
        try:
            yield
        except UserError:
            raise
        except (ImportError, RemoteMissingDepsError) as error:
            kind = urlsplit(str(self.settings["url"])).scheme
            raise UserError(f"{self}: needs a package that is not here: pip install 'dvc[{kind}]'") from error
        except Exception as error:
            if type(error).__module__ == "builtins" and not isinstance(error, (OSError, ValueError)):
                raise
            said = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
            for secret in self._secrets():
                said = said.replace(secret, "***")
            raise UserError(f"{self}: cannot be used: {said}; see that it is there and may be written to") from error

    def _secrets(self) -> list[str]:
        stated = [str(value) for key, value in self.settings.items() if _is_secret(key)]
        return [value for value in (*stated, urlsplit(str(self.settings["url"])).password) if value]


def _config(root: Path) -> Config:
    """Return DVC's configuration of a checkout, or that of this machine where there is none. Raises UserError."""
    folder = root / ".dvc"
    try:
        return Config(str(folder) if folder.is_dir() else None)
    except DvcException as error:
        raise UserError(f"DVC's configuration cannot be used: {error}") from error


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, (bool, int)) else str(value) for key, value in settings.items()}


def _is_secret(setting: str) -> bool:
    return any(word in setting for word in SECRETS)
