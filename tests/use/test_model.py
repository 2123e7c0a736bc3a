"""`harness.load`: a run as a function from pictures to features."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import harness
from harness.data import open_prepared
from harness.errors import UserError
from harness.paths import prepared_folder
from harness.use.model import CALIBRATION, Model, load
from tests.pipeline.tiny import TARGET, Tiny


def test_pictures_of_the_gallery_give_the_features_that_were_evaluated(
    model: Model, pictures: Path, tiny: Tiny
) -> None:
    gallery = open_prepared(prepared_folder(tiny.root, TARGET)).split("gallery")
    features = model.embed(sorted(pictures.iterdir()))
    assert np.array_equal(features, model.embedder(gallery.images))
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)


def test_every_form_of_a_picture_is_the_same_picture(model: Model, pictures: Path) -> None:
    path = pictures / "000.png"
    image = Image.open(path)
    array = np.asarray(image)
    forms = [path, str(path), image, array, [path], array[None], [path, image]]
    features = [model.embed(form) for form in forms]
    assert all(np.allclose(found, features[0][0], atol=1e-6) for found in features)
    assert [len(found) for found in features] == [1, 1, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1", "I;16"])
@pytest.mark.parametrize("size", [(20, 20), (8000, 40), (31, 400)])
def test_every_kind_and_size_of_file_is_embedded(
    model: Model, tmp_path: Path, mode: str, size: tuple[int, int]
) -> None:
    path = tmp_path / f"odd.{'tif' if mode == 'CMYK' else 'png'}"
    Image.effect_noise(size, 80).convert("L" if mode == "I;16" else mode).save(path)
    if mode == "L":
        path = path.with_suffix(".pgm")
        Image.effect_noise(size, 80).save(path)
    assert np.isfinite(model.embed(path)).all()


def test_the_record_states_the_input_and_an_older_one_takes_it_from_the_dataset(run: Path) -> None:
    stated = load(run)
    assert (stated.input.height, stated.input.width) == (32, 16)
    assert stated.record.input == stated.input
    record = json.loads((run / "record.json").read_text())
    del record["input"], record["sha256"]
    (run / "record.json").write_text(json.dumps(record))
    assert load(run).input == stated.input
    away = shutil.copytree(run, run.parents[3] / "a" / "b" / "c")
    with pytest.raises(UserError, match="does not state the size of the images"):
        load(away)


def test_the_package_loads_it(run: Path) -> None:
    assert harness.load(run).record.key == run.name


def test_a_threshold_of_a_run_that_is_not_calibrated(model: Model) -> None:
    with pytest.raises(UserError, match="is not calibrated, so no similarity means 'same'; run: harness calibrate"):
        _ = model.threshold


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("nowhere.png", "nowhere.png is missing"),
        (np.zeros((4, 4, 3), np.float32), r"picture 0 is none: ndarray float32 \(4, 4, 3\); a picture is a path"),
        (np.zeros((4, 4, 2), np.uint8), r"picture 0 is none: ndarray uint8 \(4, 4, 2\)"),
        (3, r"picture 0 is none: int"),
    ],
)
def test_what_is_no_picture(model: Model, picture: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        model.embed([picture])
    with pytest.raises(UserError, match="there is no picture to embed"):
        model.embed([])


def test_broken_runs(run: Path) -> None:
    (run / CALIBRATION).write_text("{}")
    with pytest.raises(UserError, match="not a readable calibration"):
        _ = load(run).calibration
    record = (run / "record.json").read_text()
    (run / "record.json").write_text(record[:100])
    with pytest.raises(UserError, match="not a readable record"):
        load(run)
    other = json.loads(record) | {"sha256": ""}
    (run / "record.json").write_text(json.dumps(other | {"key": other["key"].replace("cluster", "another")}))
    with pytest.raises(UserError, match="belongs to run 'cluster-contrast__drawn-summer__s0', the record beside it to"):
        load(run)
    (run / "record.json").write_text(record)
    (run / "checkpoint.safetensors").write_bytes(b"half of it")
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load(run)
    with pytest.raises(UserError, match="holds no trained run"):
        load(run.parent)
