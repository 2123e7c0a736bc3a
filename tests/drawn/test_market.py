"""A drawn dataset of persons is a Market-1501 folder."""

import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from harness.drawn.dataset import draw_dataset, draw_images
from harness.drawn.schedule import schedule
from harness.drawn.spec import DrawnSpec
from harness.errors import UserError
from tests.drawn.conftest import make_spec

NAME = re.compile(r"(-1|\d{4})_c([1-6])s\d_\d{6}_\d{2}\.jpg")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_layout_names_and_counts(person_spec: DrawnSpec, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    draw_dataset(person_spec, tmp_path / "winter", lambda done, total: calls.append((done, total)))
    assert [path.name for path in tmp_path.iterdir()] == ["winter"]
    folders = {path.name: sorted(path.iterdir()) for path in (tmp_path / "winter").iterdir()}
    assert set(folders) == {"bounding_box_train", "query", "bounding_box_test"}
    shots = schedule(person_spec)
    assert calls == [(k + 1, len(shots)) for k in range(len(shots))]

    for folder, split in {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}.items():
        found: Counter[tuple[int, int]] = Counter()
        for path in folders[folder]:
            match = NAME.fullmatch(path.name)
            assert match is not None, path.name
            found[int(match[1]), int(match[2])] += 1
            with Image.open(path) as image:
                assert image.format == "JPEG"
                assert image.mode == "RGB"
                assert image.size == (32, 64)
        assert found == Counter((shot.identity, shot.camera) for shot in shots if shot.split == split)


def test_the_same_spec_gives_the_same_bytes(person_spec: DrawnSpec, tmp_path: Path) -> None:
    draw_dataset(person_spec, tmp_path / "a")
    draw_dataset(person_spec, tmp_path / "b")
    draw_dataset(make_spec(seed=8), tmp_path / "c")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_in_memory_is_the_same_dataset(person_spec: DrawnSpec) -> None:
    drawn = draw_images(person_spec)
    shots = schedule(person_spec)
    assert drawn.images.shape == (len(shots), 64, 32, 3)
    assert drawn.identities.tolist() == [shot.identity for shot in shots]
    assert drawn.cameras.tolist() == [shot.camera for shot in shots]
    assert drawn.splits.tolist() == [shot.split for shot in shots]


def test_an_existing_folder_is_left_alone(person_spec: DrawnSpec, tmp_path: Path) -> None:
    (tmp_path / "winter").mkdir()
    with pytest.raises(UserError, match="exists already"):
        draw_dataset(person_spec, tmp_path / "winter")
    assert files(tmp_path) == {}


def test_a_full_disk_leaves_nothing(person_spec: DrawnSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save
    written = 0

    def full(self: Image.Image, path: Path, kind: str, quality: int) -> None:
        nonlocal written
        written += 1
        if written > 10:
            raise OSError(28, "No space left on device")
        save(self, path, kind, quality=quality)

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match="No space left on device"):
        draw_dataset(person_spec, tmp_path / "winter")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(person_spec: DrawnSpec, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_dataset(person_spec, tmp_path / "winter", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(person_spec: DrawnSpec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write beside"):
        draw_dataset(person_spec, tmp_path / "file" / "winter")


def test_what_a_killed_call_left_is_replaced(tmp_path: Path, person_spec: DrawnSpec) -> None:
    killed = """
import os, signal, sys
from pathlib import Path
from harness.drawn.dataset import draw_dataset
from harness.drawn.spec import DrawnSpec
spec = DrawnSpec.model_validate_json(sys.argv[1])
draw_dataset(spec, Path(sys.argv[2]), lambda done, total: done == 3 and os.kill(os.getpid(), signal.SIGKILL))
"""
    command = [sys.executable, "-c", killed, person_spec.model_dump_json(), str(tmp_path / "winter")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    draw_dataset(person_spec, tmp_path / "winter")
    assert [path.name for path in tmp_path.iterdir()] == ["winter"]
