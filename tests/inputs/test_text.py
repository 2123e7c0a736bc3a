import json

from hypothesis import given
from hypothesis import strategies as st

from harness.inputs.text import HARMFUL, printable


@given(st.text())
def test_nothing_harmful_is_left_and_the_rest_is_as_it_was(text: str) -> None:
    shown = printable(text)
    assert not HARMFUL.search(shown)
    if not HARMFUL.search(text):
        assert shown == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_stays_json(text: str) -> None:
    assert json.loads(printable(json.dumps([text], ensure_ascii=False))) == [text]


def test_a_terminals_command_and_a_turned_line_are_written_out() -> None:
    assert printable("a\x1b[2Jb\u202ec\x9bd\r\ne\tf\rg") == "a\\u001b[2Jb\\u202ec\\u009bd\r\ne\tf\\u000dg"
