"""Export: each file gives the checkpoint's features at any batch size, and the checkpoint's mAP."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from harness.data import open_prepared
from harness.errors import UserError
from harness.learning.state import read_tensors, write_tensors
from harness.paths import prepared_folder
from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import Metrics
from harness.pipeline.training.evaluator import Evaluator
from harness.specs import parse_key
from harness.use.export.formats import FORMATS, Exported, export
from harness.use.export.parity import worst_cosine
from harness.use.model import load
from tests.pipeline.tiny import TARGET, Tiny
from tests.test_cli import Command, harness

__all__ = ["harness"]

ONNX = ("onnx", "boxmot", "ultralytics")
OURS = [name for name in FORMATS if name != "roboflow"]


def exported(run: Path, name: str, half: bool = False) -> Exported:
    if name in ONNX:
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
    return export(run, name, run.parent / f"{name}-{half}", half, 18)


def assert_same(found: Exported, run: Path, tiny: Tiny, half: bool = False) -> None:
    """The file's features of the target's crops are the checkpoint's at batches of 1, 2 and 17, and so is its mAP."""
    model, target = load(run), open_prepared(prepared_folder(tiny.root, TARGET))
    assert found.cosine >= (0.999 if half else 0.9999)
    query, gallery = target.split("query"), target.split("gallery")
    for size in (1, 2, 17):
        pixels = np.asarray(gallery.images[:size])
        cosine = np.einsum("nd,nd->n", found.embed(pixels), model.embedder(pixels))
        assert cosine.min() > (0.999 if half else 0.99999)
    evaluator = Evaluator(target, torch.device("cpu"))
    ours, theirs = (
        evaluator.ranked(embed(query.images), embed(gallery.images)).map for embed in (model.embedder, found.embed)
    )
    assert theirs == pytest.approx(ours, abs=0.02 if half else 1e-9)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", OURS)
def test_a_file_is_the_model(run: Path, tiny: Tiny, name: str, half: bool) -> None:
    found = exported(run, name, half)
    assert_same(found, run, tiny, half)
    assert not list(found.folder.parent.glob(".*"))


@pytest.mark.parametrize(("name", "half"), [*((name, False) for name in FORMATS), ("roboflow", True)])
def test_a_transformer_with_statistics_of_its_own_is_the_same_everywhere(
    transformer: Path, tiny: Tiny, name: str, half: bool
) -> None:
    """It resizes inside, and what each consumer feeds differs."""
    found = exported(transformer, name, half)
    assert_same(found, transformer, tiny, half)
    if name == "roboflow":
        config = json.loads((found.folder / "reid_config.json").read_text())
        assert config["architecture"] == "timm:test_vit"
        assert config["preprocessing"]["input_size"] == [160, 160]
        assert config["preprocessing"]["mean"] == [0.5, 0.4, 0.5]


def test_a_transformer_of_another_size_than_roboflow_builds_is_refused(transformer: Path) -> None:
    path = transformer / "checkpoint.safetensors"
    tensors, metadata = read_tensors(path)
    metadata["method"] = metadata["method"].replace('"size": "weights"', '"size": [32, 16]')
    tensors["backbone.net.pos_embed"] = tensors["backbone.net.pos_embed"][:, :3].clone()
    write_tensors(tensors, path, metadata)
    with pytest.raises(UserError, match=r"for images of one size only: tensor 'pos_embed' is \[1, 101, 64\] there"):
        export(transformer, "roboflow", transformer.parent / "out", False, 18)


def test_half_precision_is_half_the_size(run: Path) -> None:
    whole, half = exported(run, "safetensors"), exported(run, "safetensors", half=True)
    assert half.path.stat().st_size < 0.6 * whole.path.stat().st_size


def test_a_graph_normalizes_where_its_consumer_does_not(run: Path) -> None:
    onnx = pytest.importorskip("onnx")
    for name, where in (
        ("onnx", "inside the graph"),
        ("boxmot", "by the consumer"),
        ("ultralytics", "inside the graph"),
    ):
        found = exported(run, name)
        model = onnx.load(found.path)
        about = json.loads({entry.key: entry.value for entry in model.metadata_props}["reid-harness"])
        assert about["input"]["normalization"] == where
        assert about["run"] == run.name
        batch, _, *size = model.graph.input[0].type.tensor_type.shape.dim
        assert batch.dim_param
        assert [side.dim_value for side in size] == [32, 16]
        assert len(model.graph.output) == 1


def test_boxmot_finds_the_size_of_crops_beside_the_file(run: Path) -> None:
    found = exported(run, "boxmot")
    sidecar = json.loads(found.path.with_name(f"{found.path.name}.metadata.json").read_text())
    assert sidecar["model_kwargs"] == {"img_size": [32, 16]}
    assert (sidecar["schema_version"], sidecar["preprocess"]) == (1, "resize")


def test_the_hub_finds_the_figures(run: Path, tiny: Tiny) -> None:
    """In the card's `model-index`, and one entry per figure under `.eval_results/`; without an evaluation, neither."""
    assert not (exported(run, "safetensors").folder / ".eval_results").exists()
    evaluated = Tiny(replace(tiny.registry, root=run.parents[2]))
    metrics = evaluate(evaluated.registry, parse_key(run.name))
    assert isinstance(metrics, Metrics)
    folder = exported(run, "torchscript").folder
    header = YAML(typ="safe").load((folder / "README.md").read_text(encoding="utf-8").split("---")[1])
    (model,) = header["model-index"]
    (result,) = model["results"]
    assert (model["name"], result["dataset"]["type"]) == (run.name, TARGET)
    assert {entry["name"]: entry["value"] for entry in result["metrics"]}["mAP"] == round(metrics.map, 4)
    entries = YAML(typ="safe").load((folder / ".eval_results" / f"{TARGET}.yaml").read_text(encoding="utf-8"))
    assert entries[0]["value"] == round(metrics.map, 4)
    assert all(
        entry["dataset"]["id"] == TARGET and "protocol reid-v1, last epoch" in entry["notes"] for entry in entries
    )
    assert len({entry["dataset"]["task_id"] for entry in entries}) == len(entries) == 5


def test_the_card_states_terms_figures_and_limits(run: Path) -> None:
    text = (exported(run, "torchscript").folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: reid-harness\n")
    for word in ("drawn by this project", "drawn-generic", "GDPR", "AI Act", "lowest cosine", "has not been evaluated"):
        assert word in text
    assert str(run.parent) not in text


def test_a_file_that_is_another_model_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.use.export.formats.worst_cosine", lambda *_: 0.99)
    with pytest.raises(UserError, match=r"is not the same model.*nothing was written"):
        export(run, "torchscript", run.parent / "out", False, 18)
    assert sorted(path.name for path in run.parent.iterdir()) == [run.name]


def test_a_batch_taken_for_a_constant_is_found_out(run: Path) -> None:
    model = load(run)

    def constant(pixels: np.ndarray) -> np.ndarray:
        return model.embedder(pixels)[:2]

    with pytest.raises(UserError, match=r"gives features \(2, 192\) for 17 crops, not \(17, 192\)"):
        worst_cosine(constant, model.embedder, model.input)


MISTAKES = {
    "an unknown format": (["--format", "onx"], "--format onx: must be one of onnx, torchscript, safetensors, roboflow"),
    "an opset too old": (["--format", "onnx", "--opset", "11"], "--opset 11: must be 18 to 23"),
    "a folder that exists": (["--format", "onnx", "--output", "data"], "data: exists already; choose another --output"),
    "a network that roboflow cannot build": (["--format", "roboflow"], "Roboflow's reid builds timm's networks only"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(harness: Command, run: Path, mistake: str) -> None:
    arguments, said = MISTAKES[mistake]
    root = run.parents[2]
    code, out, err = harness(root, "export", run.name, *arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert not [path for path in root.rglob("*") if "export" in path.name and path.is_file()]


def test_a_run_without_a_network(tiny: Tiny, tmp_path: Path) -> None:
    folder = tiny.trained(tiny.pairing("colour-histogram"))
    with pytest.raises(UserError, match="its features are no network's, so there is nothing to export"):
        export(folder, "torchscript", tmp_path / "out", False, 18)


def test_the_command_measures(harness: Command, run: Path) -> None:
    code, out, _ = harness(run.parents[2], "export", run.name, "--format", "torchscript", "--measure")
    assert code == 0
    path = f"build/exports/{run.name}-torchscript"
    assert out.startswith(f"{path}/{run.name}.torchscript: lowest cosine to the checkpoint 1.0000")
    assert f"on {TARGET}: mAP " in out
