"""Many stages at once: each as soon as what it depends on is done, as many as there are slots."""

from __future__ import annotations

import queue
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from harness.errors import UserError
from harness.pipeline.command import Command, Events
from harness.pipeline.stages import STOPS, Begun, Workspace

GLANCE_SECONDS = 0.5
"""Between two looks at progress and at stages that another process is busy with."""
GRACE_SECONDS = 15.0
"""What a command that is told to stop gets to save its state."""


class Display(Protocol):
    """What shows the work."""

    def began(self, stage: str, slot: int) -> None:
        """A stage's command has begun."""

    def said(self, stage: str, line: str) -> None:
        """A stage's command wrote a line."""

    def ended(self, stage: str, outcome: str) -> None:
        """A stage is done with: unchanged, restored, done, failed or skipped."""

    def glance(self) -> None:
        """Time has passed."""


@dataclass
class Outcome:
    """What became of the stages: names, and for failed ones the end of what their command wrote."""

    unchanged: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def reproduce(
    workspace: Workspace, order: Sequence[str], slots: Sequence[Mapping[str, str]], display: Display
) -> Outcome:
    """Bring the stages named in `order` up to date, the first that can go first; return what became of them.

    `slots` are the environments of as many commands at once. A stage that fails leaves all going that do not depend on
    it. On KeyboardInterrupt every command is told to stop, and waited for.
    """
    return _Run(workspace, order, slots, display).outcome()


def in_order(targets: Iterable[str], upstream: Mapping[str, set[str]], starts: Set[str]) -> list[str]:
    """Return the targets and all that they depend on.

    What others start from comes first, then what waits for the most others, so that the longest chain does not end
    alone; then as the targets stand.
    """
    order: dict[str, None] = {}

    @cache
    def below(name: str) -> frozenset[str]:
        return frozenset[str]().union(*({needed} | below(needed) for needed in upstream[name]))

    def visit(name: str) -> None:
        if name not in order:
            for needed in sorted(upstream[name]):
                visit(needed)
            order[name] = None

    for target in sorted(targets, key=lambda name: (name not in starts, -len(below(name)))):
        visit(target)
    return list(order)


class _Run:
    def __init__(
        self, workspace: Workspace, order: Sequence[str], slots: Sequence[Mapping[str, str]], display: Display
    ) -> None:
        self.workspace, self.slots, self.display = workspace, slots, display
        wanted = set(order)
        upstream = workspace.upstream()
        self.pending = {name: upstream[name] & wanted for name in order}
        self.free = list(range(len(slots)))
        self.running: dict[str, tuple[int, Command]] = {}
        self.events: Events = queue.Queue()
        self.result = Outcome()

    def outcome(self) -> Outcome:
        try:
            while self.pending or self.running:
                self._begin()
                self._wait()
        except BaseException:
            self._stop()
            raise
        return self.result

    def _begin(self) -> None:
        """Start what is ready; whatever needs no running makes more ready at once."""
        settled = True
        while settled:
            settled = False
            for name in [name for name, missing in self.pending.items() if not missing]:
                if not self.free:
                    return
                settled |= self._begin_one(name)

    def _begin_one(self, name: str) -> bool:
        try:
            begun = self.workspace.begin(name)
        except UserError as error:
            self._failed(name, str(error).splitlines())
            return False
        if begun is Begun.BUSY:
            return False
        del self.pending[name]
        if begun is Begun.RUN:
            slot = self.free.pop(0)
            environment = {**self.workspace.environment(name), **self.slots[slot]}
            line, folder = self.workspace.command(name), self.workspace.folder(name)
            self.running[name] = slot, Command(name, line, folder, environment, self.events)
            self.display.began(name, slot)
            return False
        (self.result.unchanged if begun is Begun.UNCHANGED else self.result.restored).append(name)
        self._ended(name, begun.name.lower())
        return True

    def _wait(self) -> None:
        deadline = time.monotonic() + GLANCE_SECONDS
        while self.running or self.pending:
            try:
                name, line = self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            slot, command = self.running[name]
            if line is not None:
                command.tail.append(line)
                self.display.said(name, line)
                continue
            code = command.process.wait()
            del self.running[name]
            self.free.append(slot)
            if code == 0:
                self._done(name)
            else:
                self.workspace.release(name)
                self._failed(name, [*command.tail, _died(code)] if code < 0 else [*command.tail])
            break
        self.display.glance()

    def _done(self, name: str) -> None:
        try:
            self.workspace.finish(name)
        except UserError as error:
            self._failed(name, str(error).splitlines())
            return
        self.result.done.append(name)
        self._ended(name, "done")

    def _ended(self, name: str, outcome: str) -> None:
        for missing in self.pending.values():
            missing.discard(name)
        self.display.ended(name, outcome)

    def _failed(self, name: str, tail: list[str]) -> None:
        """Take all that depends on it off the list."""
        self.pending.pop(name, None)
        self.result.failed[name] = tail
        self.display.ended(name, "failed")
        lost = {name}
        while more := [other for other, missing in self.pending.items() if missing & lost]:
            for other in more:
                del self.pending[other]
                lost.add(other)
                self.result.skipped[other] = name
                self.display.ended(other, "skipped")

    def _stop(self) -> None:
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)
        for _, command in self.running.values():
            command.send(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for name, (_, command) in self.running.items():
            with suppress(subprocess.TimeoutExpired):
                command.process.wait(max(0.0, deadline - time.monotonic()))
            command.send(signal.SIGKILL)  # what is left of its group, too
            command.process.wait()
            self.workspace.release(name)


def _died(code: int) -> str:
    name = signal.Signals(-code).name
    why = ", which the system does when memory runs out" if -code == signal.SIGKILL else ""
    return f"killed by {name}{why}"
