"""Text that fits its terminal."""

import io

from hypothesis import given
from hypothesis import strategies as st

from harness.commands.screen import table, width, wrapped
from harness.commands.show_run import sparkline

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=9), max_size=40).map(" ".join)


@given(WORDS, st.integers(20, 60))
def test_lines_break_between_words(text: str, limit: int) -> None:
    found = wrapped(text, limit)
    assert found.split() == text.split()
    assert all(len(line) <= limit for line in found.splitlines())


def test_indented_lines_stay_indented() -> None:
    assert wrapped("  one two three four", 12).splitlines() == ["  one two", "    three", "    four"]
    assert wrapped("x" * 30, None) == "x" * 30


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_a_table_fits_and_loses_no_word(rows: list[tuple[str, str]]) -> None:
    found = table(["first", "second"], rows, 40)
    assert all(len(line) <= 40 for line in found.splitlines())
    assert sorted(found.split()[4:]) == sorted(" ".join(" ".join(row) for row in rows).split())


def test_remarks_are_broken_before_keys() -> None:
    lines = table(
        ["key", "reason"], [["a-key-of-thirty-characters-here", "why it did not run at all"]], 50
    ).splitlines()
    assert lines[2].startswith("a-key-of-thirty-characters-here  ")
    assert len(lines) == 4


def test_a_file_is_no_terminal() -> None:
    assert width(io.StringIO()) is None


def test_a_sparkline_spans_its_values() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert len(sparkline([float(i) for i in range(1000)])) <= 40
