"""What every spec model shares: frozen, closed to unknown keys, named by a slug."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

SLUG = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")


class Frozen(BaseModel):
    """A spec model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


def check_slug(name: str) -> str:
    """Return `name` if it can stand in a run's key, in a path and in a shell command; raise ValueError if not."""
    if not SLUG.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid name: use lower-case letters, digits, '-' and '.' (like 'dkd-mpl')")
    if "-to-" in f"{name}-":
        raise ValueError(f"{name!r} must not contain '-to-' or end in '-to': it parts source and target in a run's key")
    return name


Slug = Annotated[str, AfterValidator(check_slug)]
