"""The `harness` command's first moment: signals are handled before anything slow is imported."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import TextIO

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SPACE_OR_PERMISSION = frozenset({"ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "ENOTDIR", "EISDIR", "ENAMETOOLONG"})


def main() -> None:
    """Run the command line. A mistake is one line and exit code 1, an interruption one line and 130."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup has it ignored, and that is to stay
            signal.signal(number, _interrupt)
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    try:
        from harness.cli import run

        run()
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except SystemExit as done:  # the command-line library makes it of an interruption
        if done.code != INTERRUPTED:
            raise
        _leave(INTERRUPTED)
    except OSError as error:
        import errno

        if errno.errorcode.get(error.errno or 0) not in SPACE_OR_PERMISSION:
            raise
        sys.stderr.write(f"error: {error.filename or 'the output'}: {error.strerror}; free some space or mend it\n")
        _leave(1)


def _nowhere() -> TextIO:
    """Return what stands in for an output that was closed before we began, as `>&-` and some daemons do."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - pathlib takes its time to import


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in SIGNALS:  # a second one would only break off the cleaning up
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _leave(code: int) -> None:
    if code == INTERRUPTED:
        sys.stderr.write("interrupted; run the same command again to continue\n")
    sys.stderr.flush()
    try:
        sys.stdout.flush()
    finally:
        os._exit(code)  # nothing that is left to do at exit is worth a traceback of what was half done
