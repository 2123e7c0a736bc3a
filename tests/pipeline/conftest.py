from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.pipeline.tiny import Tiny, draw, drawn_methods, write_specs


@cache
def template(base: Path) -> Tiny:
    """The session's one tiny project with every shipped method; runs that others start from are trained once in it."""
    root = base / "tiny"
    write_specs(root, drawn_methods())
    (root / "dvc.yaml").touch()  # what makes a folder with methods/ a project
    draw(root)
    return Tiny.at(root)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_DEVICE", "cpu")
        yield template(tmp_path_factory.getbasetemp())
