import io

from rich.console import Console

from harness.commands.progress import console_progress


def test_a_log_gets_a_plain_line_when_a_step_is_done():
    out = io.StringIO()
    with console_progress(Console(file=out)) as progress:
        for done in range(1, 101):
            progress("unpack [a].zip", done, 100)
    assert out.getvalue() == "unpack [a].zip: 100 of 100\n"


def test_a_log_gets_that_line_once():
    out = io.StringIO()
    with console_progress(Console(file=out)) as progress:
        for _ in range(3):
            progress("unpack a.tar (MiB)", 7, 7)
    assert out.getvalue() == "unpack a.tar (MiB): 7 of 7\n"


def test_a_terminal_gets_a_bar():
    out = io.StringIO()
    with console_progress(Console(file=out, force_terminal=True, width=80)) as progress:
        progress("verify", 50, 100)
        progress("verify", 100, 100)
    assert "100/100" in out.getvalue()
