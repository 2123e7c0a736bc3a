import random
from pathlib import Path

import pytest

from benchmarks.faults import campaign, damage, fuzzing
from benchmarks.faults.cases import CASES
from benchmarks.faults.gates import GATES
from benchmarks.faults.report import report
from benchmarks.faults.row import Row, shape


def test_a_gate_is_fuzzed_in_a_process_of_its_own_and_counted() -> None:
    row = fuzzing._portion("JSON", 0, 100, 0.5)
    assert row.tried == row.survived > 10
    assert row.failures == []


def test_an_input_is_the_same_whoever_makes_it() -> None:
    seeds = GATES["CSV"][0]()
    first, second = ([fuzzing.case("CSV", number, 3, seeds) for number in range(50)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 40


@pytest.mark.parametrize(
    ("fault", "said"),
    [("while True: pass", "of processor time"), ("os.kill(os.getpid(), 11)", "ended the process (-11)")],
)
def test_an_input_that_hangs_or_crashes_is_a_failure_not_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str, said: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'benchmarks.faults.fuzzing' in sys.orig_argv:\n"
        "    import benchmarks.faults.fuzzing as fuzzing, benchmarks.faults.gates as gates\n"
        "    fuzzing.CPU_SECONDS = 0.3\n"
        "    def bad(data, folder):\n"
        f"        {fault}\n"
        "    gates.GATES['CSV'] = (lambda: [b'a'], lambda data, folder: None if data == b'a' else bad(data, folder))\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{fuzzing.ROOT}")
    row = fuzzing._portion("CSV", 0, 0, 20)
    assert row.tried - row.survived == 1
    assert said in row.failures[0]


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
