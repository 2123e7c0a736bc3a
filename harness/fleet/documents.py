"""What a fleet says of itself, as JSON on the remote below `fleet/<id>/`.

Nothing is decided by comparing the clocks of two machines: whoever wants to know whether another one is alive watches
`beat` change. Times are there to be shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, RootModel

from harness.errors import UserError
from harness.inputs.json import parse_document
from harness.specs.base import Frozen
from harness.specs.resolve import fingerprint

if TYPE_CHECKING:
    from harness.fleet.remote import Remote

SILENT = 3
"""A worker whose beat stands still for so many times the seconds between two of them is gone."""

Outcome = Literal["finished", "failed", "interrupted", "elsewhere", "refused"]


class Work(Frozen):
    """What became of an item, a run or a dataset to prepare, on the machine that is or was at it."""

    item: str = Field(description="a run's key, or a dataset's name")
    owner: str = Field(description="who gave the work out: the same one may take it up again at once")
    host: str
    status: Literal["running", "finished", "failed", "interrupted"]
    stage: str = Field(default="", description="what runs now, like 'train'")
    device: str = ""
    epoch: int = 0
    epochs: int = 0
    left: float | None = Field(default=None, description="seconds that the rest of the training will take")
    beat: int = 0
    every: float = Field(description="seconds between two beats")
    began: datetime
    updated: datetime
    ahead: float = Field(default=0.0, description="seconds by which this machine's clock is ahead of the remote's")
    seconds: float = 0.0
    message: str = ""
    tail: tuple[str, ...] = ()


class Fleet(Frozen):
    """What one head, or a batch script, gives out."""

    id: str
    commit: str
    owner: str
    host: str
    items: tuple[str, ...]
    began: datetime
    updated: datetime
    engine: str


class Versions(RootModel[dict[str, str]]):
    """The versions of Python and of packages, by name."""


def fleet_id(commit: str, versions: Mapping[str, str]) -> str:
    """Return the name of what machines with these versions compute of this commit."""
    return f"{commit[:12]}-{fingerprint(dict(versions))[:8]}"


def now() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


class Board:
    """The documents of one fleet on the remote."""

    def __init__(self, remote: Remote, fleet: str) -> None:
        self.remote, self.fleet = remote, fleet
        self.folder = f"fleet/{fleet}"

    def work(self, item: str) -> Work | None:
        """Return what is said of an item; None if nothing is, or nothing that can be read."""
        data = self.remote.read(f"{self.folder}/work/{item}.json")
        try:
            return parse_document(data, Path(f"{item}.json"), Work) if data else None
        except UserError:
            return None

    def say(self, work: Work) -> None:
        """Say what becomes of an item."""
        self.remote.write(f"{self.folder}/work/{work.item}.json", work.model_dump_json().encode())

    def all_work(self, known: Iterable[Work] = ()) -> list[Work]:
        """Return what is said of all items; of those `known` to be finished it is not asked again."""
        finished = {work.item: work for work in known if work.status == "finished"}
        names = [name.removesuffix(".json") for name in self.remote.names(f"{self.folder}/work") if ".json" in name]
        return [work for name in names if (work := finished.get(name) or self.work(name))]

    def fleets(self) -> list[Fleet]:
        """Return what the heads and scripts of this fleet give out."""
        found = []
        for name in self.remote.names(f"{self.folder}/heads"):
            data = self.remote.read(f"{self.folder}/heads/{name}")
            try:
                found.append(parse_document(data or b"", Path(name), Fleet))
            except UserError:
                continue
        return found

    def announce(self, fleet: Fleet) -> None:
        """Say what is given out."""
        self.remote.write(f"{self.folder}/heads/{fleet.owner}.json", fleet.model_dump_json().encode())

    def versions(self) -> dict[str, str] | None:
        """Return the versions that all machines of the fleet have; None if it was not prepared."""
        place = f"{self.folder}/versions.json"
        data = self.remote.read(place)
        return parse_document(data, Path(place), Versions).root if data else None

    def publish_versions(self, versions: Mapping[str, str]) -> None:
        """Say which versions all machines of the fleet are to have."""
        self.remote.write(f"{self.folder}/versions.json", json.dumps(versions, indent=1).encode())

    @property
    def bundle(self) -> str:
        """Where the commit lies on the remote."""
        return f"{self.folder}/commit.bundle"

    def state(self, key: str) -> str:
        """Where the state of an unfinished run lies on the remote."""
        return f"{self.folder}/state/{key}.safetensors"
