from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.pipeline.tiny import Tiny, draw, drawn_methods, read, write, write_specs


@cache
def without_jitter(base: Path) -> Tiny:
    """A tiny project without jitter, which a GPU rounds otherwise: all other numbers are the CPU's to the last bit."""
    root = base / "still"
    write_specs(root, drawn_methods())
    for path in (root / "methods").glob("*.yaml"):
        spec = read(path)
        spec["regimes"]["drawn"]["compute"]["augment"]["jitter"] = 0
        write(path, spec)
    (root / "dvc.yaml").touch()
    draw(root)
    return Tiny.at(root)


@pytest.fixture
def still(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    monkeypatch.setenv("HARNESS_DEVICE", "cpu")
    yield without_jitter(tmp_path_factory.getbasetemp())
