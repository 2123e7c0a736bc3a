"""Progress of long work: a bar on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from harness.data.scan import Progress

SECONDS = 10.0
"""Between two lines in a log."""


@contextmanager
def console_progress(console: Console | None = None) -> Iterator[Progress]:
    """Yield a `Progress` that shows itself on standard error."""
    console = console or Console(file=sys.stderr)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bars(*columns, console=console) as bars:
            tasks = {}

            def show(label: str, done: int, total: int) -> None:
                if label not in tasks:
                    tasks[label] = bars.add_task(label, total=total)
                bars.update(tasks[label], completed=done)

            yield show
    else:
        yield _lines(console)


def _lines(console: Console) -> Progress:
    last: dict[str, float] = {}

    def show(label: str, done: int, total: int) -> None:
        now = time.monotonic()
        before = last.setdefault(label, now)
        if before < math.inf and (done >= total or now - before >= SECONDS):
            last[label] = math.inf if done >= total else now
            console.print(f"{label}: {done} of {total}", markup=False, highlight=False, soft_wrap=True)

    return show
