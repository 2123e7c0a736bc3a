from pathlib import Path

import pytest

from benchmarks.faults import Row, checkpoints, fuzz, report


def test_a_gate_is_fuzzed_and_counted(tmp_path: Path) -> None:
    row = fuzz("JSON", 0.5, 0, tmp_path)
    assert row.tried == row.survived > 10
    assert row.failures == []


def test_flipped_bits_of_a_checkpoint_are_counted(tmp_path: Path) -> None:
    import random

    cases = checkpoints(random.Random(0), tmp_path)
    assert [next(cases)[0] for _ in range(20)] == [None] * 20


def test_the_report_shows_failures() -> None:
    row = Row("a fault")
    row.count(None, "a line")
    row.count("a traceback", "a line")
    text = report([row], [], 1, 0)
    assert "| a fault | 2 | 1 | a line |" in text
    assert "- a fault: a traceback" in text


@pytest.mark.parametrize("argument", ["--minutes", "--seed", "--output"])
def test_the_command_has_its_options(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.faults import main

    with pytest.raises(SystemExit):
        main(["--help"])
    assert argument in capsys.readouterr().out
