"""Search: the nearest pictures, exactly or by an index, of one model only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.use.features import Features, write_features
from harness.use.gallery import Gallery, embed_folder, open_gallery
from harness.use.model import Model


def features(count: int) -> Features:
    matrix = np.random.default_rng(0).normal(size=(count, 16)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return Features(matrix, tuple(map(str, range(count))), ".", "run", "hash")


def test_an_exact_search_finds_what_sorting_finds() -> None:
    gallery = Gallery(features(300))
    queries = features(20).matrix
    hits = gallery.search(queries, 7)
    similarity = queries @ gallery.features.matrix.T
    assert np.array_equal(hits.positions, np.argsort(-similarity, axis=1)[:, :7])
    assert np.allclose(hits.similarities, -np.sort(-similarity, axis=1)[:, :7], atol=1e-6)
    assert gallery.how == "exact"
    assert gallery.search(queries, 999).positions.shape == (20, 300)


def test_above_a_size_an_index_finds_nearly_all_of_it() -> None:
    gallery = Gallery(features(3000), index_above=2999)
    hits = gallery.search(features(50).matrix, 5)
    assert gallery.how.startswith("an index that reads 32 of 216 lists")
    assert np.array_equal(hits.positions[:, 0], np.arange(50))
    exact = Gallery(features(3000)).search(features(50).matrix, 5)
    assert np.mean(hits.positions[:, :, None] == exact.positions[:, None, :]) * 5 > 0.5


def test_features_of_another_model_are_refused(model: Model, pictures: Path, tmp_path: Path) -> None:
    found = embed_folder(model, pictures)
    write_features(found, tmp_path / "own.parquet")
    assert open_gallery(model, tmp_path / "own.parquet").search(found.matrix[:1], 1).positions[0, 0] == 0
    write_features(replace(found, checkpoint="f" * 64), tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"weights ffffffffffff.*features of two models do not compare"):
        open_gallery(model, tmp_path / "other.parquet")


def test_a_gallery_that_is_not_there(model: Model, tmp_path: Path) -> None:
    for name in ("nowhere", "nowhere.parquet"):
        with pytest.raises(UserError, match=rf"{name}: no such folder of images, and no such file of features"):
            open_gallery(model, tmp_path / name)


def test_a_folder_without_an_image_says_what_it_holds(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / "a.heic").touch()
    with pytest.raises(UserError, match=r"holds no image; it holds 1 × \.heic\. An image ends in one of: \.jpg"):
        embed_folder(model, folder)
    with pytest.raises(UserError, match="no such folder"):
        embed_folder(model, tmp_path / "nowhere")


def test_every_broken_picture_is_named(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"")
    (folder / "b.jpg").write_bytes(b"text")
    with pytest.raises(UserError, match=r"a\.jpg is empty \(0 bytes\); .*b\.jpg is not an image\. Mend or remove them"):
        embed_folder(model, folder)
