"""Every error that a user can mend. The command line prints its message and exits with code 1.

UserError
├── NotFiniteError   a loss became NaN or infinite
├── CollapseError    clustering gave nothing to learn from
├── OutOfMemoryError a GPU is too small for the run
└── DiskError        a file could not be written
"""

from __future__ import annotations

from typing import ClassVar


class UserError(Exception):
    """What the user can mend: the message says what is wrong, where, and what to do. `reason`: its exit class."""

    reason: ClassVar[str] = "bad-input"


class NotFiniteError(UserError):
    """A loss became NaN or infinite."""

    reason = "nan"


class CollapseError(UserError):
    """Clustering gave nothing to learn from."""

    reason = "no-clusters"


class OutOfMemoryError(UserError):
    """A GPU is too small for the run, or others use it too."""

    reason = "out-of-memory"


class DiskError(UserError):
    """A file could not be written: the disk is full, or may not be written to."""

    reason = "disk"
