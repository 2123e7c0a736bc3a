"""Exported files in the programs that they are for, where those are installed: pip install boxmot ultralytics reid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data import open_prepared
from harness.paths import prepared_folder
from harness.use.export.formats import export
from harness.use.model import load
from tests.pipeline.tiny import TARGET, Tiny

CROPS = 5


@pytest.fixture
def crops(tiny: Tiny) -> np.ndarray:
    """Crops of the network's own size, so that no consumer's resizing changes them: RGB [N, H, W, 3]."""
    return np.array(open_prepared(prepared_folder(tiny.root, TARGET)).split("gallery").images[:CROPS])


def worst(found: np.ndarray, run: Path, crops: np.ndarray) -> float:
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    return float(np.einsum("nd,nd->n", found, load(run).embed(list(crops))).min())


def test_boxmot(run: Path, crops: np.ndarray) -> None:
    backend = pytest.importorskip("boxmot.reid.backends.onnx_backend", exc_type=ImportError)
    path = export(run, "boxmot", run.parent / "boxmot", False, 18).path
    height, width = crops.shape[1:3]
    frame = np.concatenate(list(crops[..., ::-1]), axis=1)  # BGR, one crop beside the other
    boxes = np.array([[n * width, 0, (n + 1) * width, height] for n in range(CROPS)])
    features = backend.ONNXBackend(path, torch.device("cpu"), False).get_features(boxes, frame)
    assert worst(features, run, crops) > 0.9999


def test_roboflow(transformer: Path, crops: np.ndarray) -> None:
    reid = pytest.importorskip("reid", exc_type=ImportError)
    folder = export(transformer, "roboflow", transformer.parent / "roboflow", False, 18).folder
    files = [transformer.parent / f"{number}.png" for number in range(CROPS)]
    for path, pixels in zip(files, crops, strict=True):
        Image.fromarray(pixels).save(path)
    features = reid.ReIDModel.from_pretrained(str(folder), device="cpu").extract_embeddings_from_paths(files)
    assert worst(features, transformer, crops) > 0.9999


def test_ultralytics(run: Path, crops: np.ndarray) -> None:
    reid = pytest.importorskip("ultralytics.trackers.utils.reid", exc_type=ImportError)
    encoder = reid.ReID(str(export(run, "ultralytics", run.parent / "ultralytics", False, 18).path), device="cpu")
    batch = encoder._crops_to_tensor(list(crops[..., ::-1]))
    assert worst(encoder.model(batch).numpy(), run, crops) > 0.9999
