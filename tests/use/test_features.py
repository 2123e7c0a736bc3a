"""Files of features: what is written is read again, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.use.features import KINDS, Features, read_features, write_features


def features(count: int = 3, size: int = 4, name: str = "ä/b c.png") -> Features:
    matrix = np.random.default_rng(0).normal(size=(count, size)).astype(np.float32)
    return Features(matrix, tuple(f"{number} {name}" for number in range(count)), "crops", "a__b__s0", "0" * 64)


@pytest.mark.parametrize("suffix", KINDS)
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    path = tmp_path / f"out{suffix}"
    write_features(features(), path)
    found = read_features(path)
    assert np.array_equal(found.matrix, features().matrix)
    assert (found.paths, found.about) == (features().paths, features().about)
    assert {file.suffix for file in tmp_path.iterdir()} == {suffix, *([".json"] if suffix == ".npy" else [])}


def test_hdf5_has_the_form_that_chirla_reads(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    write_features(features(), tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["embeddings"].dtype == np.float32
        assert file["embeddings"].shape == (3, 4)
        assert file["ids"].dtype == np.int32
        assert (file["ids"][:] < 0).all()
        assert file["paths"].asstr()[0] == "0 ä/b c.png"


@given(data=st.binary(max_size=200))
@pytest.mark.parametrize("suffix", KINDS)
def test_anything_else_is_refused(tmp_path_factory: pytest.TempPathFactory, suffix: str, data: bytes) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    path = tmp_path_factory.mktemp("any") / f"out{suffix}"
    path.write_bytes(data)
    with pytest.raises(UserError, match="holds no features that `harness embed` wrote"):
        read_features(path)


def test_a_matrix_without_its_model_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", np.zeros((2, 2), np.float32))
    with pytest.raises(UserError, match=r"bare\.json: no such file"):
        read_features(tmp_path / "bare.npy")
    pq.write_table(pa.table({"path": ["a"], "feature": [[1.0]]}), tmp_path / "bare.parquet")
    with pytest.raises(UserError, match="holds no features"):
        read_features(tmp_path / "bare.parquet")


def test_another_suffix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends in one of: \.parquet \.npy \.h5"):
        write_features(features(), tmp_path / "out.csv")
