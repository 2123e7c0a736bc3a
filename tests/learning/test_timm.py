"""timm's networks as backbones: what they compute, where their weights come from, what their families lack."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from email.message import Message
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from harness.commands.weights import list_weights
from harness.errors import UserError
from harness.inputs import download as downloads
from harness.learning.augment import ERASED, Transforms, augmented, augmented_on_device, send, unchanged
from harness.learning.networks import build
from harness.learning.normalization import Normalization
from harness.learning.pretrained import file_tensors, published_tensors
from harness.specs import Registry
from harness.specs.compute import Network
from tests.learning.parts import CPU
from tests.pipeline.tiny import PROJECT

NAME = "test_vit.r160_in1k"
FILE = f"{NAME}.safetensors"


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def network(
    name: str = NAME,
    size: Any = (64, 32),
    pooling: str = "token",
    last_stride: int = 2,
    drop_path: float = 0,
    groups: int = 1,
) -> Network:
    backbone = {"kind": "timm", "name": name, "size": size, "last_stride": last_stride, "drop_path": drop_path}
    return Network.model_validate({"backbone": backbone, "pooling": {"kind": pooling}, "bn_groups": groups})


def published(name: str = NAME) -> dict[str, torch.Tensor]:
    """A network's tensors as timm publishes them: with its classifier, for images of its own size."""
    torch.manual_seed(0)
    return dict(timm.create_model(name, num_classes=7).state_dict())


def test_it_computes_what_timm_does_with_positions_on_a_rectangle(tmp_path: Path) -> None:
    path = tmp_path / "data" / "weights" / FILE
    path.parent.mkdir(parents=True)
    save_file(published(), path)
    tensors, file = published_tensors(network(), tmp_path, "pretrained")
    assert file == (FILE, hashlib.sha256(path.read_bytes()).hexdigest())
    ours = build(network(), 0, CPU, tensors).eval()
    theirs: Any = timm.create_model(
        NAME, num_classes=0, img_size=(64, 32), pretrained=True, pretrained_cfg_overlay={"file": str(path)}
    ).eval()
    assert theirs.pos_embed.shape[1] == 1 + 4 * 2 != published()["pos_embed"].shape[1]
    images = torch.randn(3, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images).pooled, theirs(images))
        mapped = build(network(pooling="average"), 0, CPU, tensors).eval()
        torch.testing.assert_close(mapped(images).pooled, theirs.forward_features(images)[:, 1:].mean(1))


def test_without_a_size_of_its_own_it_takes_that_of_its_weights_and_resizes(tmp_path: Path) -> None:
    net = build(network(size="weights"), 0, CPU).eval()
    images = torch.randn(2, 3, 40, 20)
    with torch.no_grad():
        larger = torch.nn.functional.interpolate(images, (160, 160), mode="bilinear")
        torch.testing.assert_close(net(images).pooled, net(larger).pooled)


@pytest.mark.parametrize("prefix", ["backbone.", "module.backbone."])
def test_a_checkpoint_of_dino_gives_its_teacher(tmp_path: Path, prefix: str) -> None:
    """As LUPerson's transformers are published: both networks, their projection heads, and the settings."""
    positions = torch.randn(1, 1 + 10 * 5, 64)
    own = published() | {"pos_embed": positions}
    teacher = {f"{prefix}{name}": value for name, value in own.items() if not name.startswith("head.")}
    teacher |= {f"{prefix.replace('backbone', 'head')}mlp.0.weight": torch.zeros(3)}
    student = {name: torch.zeros_like(value) for name, value in teacher.items()}
    content = {"student": student, "teacher": teacher, "epoch": 100, "args": argparse.Namespace(arch="vit_small")}
    torch.save(content, tmp_path / "lup.pth")
    digest = hashlib.sha256((tmp_path / "lup.pth").read_bytes()).hexdigest()
    state, _ = file_tensors(network(size=(160, 80)), tmp_path, "lup.pth", digest)
    assert state["backbone.net.pos_embed"].equal(positions)
    assert state["backbone.net.blocks.0.attn.qkv.weight"].equal(own["blocks.0.attn.qkv.weight"])
    resized, _ = file_tensors(network(), tmp_path, "lup.pth", digest)
    assert resized["backbone.net.pos_embed"].shape == (1, 1 + 4 * 2, 64)
    assert resized["backbone.net.pos_embed"][:, 0].equal(positions[:, 0])


def serve(monkeypatch: pytest.MonkeyPatch, data: bytes, oid: str, length: int | None = None) -> None:
    """The Hub: its list of a repository's files, and the file."""
    listing = [{"path": "README.md", "size": 3}, {"path": "model.safetensors", "lfs": {"oid": oid, "size": len(data)}}]

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        body = json.dumps(listing).encode() if "/api/models/" in url else data
        assert f"huggingface.co/{'api/models/' if body is not data else ''}timm/{NAME}/" in url
        answer = io.BytesIO(body)
        answer.headers = Message()  # type: ignore[attr-defined]
        answer.headers["Content-Length"] = str(length or len(body))  # type: ignore[attr-defined]
        return answer

    monkeypatch.setattr(downloads, "urlopen", urlopen)


def test_weights_are_fetched_when_needed_and_only_what_the_hub_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_OFFLINE", "0")
    save_file(published(), tmp_path / "served")
    data = (tmp_path / "served").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    for oid, length, said in (("0" * 64, None, "the Hub says 00000000"), (digest, len(data) + 9, "of .* bytes came")):
        serve(monkeypatch, data, oid, length)
        with pytest.raises(UserError, match=said):
            published_tensors(network(), tmp_path, "pretrained")
        assert not (tmp_path / "data").exists() or not list((tmp_path / "data" / "weights").iterdir())
    serve(monkeypatch, data, digest)
    assert published_tensors(network(), tmp_path, "pretrained")[1] == (FILE, digest)
    assert (tmp_path / "data" / "weights" / FILE).read_bytes() == data
    monkeypatch.setattr(downloads, "urlopen", None)  # it is here now
    assert published_tensors(network(), tmp_path, "pretrained")[1] == (FILE, digest)


def test_without_a_network_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        published_tensors(network(), tmp_path, "pretrained")
    assert f"data/weights/{FILE}" in str(error.value)
    assert f"https://huggingface.co/timm/{NAME}/resolve/main/model.safetensors" in str(error.value)


def test_weights_list_says_what_shipped_transformers_need() -> None:
    lines = [line for line in list_weights(Registry.load(PROJECT)) if line.startswith("vit_small_patch16_224.dino")]
    assert len(lines) == 1
    assert "cluster-contrast-vit" in lines[0]


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data" / "weights" / FILE
    path.parent.mkdir(parents=True)
    save_file(published("test_resnet"), path)
    with pytest.raises(UserError, match=r"'cls_token' is missing.*as timm names them"):
        published_tensors(network(), tmp_path, "pretrained")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match="not a readable weight file"):
        published_tensors(network(), tmp_path, "pretrained")


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no such network": ({"name": "vit_smal_patch16_224"}, "is called 'vit_smal_patch16_224'; did you mean 'vit_small_"),
    "no such weights": ({"name": "test_vit.r160"}, "has no weights 'r160'.*r160_in1k"),
    "no last stride": ({"last_stride": 1}, "has no last stride to leave out"),
    "a size that patches do not fill": ({"size": (60, 32)}, "needs a size of multiples of 16×16"),
    "no class token": ({"name": "test_vit2.r160_in1k"}, "no class token; say average or gem"),
    "no drop path": ({"name": "vgg11", "drop_path": 0.1, "pooling": "average"}, "cannot be built with drop_path"),
    "fused BatchNorm": (
        {"name": "test_efficientnet.r160_in1k", "pooling": "gem", "groups": 2}, "bn_groups must be 1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_a_family_has_not_is_said(mistake: str) -> None:
    changes, said = MISTAKES[mistake]
    with pytest.raises(UserError, match=said):
        build(network(**changes), 0, CPU)


def test_convolutional_families_keep_their_last_map_and_share_batchnorm_groups() -> None:
    plain, kept = (
        build(network("test_resnet.r160_in1k", pooling="gem", last_stride=last, groups=2), 0, CPU) for last in (2, 1)
    )
    images = torch.randn(4, 3, 64, 32)
    assert plain.backbone(images).shape[2:] == (2, 1)
    assert kept.backbone(images).shape[2:] == (4, 2)
    halves = [build(network("test_resnet.r160_in1k", pooling="gem"), 0, CPU).backbone(half) for half in images.chunk(2)]
    torch.testing.assert_close(plain.backbone(images), torch.cat(halves))


def test_the_statistics_of_the_weights_reach_the_pixels() -> None:
    spec = network()
    assert spec.backbone.normalization == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 4, 3), np.uint8)
    shown = Normalization((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    expected = (images / 255 - np.array(shown.mean)) / np.array(shown.std)
    found = augmented(images, np.arange(2), unchanged(2), shown)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1), expected, atol=1e-5)
    plain = unchanged(2)
    drawn = Transforms(plain.flip, plain.offset, np.array([[0, 0, 8, 4], [0, 0, 0, 0]]), plain.factors)
    erased = augmented(images, np.arange(2), drawn, shown)
    np.testing.assert_array_equal(erased[0].permute(1, 2, 0), np.broadcast_to(ERASED, (8, 4, 3)))
    index, (sent,) = send(np.arange(2), [drawn], CPU)
    torch.testing.assert_close(augmented_on_device(torch.from_numpy(images), index, sent, shown), erased)
