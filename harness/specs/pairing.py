"""A pairing: method × (source →) target × seed, and the key that names its run everywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import UserError

KEY = re.compile(
    r"(?P<method>[a-z0-9.-]+)__(?:(?P<source>[a-z0-9.-]+?)-to-)?(?P<target>[a-z0-9.-]+)__s(?P<seed>0|[1-9][0-9]{0,8})"
)


@dataclass(frozen=True, order=True)
class Pairing:
    """One execution of a method: `source` is the labeled dataset of `uda` and `direct` methods, else None."""

    method: str
    source: str | None
    target: str
    seed: int

    @property
    def task(self) -> str:
        """`<source>-to-<target>` or `<target>`: what the leaderboard compares methods on."""
        return task_name(self.source, self.target)

    @property
    def key(self) -> str:
        """The run's name: folder, DVC stage, database key."""
        return f"{self.method}__{self.task}__s{self.seed}"


def task_name(source: str | None, target: str) -> str:
    """Return the name of a task: `<source>-to-<target>`, or the target alone."""
    return f"{source}-to-{target}" if source else target


def parse_key(key: str) -> Pairing:
    """Return the pairing that `key` names. Raises UserError if it is not a key."""
    match = KEY.fullmatch(key)
    if match is None:
        raise UserError(
            f"{key!r} is not a run's key: expected <method>__<target>__s<seed> "
            "or <method>__<source>-to-<target>__s<seed>"
        )
    return Pairing(match["method"], match["source"], match["target"], int(match["seed"]))
