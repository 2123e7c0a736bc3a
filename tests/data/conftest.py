import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

CAPABILITIES_VERSION = 0x20080522  # linux/capability.h
READ_ANYTHING = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


@contextmanager
def obeying_permissions() -> Iterator[None]:
    """Give up root's right to read everything, for as long as the block runs."""
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: low words, then high words
    kernel = ctypes.CDLL(None)
    assert kernel.capget(header, sets) == 0
    effective = sets[0]
    sets[0] = effective & ~READ_ANYTHING
    assert kernel.capset(header, sets) == 0
    yield
    sets[0] = effective
    assert kernel.capset(header, sets) == 0


@pytest.fixture
def unreadable():
    """A function that makes a folder unreadable until the test ends, for root too."""
    with ExitStack() as stack:
        if os.geteuid() == 0:
            stack.enter_context(obeying_permissions())

        def lock(folder: Path) -> None:
            stack.callback(folder.chmod, folder.stat().st_mode)
            folder.chmod(0)

        yield lock
