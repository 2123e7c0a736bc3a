"""Regular expressions of a spec, which a user wrote: one that would not end is stopped and named."""

from __future__ import annotations

from functools import cached_property

import regex

from harness.errors import UserError
from harness.inputs.limits import PATTERN_SECONDS


class Pattern:
    """A pattern that reads labels off names; its groups are those of `re`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._compiled = regex.compile(text)

    @cached_property
    def groups(self) -> frozenset[str]:
        """The names of its groups."""
        return frozenset(self._compiled.groupindex)

    def search(self, name: str) -> dict[str, str | None] | None:
        """Return the groups where the pattern is found in `name`, else None. Raises UserError if it does not end."""
        try:
            match = self._compiled.search(name, timeout=PATTERN_SECONDS)
        except TimeoutError:
            raise UserError(
                f"pattern {self.text!r}: takes more than {PATTERN_SECONDS:g} s for the name {name!r}; "
                "repetitions inside repetitions like (a+)+ try every split: write a+ instead"
            ) from None
        return match.groupdict() if match else None
