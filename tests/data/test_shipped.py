import shutil

import pytest

from harness.errors import UserError
from harness.specs import Registry, load_dataset
from tests.data.official import PROJECT, shipped

PUBLISHED = {  # images / identities of train, query and gallery
    "market1501": (12936, 751, 3368, 750, 15913, 751),
    "dukemtmc": (16522, 702, 2228, 702, 17661, 1110),
    "msmt17": (32621, 1041, 11659, 3060, 82161, 3060),
    "msmt17-train-only": (30248, 1041, 11659, 3060, 82161, 3060),
    "veri776": (37778, 576, 1678, 200, 11579, 200),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_specs_state_the_published_counts(name):
    expect = shipped(name).expect
    counts = [(split.images, split.ids) for split in (expect.train, expect.query, expect.gallery)]
    assert tuple(number for pair in counts for number in pair) == PUBLISHED[name]


def test_withdrawal_is_stated():
    assert "25 April 2019" in shipped("dukemtmc").access.withdrawn
    assert not shipped("market1501").access.withdrawn


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "train: train\n",
            "train: ../train\n",
            r"my-dataset.yaml:10: layout.train.folder: '../train' must be a path below",
        ),
        ("(?P<id>[^/]+)/'\n", "(?P<id>[^/]+'\n", r"layout.pattern: .*is not a regular expression"),
        ("'^(?P<id>[^/]+)/'\n", "'^(?P<who>[^/]+)/'\n", r"unknown group 'who'; valid: camera, frame, id"),
        ("  named_ids: true", "  cameras: [6, 1]\n  named_ids: true", r"the first, 6, is above the last, 1"),
        ("  named_ids: true", "  named_idz: true", r"layout.named_idz: unknown key; did you mean 'named_ids'"),
    ],
)
def test_mistakes_in_a_layout_name_the_file(tmp_path, before, after, message):
    (tmp_path / "datasets").mkdir()
    path = tmp_path / "datasets" / "my-dataset.yaml"
    shutil.copy(PROJECT / "docs" / "examples" / "my-dataset.yaml", path)
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(UserError, match=message):
        load_dataset("my-dataset", tmp_path)


def test_quoted_figures_name_where_they_were_read():
    registry = Registry.load(PROJECT)
    figures = [figure for method in registry.reported for figure in method.reported]
    assert len({method.name for method in registry.reported}) == len(registry.reported) > 60
    assert all(figure.quoted_from for figure in figures)
    assert all(any(v is not None for v in (f.map, f.rank1, f.rank5, f.rank10)) for f in figures)
    assert {figure.target for figure in figures} <= registry.datasets.keys()
    assert {f.quoted_from for f in figures if not f.verified} == {"from memory; no source seen"}
