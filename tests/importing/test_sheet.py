import numpy as np
import pytest

from harness.data import read_dataset
from harness.importing.sheet import SplitStatistics, sample_sheet, split_statistics
from tests.data.official import market, shipped


@pytest.fixture
def root(tmp_path):
    return market(tmp_path)


def test_statistics(root):
    spec = shipped("market1501")
    train, query, gallery = split_statistics(spec, read_dataset(spec, root))
    assert train == SplitStatistics("train", 3, 2, 3, (1, 1.5, 2), (1, 1.5, 2), 0, 0)
    assert query == SplitStatistics("query", 2, 2, 2, (1, 1, 1), (1, 1, 1), 0, 0)
    assert gallery == SplitStatistics("gallery", 4, 3, 2, (1, 1.5, 2), (1, 1.5, 2), 1, 2)


def test_the_sheet_has_identities_as_rows_and_cameras_as_columns(root):
    spec = shipped("market1501")
    sheet = np.asarray(sample_sheet(spec, read_dataset(spec, root), root))
    assert sheet.shape == (16 + 2 * (128 + 4), 48 + 3 * (64 + 4), 3)
    filled = [
        [bool((sheet[16 + row * 132 :][:128, 48 + column * 68 :][:, :64] != 255).any()) for column in range(3)]
        for row in range(2)
    ]
    assert filled == [[True, True, False], [False, False, True]]  # 0002: cameras 1 and 2, 0007: camera 3


def test_without_camera_labels_columns_are_further_images(root):
    spec = shipped("market1501")
    layout = spec.layout.model_copy(update={"pattern": r"^(?P<id>-?\d+)_", "cameras": None})
    spec = spec.model_copy(update={"layout": layout})
    sheet = sample_sheet(spec, read_dataset(spec, root), root)
    assert sheet.width == 48 + 2 * (64 + 4)


def test_a_broken_image_is_shown_as_such(root):
    spec = shipped("market1501")
    (root / "bounding_box_train" / "0002_c1s1_000451_03.jpg").write_bytes(b"")
    sheet = np.asarray(sample_sheet(spec, read_dataset(spec, root), root))
    assert tuple(sheet[16 + 100, 48 + 10]) == (211, 211, 211)
