import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.faults import campaign, cases, damage, fuzzing, injecting
from benchmarks.faults.cases import CASES
from benchmarks.faults.gates import GATES
from benchmarks.faults.report import report
from benchmarks.faults.row import Row, shape


def test_a_gate_is_fuzzed_in_a_process_of_its_own_and_counted() -> None:
    row = fuzzing.Portion("JSON", 0, 100, 0.3).row()
    assert row.tried == row.survived > 10
    assert row.failures == []


def test_gates_have_their_turns_and_no_input_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    class Noted(fuzzing.Portion):
        def __init__(self, gate: str, seed: int, first: int, seconds: float) -> None:
            begun.append((gate, first))
            super().__init__(gate, seed, first, seconds)

    monkeypatch.setattr(fuzzing, "Portion", Noted)
    monkeypatch.setattr(fuzzing, "PORTION_SECONDS", 0.1)
    rows: list[Row] = []
    fuzzing.campaign(["JSON", "text"], 0, 0.6, 2, rows.append)
    assert {row.what for row in rows} == {"JSON", "text"}
    for gate in ("JSON", "text"):
        firsts = [first for name, first in begun if name == gate]
        tried = [row.tried for row in rows if row.what == gate]
        assert firsts == [sum(tried[:number]) for number in range(len(tried))]


def test_an_input_is_the_same_whoever_makes_it() -> None:
    seeds = GATES["CSV"][0]()
    first, second = ([fuzzing.case("CSV", number, 3, seeds) for number in range(50)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 40


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda: any(iter(int, 1)), "of processor time"),
        (lambda: time.sleep(60), "hangs"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended the process (-9)"),
        (lambda: b"a" * (50 * 2**20), "MiB"),
        (lambda: [][0], "IndexError"),
    ],
)
def test_an_input_that_hangs_crashes_or_swells_is_a_failure_not_the_end(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[], object], said: str
) -> None:
    gate = (lambda: [b"a"], lambda data, _: None if data == b"a" else fault())
    monkeypatch.setitem(GATES, "CSV", gate)
    monkeypatch.setattr(fuzzing, "CPU_SECONDS", 0.3)
    monkeypatch.setattr(fuzzing, "WALL_SECONDS", 3.0)
    monkeypatch.setattr(fuzzing, "MEMORY_MIB", 20)
    row = fuzzing.Portion("CSV", 0, 0, 0.2).row()
    assert row.tried > row.survived
    assert said in row.failures[0]


@pytest.fixture
def own_signals() -> Iterator[None]:
    """What a campaign does with signals ends with the test, and what a command did in another test is undone."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("own_signals")
def test_an_interrupted_campaign_reports_what_it_counted_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    monkeypatch.setattr(campaign, "COUNTED", tmp_path / "counts.json")
    monkeypatch.setattr(fuzzing, "PORTION_SECONDS", 0.1)
    written = campaign.Counts.add

    def add(counts: campaign.Counts, row: Row) -> None:
        written(counts, row)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(campaign.Counts, "add", add)
    command = ["--only", "fuzz JSON", "--minutes", "5", "--output", str(tmp_path / "reliability.md")]
    tried = []
    for more in ([], ["--add"]):
        with pytest.raises(SystemExit) as ended:
            campaign.main([*command, *more])
        assert ended.value.code == 130
        assert "interrupted: --add goes on" in capsys.readouterr().out
        counts = campaign.Counts.read(tmp_path / "counts.json")
        tried.append(counts.rows["JSON"].tried)
        assert f"| JSON | {tried[-1]:,} | {tried[-1]:,} |" in (tmp_path / "reliability.md").read_text()
    assert 0 < tried[0] < tried[1]
    assert [f"--seed {seed}" in call for seed, call in enumerate(counts.calls)] == [True, True]


def test_an_interrupted_kind_counts_what_it_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def kind(_source: random.Random, _folder: Path) -> Iterator[tuple[str | None, str]]:
        yield None, "a line"
        raise KeyboardInterrupt

    monkeypatch.setitem(CASES, "a fault", kind)
    monkeypatch.setattr(cases, "preload", lambda: None)
    row = cases.run("a fault", 0, 60, tmp_path)
    assert (row.tried, row.survived) == (1, 1)


def test_a_kind_runs_in_a_process_of_its_own_and_is_counted(tmp_path: Path) -> None:
    kind = injecting.Kind("published.json altered, then ingestion", 0, 0.1, tmp_path)
    row = kind.row()
    assert row.tried == row.survived > 0
    assert row.seen
    assert not kind.place.exists()


def test_a_damaged_file_of_a_run_is_named(tmp_path: Path) -> None:
    cases = damage.results(random.Random(0), tmp_path)
    assert [next(cases)[0] for _ in range(12)] == [None] * 12


def test_the_report_shows_failures() -> None:
    row = Row("a fault")
    row.count(None, "a line")
    row.count("a traceback", "a line")
    text = report([row], [], ["--minutes 1"])
    assert "| a fault | 2 | 1 | a line |" in text
    assert "- a fault: a traceback" in text


def test_counts_of_several_calls_add_up(tmp_path: Path) -> None:
    for _ in range(2):
        counts = campaign.Counts.read(tmp_path / "counts.json")
        row = Row("a fault")
        row.count(None, "a line")
        counts.add(row)
    found = campaign.Counts.read(tmp_path / "counts.json").rows["a fault"]
    assert (found.tried, found.survived, found.seen["a line"]) == (2, 2, 2)


def test_messages_are_counted_by_their_shape() -> None:
    assert shape("/tmp/abc/x/board.db: 0123456789abcdef is gone\nmore") == "…/board.db: … is gone"


def test_every_kind_of_fault_says_what_it_is() -> None:
    assert all(cases.__doc__ and what for what, cases in CASES.items())


@pytest.mark.parametrize("argument", ["--minutes", "--seed", "--only", "--add", "--output"])
def test_the_command_has_its_options(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        campaign.main(["--help"])
    assert argument in capsys.readouterr().out
