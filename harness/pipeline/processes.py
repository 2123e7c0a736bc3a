"""Processes by a name that no other one ever has: a process number alone is given out again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
STATE, STARTED = 0, 19
"""Fields of /proc/<pid>/stat, counted after the name in brackets."""


def this_process() -> str:
    """Return this process's name: the machine's boot, the number, and when it was started."""
    return _name(os.getpid()) or str(os.getpid())


def alive(name: str) -> bool:
    """Whether the process of that name still runs on this machine."""
    number = name.split(":")[0]
    return number.isascii() and number.isdigit() and len(number) < 20 and _name(int(number)) == name


def die_with_parent() -> None:
    """Have this process told to stop (SIGTERM) when its parent dies. For `preexec_fn`; on Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _name(number: int) -> str | None:
    """Return the name of the process that has a number now; None if there is none, or it only waits to be reaped."""
    if BOOT.exists():
        try:
            fields = (
                Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            )
        except OSError:
            return None
        started, gone = fields[STARTED], fields[STATE] in "ZX"
        return None if gone else f"{number}:{started}:{BOOT.read_text(encoding='ascii').strip()}"
    command = ["ps", "-o", "lstart=", "-p", str(number)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f"{number}:{said.replace(':', '.')}" if said else None
