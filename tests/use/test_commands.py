"""embed, calibrate and search at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.use.features import read_features
from harness.use.model import load
from tests.test_cli import Command, harness

__all__ = ["harness"]


@pytest.fixture
def root(run: Path) -> Path:
    return run.parents[2]


def test_from_a_folder_to_an_answer(harness: Command, root: Path, run: Path, pictures: Path) -> None:
    code, out, _ = harness(root, "embed", run.name, str(pictures), "--output", "crops.parquet")
    count = len(list(pictures.iterdir()))
    assert (code, out.split(":")[1].split()[0]) == (0, str(count))
    assert len(read_features(root / "crops.parquet").paths) == count
    asked = ["search", run.name, str(pictures / "003.png"), "--gallery", "crops.parquet", "--top", "2"]
    code, out, _ = harness(root, *asked)
    assert code == 0
    assert out.splitlines()[1].split() == ["1", "1.000", "003.png"]
    assert "Not calibrated" in out
    code, out, _ = harness(root, "calibrate", run.name, "--dataset", "drawn-summer")
    assert code == 0
    assert "query and gallery of drawn-summer: 6 identities" in out
    assert "too few to measure an FPIR of 1 %" in out
    code, out, _ = harness(root, *asked, "--json", "--html", "<b>.html")
    (answer,) = json.loads(out)
    model = load(run)
    assert model.calibration
    assert model.threshold == model.calibration.same.threshold
    assert [hit["verdict"] for hit in answer["hits"]] == [
        model.calibration.verdict(hit["similarity"]) for hit in answer["hits"]
    ]
    page = (root / "<b>.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3
    assert "http" not in page


def test_a_calibration_of_other_weights_is_refused(harness: Command, root: Path, run: Path) -> None:
    harness(root, "calibrate", run.name, "--dataset", "drawn-summer")
    path = run / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"checkpoint": "0" * 64, "sha256": ""}))
    code, _, err = harness(root, "search", run.name, "a.png", "--gallery", "f.npy")
    assert code == 1
    assert "belongs to other weights than checkpoint.safetensors; run: harness calibrate again" in err


def test_pairs(harness: Command, root: Path, run: Path, pictures: Path) -> None:
    path = pictures.parent / "pairs.csv"
    name = pictures.name
    rows = [
        f"{name}/000.png,{name}/001.png,yes",
        f"{name}/000.png,{name}/011.png,no",
        f"{name}/002.png,{name}/009.png,0",
    ]
    path.write_text("\n".join(["a,b,same", *rows]))
    code, out, _ = harness(root, "calibrate", run.name, "--pairs", str(path))
    assert code == 0
    assert "3 pairs of pairs.csv: 2 identities, 1 searches with a match and 2 without, each in 1 picture" in out
    assert "was trained on" not in out
    wrong = {
        "a,b\n": ":1: has no column 'same'",
        "a,b,same\n": "holds no pair",
        "a,b,same\nx.png,y.png,perhaps": ":2: expected two paths and one of 1, true, yes, same, 0",
        "a,b,same\nx.png,y.png,1": "2 pictures are missing, for example",
        "a,b,same\n" + rows[0]: "shows one individual only",
    }
    for text, said in wrong.items():
        path.write_text(text)
        code, out, err = harness(root, "calibrate", run.name, "--pairs", str(path))
        assert (code, out) == (1, "")
        assert said in err


def test_pairs_that_the_run_was_trained_on_are_told(harness: Command, root: Path, run: Path, pictures: Path) -> None:
    train = sorted((root / "data" / "raw" / "drawn-summer" / "bounding_box_train").glob("*.jpg"))
    same = next(path for path in train[1:] if path.name[:4] == train[0].name[:4])
    rows = [f"{train[0]},{same},yes", f"{train[0]},{train[-1]},no", f"{pictures / '000.png'},{pictures / '011.png'},no"]
    (root / "pairs.csv").write_text("\n".join(["a,b,same", *rows]))
    code, out, err = harness(root, "calibrate", run.name, "--pairs", "pairs.csv")
    assert code == 0, err
    assert "note: the run was trained on 3 of these 5 pictures, and tells them apart better than any others" in out


MISTAKES = {
    "no run": (["embed", "x__y__s0", "."], "x__y__s0: is not trained here"),
    "no key": (["embed", "nothing", "."], "nothing: no trained run; give its folder, or its key"),
    "no such suffix": (["embed", "RUN", ".", "--output", "f.csv"], "ends in one of: .parquet .npy .h5"),
    "no gallery": (["search", "RUN", "a.png", "--gallery", "f.npy"], "a.png is missing"),
    "no top": (["search", "RUN", "a.png", "--gallery", "f.npy", "--top", "0"], "--top 0: must be at least 1"),
    "nothing to calibrate on": (["calibrate", "RUN"], "give either --pairs FILE or --dataset NAME"),
    "a dataset that is not prepared": (["calibrate", "RUN", "--dataset", "no"], "is not prepared yet"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(harness: Command, root: Path, run: Path, mistake: str) -> None:
    arguments, said = MISTAKES[mistake]
    before = sorted(root.rglob("*"))
    code, out, err = harness(root, *[run.name if argument == "RUN" else argument for argument in arguments])
    assert (code, out) == (1, "")
    assert said in err
    assert sorted(root.rglob("*")) == before
