"""A process's name outlives the process, and belongs to no other."""

from __future__ import annotations

import subprocess
import sys
import time

from harness.pipeline.processes import alive, this_process

TELL = "from harness.pipeline.processes import this_process; print(this_process(), flush=True); input()"


def test_alive_until_it_ends_reaped_or_not() -> None:
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        name = it.stdout.readline().strip()
        assert alive(name)
        assert alive(this_process())
        assert name != this_process()
        it.kill()
        for _ in range(500):  # nobody asks for its exit code meanwhile
            if not alive(name):
                break
            time.sleep(0.01)
        assert not alive(name)
    assert not alive(name)


def test_a_number_that_was_given_out_again_is_another_process() -> None:
    number, start, *boot = this_process().split(":")
    assert not alive(":".join([number, f"{start}1", *boot]))
    assert not alive(":".join([number, start, *boot[:-1], "another boot"]))
    for strange in ("", number, "x:y:z", "-1:1:1", "²:1:1", "9" * 5000):
        assert not alive(strange)
