"""What every spec model shares: frozen, closed to unknown keys, named by a slug."""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict
from ruamel.yaml import YAML
from ruamel.yaml.error import MantissaNoDotYAML1_1Warning

SLUG = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")


class Frozen(BaseModel):
    """A spec model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


@cache
def check_slug(name: str) -> str:
    """Return `name` if it can stand in a run's key, in a path, in YAML and in a shell command.

    Raises ValueError if not.
    """
    if not SLUG.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid name: use lower-case letters, digits, '-' and '.' (like 'dkd-mpl')")
    if "-to-" in f"{name}-":
        raise ValueError(f"{name!r} must not contain '-to-' or end in '-to': it parts source and target in a run's key")
    if (kind := yaml_type(name)) != "str":
        raise ValueError(f"{name!r} is not a valid name: YAML reads it as {kind}; add a word (like 'm-{name}')")
    return name


def yaml_type(text: str) -> str:
    """Return the Python type that YAML, of version 1.1 or 1.2, makes of a plain scalar: `str` if both leave it alone.

    >>> yaml_type("mmt"), yaml_type("2024"), yaml_type("2024-11-25"), yaml_type("off")
    ('str', 'int', 'date', 'bool')
    """
    found = "str"
    for version in ((1, 2), (1, 1)):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MantissaNoDotYAML1_1Warning)
            value = yaml.load(text)
        if not isinstance(value, str):
            found = "null" if value is None else type(value).__name__
    return found


Slug = Annotated[str, AfterValidator(check_slug)]
