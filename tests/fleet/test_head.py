"""What the head gives out when, told apart from Ray: an engine that does at once what it is given."""

from __future__ import annotations

from typing import Any

from harness.fleet.documents import now
from harness.fleet.head import Head, Item, Loop, Summary
from harness.fleet.worker import Job, Result


class Engine:
    """Stands in for Ray: a task is its item's name, and is done when it is waited for."""

    class exceptions:  # noqa: N801 - as Ray calls it
        RayError = RuntimeError

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers, self.given, self.most = answers, [], 0  # type: ignore[var-annotated]

    def options(self, **wanted: Any) -> Engine:
        self.name = wanted["name"]
        return self

    def remote(self, job: str, item: str) -> str:
        self.given.append(item)
        return f"{item}#{len(self.given)}"

    def wait(self, tasks: list[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        self.most = max(self.most, len(tasks))
        return tasks[:num_returns], tasks[num_returns:]

    def get(self, task: str) -> str:
        outcome = (self.answers.get(task.partition("#")[0]) or ["finished"]).pop(0)
        if outcome == "lost":
            raise RuntimeError("the node died")
        return Result.model_validate({"outcome": outcome, "host": "far", "message": "why"}).model_dump_json()


class Told(Head):
    """A head whose items are known beforehand."""

    def __init__(self, needs: dict[str, set[str]]) -> None:
        self.items = {name: Item(name, [], set(wanted), 0) for name, wanted in needs.items()}
        self.job = Job(fleet="f", commit="c", remote="r", settings={}, owner="me", every=0.1)
        self.summary, self.began, self.said = Summary(), now(), []  # type: ignore[var-annotated]
        self.say = self.said.append

    def announce(self, engine: str) -> None:
        pass

    def refresh(self) -> None:
        pass

    def _known(self, item: Item) -> bool:
        return True

    def _collect(self, item: Item) -> bool:
        return True


PLAN = {"data": set(), "start": {"data"}, "one": {"data", "start"}, "two": {"data", "start"}, "free": {"data"}}


def test_what_is_needed_comes_first_and_once() -> None:
    engine, head = Engine({}), Told(PLAN)
    summary = Loop(engine, head, engine, 1).summary()
    assert engine.given == ["data", "start", "free", "one", "two"]
    assert set(summary.done) == set(PLAN)
    assert engine.most == 2


def test_a_failure_takes_along_what_needs_it_and_nothing_else() -> None:
    engine, head = Engine({"start": ["failed"]}), Told(PLAN)
    summary = Loop(engine, head, engine, 1).summary()
    assert summary.failed == {"start": "on far: why"}
    assert summary.skipped == {"one": "start", "two": "start"}
    assert set(summary.done) == {"data", "free"}


def test_what_another_fleet_is_at_is_asked_for_again() -> None:
    engine, head = Engine({"start": ["elsewhere", "elsewhere", "finished"]}), Told(PLAN)
    summary = Loop(engine, head, engine, 1).summary()
    assert engine.given.count("start") == 3
    assert set(summary.done) == set(PLAN)


def test_a_worker_that_is_lost_for_good_is_a_failure() -> None:
    engine, head = Engine({"one": ["lost"]}), Told(PLAN)
    summary = Loop(engine, head, engine, 1).summary()
    assert "its worker was lost" in summary.failed["one"]
    assert "the node died" in summary.failed["one"]
