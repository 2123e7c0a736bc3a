"""ImageNet weights from files that the test writes in torchvision's own form, and in the forms that people have."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from harness.errors import UserError
from harness.learning.backbones import MobileNetV2, ResNet18, ResNet50
from harness.learning.backbones.base import BackboneKind
from harness.learning.networks import build
from harness.learning.pretrained import file_tensors, published_tensors
from tests.learning.parts import CPU, network

BACKBONES: dict[str, type[BackboneKind]] = {"resnet18": ResNet18, "resnet50": ResNet50, "mobilenet-v2": MobileNetV2}
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def published(backbone: str) -> torch.nn.Module:
    """torchvision's network with random weights and statistics that are not those of a fresh one."""
    torch.manual_seed(0)
    net: torch.nn.Module = torchvision.models.get_model(backbone.replace("-", "_"))
    for name, buffer in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return net.eval()


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def maps(backbone: str, net: Any, x: torch.Tensor) -> torch.Tensor:
    """torchvision's map before pooling, with last stride 1."""
    if backbone == "mobilenet-v2":
        net.features[14].conv[1][0].stride = (1, 1)
        return net.features(x)  # type: ignore[no-any-return]
    net.layer4[0].conv1.stride = net.layer4[0].conv2.stride = net.layer4[0].downsample[0].stride = (1, 1)
    stem = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    return net.layer4(net.layer3(net.layer2(net.layer1(stem))))  # type: ignore[no-any-return]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_backbone_computes_what_torchvision_does(tmp_path: Path, backbone: str) -> None:
    theirs = published(backbone)
    write(tmp_path / f"data/weights/{backbone}.pth", theirs.state_dict())
    ours = build(network(backbone), 0, CPU, published_tensors(network(backbone), tmp_path, "imagenet")[0]).eval()
    x = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(x), maps(backbone, theirs, x), atol=1e-3, rtol=1e-3)


def test_the_stem_without_relu_finds_its_tensors(tmp_path: Path) -> None:
    theirs = published("resnet18")
    write(tmp_path / "data/weights/resnet18.pth", theirs.state_dict())
    spec = network("resnet18", stem_relu=False)
    ours = build(spec, 0, CPU, published_tensors(spec, tmp_path, "imagenet")[0]).eval()
    x = torch.randn(2, 3, 64, 32)
    stem = theirs.maxpool(theirs.bn1(theirs.conv1(x)))  # type: ignore[operator]
    expected = torch.nn.Sequential(*(theirs.get_submodule(f"layer{n}") for n in (1, 2, 3)))(stem)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone[:6](x), expected, atol=1e-4, rtol=1e-4)  # type: ignore[index, operator]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_addresses_are_torchvisions(backbone: str) -> None:
    weights = torchvision.models.get_model_weights(backbone.replace("-", "_"))
    assert BACKBONES[backbone].imagenet == weights.IMAGENET1K_V1.url


def test_every_tensor_arrives_and_the_rest_of_the_network_stays_as_built(tmp_path: Path) -> None:
    theirs = published("resnet50")
    write(tmp_path / "data/weights/resnet50.pth", theirs.state_dict())
    tensors, _ = published_tensors(network("resnet50", "gem"), tmp_path, "imagenet")
    ours = [value for name, value in tensors.items() if name.startswith("backbone.")]
    expected = [value for name, value in theirs.state_dict().items() if not name.startswith("fc.")]
    assert len(ours) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))
    assert tensors["pool.p"].tolist() == [3]
    assert (tensors["neck.weight"] == 1).all()


def prefixed(prefix: str) -> Change:
    return lambda tensors: {f"{prefix}{name}": value for name, value in tensors.items()}


FORMS: dict[str, Change] = {
    "as published": lambda tensors: tensors,
    "DataParallel": prefixed("module."),
    "a training script's": lambda tensors: {"epoch": 3, "state_dict": prefixed("module.base.")(tensors)},
    "fast-reid's": lambda tensors: {"model": prefixed("backbone.")(tensors)},
    "without its classifier": lambda tensors: {name: tensors[name] for name in tensors if not name.startswith("fc.")},
    "with another classifier": lambda tensors: tensors | {"classifier.weight": torch.zeros(7)},
    "older, without counters": lambda tensors: {name: tensors[name] for name in tensors if "num_batches" not in name},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_forms_that_people_have(tmp_path: Path, form: str) -> None:
    theirs = published("resnet18").state_dict()
    path = write(tmp_path / "data/weights/resnet18.pth", FORMS[form](theirs))
    tensors, file = published_tensors(network("resnet18"), tmp_path, "imagenet")
    assert torch.equal(tensors["backbone.0.weight"], theirs["conv1.weight"])
    assert torch.equal(tensors["backbone.7.1.bn2.running_var"], theirs["layer4.1.bn2.running_var"])
    assert file == ("resnet18.pth", hashlib.sha256(path.read_bytes()).hexdigest())


def without(name: str) -> Change:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def poisoned(tensors: dict[str, Any]) -> dict[str, Any]:
    tensors["layer2.0.conv1.weight"][0, 0] = float("nan")
    return tensors


BROKEN: dict[str, tuple[Change, str]] = {
    "one tensor short": (without("layer3.1.conv2.weight"), "tensor 'layer3.1.conv2.weight' is missing"),
    "half a file": (lambda tensors: dict(list(tensors.items())[:60]), r"tensor 'layer3\.0\.\S+' is missing"),
    "a deeper network": (lambda _: published("resnet34").state_dict(), "tensor 'layer1.2.bn1.bias' has no place"),
    "a wider network": (
        lambda _: published("resnet50").state_dict(),
        r"tensor 'layer1.0.conv1.weight' is \[64, 64, 1",
    ),
    "another family": (
        lambda _: published("mobilenet-v2").state_dict(),
        "tensor 'conv1.weight' is missing; the file holds 'features",
    ),
    "not a number": (poisoned, "tensor 'layer2.0.conv1.weight' holds NaN"),
    "empty": (lambda _: {}, "holds no tensors"),
    "empty inside": (lambda _: {"state_dict": {}}, "holds no tensors"),
    "no tensors": (lambda _: {"epoch": 3}, "holds no tensors"),
    "a list": (lambda tensors: list(tensors.values()), "holds a list, not tensors by name"),
    "a tensor": (lambda _: torch.zeros(3), "holds a Tensor, not tensors by name"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_leaves_the_network_incomplete_is_an_error(tmp_path: Path, fault: str) -> None:
    change, said = BROKEN[fault]
    write(tmp_path / "data/weights/resnet18.pth", change(published("resnet18").state_dict()))
    with pytest.raises(UserError, match=rf"resnet18\.pth: {said}"):
        published_tensors(network("resnet18"), tmp_path, "imagenet")


def named_by_its_hash(folder: Path) -> tuple[Path, str]:
    content = write(folder / "resnet18.pth", published("resnet18").state_dict())
    digest = hashlib.sha256(content.read_bytes()).hexdigest()
    return content.rename(folder / f"resnet18-{digest[:8]}.pth"), digest


@pytest.mark.parametrize("place", ["torch/hub/checkpoints", "data/weights"])
def test_the_published_file_is_known_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    path, digest = named_by_its_hash(tmp_path / place)
    monkeypatch.setattr(ResNet18, "imagenet", f"https://somewhere/models/{path.name}")
    assert published_tensors(network("resnet18"), tmp_path, "imagenet")[1] == (path.name, digest)
    write(path, published("resnet18").state_dict() | {"another": torch.zeros(1)})
    with pytest.raises(UserError, match=rf"{path.name}: is not the published file: its SHA-256 begins with [0-9a-f]+"):
        published_tensors(network("resnet18"), tmp_path, "imagenet")


def test_a_missing_file_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        published_tensors(network("resnet18"), tmp_path, "imagenet")
    for part in ("resnet18-f37072fd.pth", "data/weights/", ResNet18.imagenet, "data/weights/resnet18.pth"):
        assert part in str(error.value)


@pytest.mark.parametrize("content", [b"", b"half a download", None])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = write(tmp_path / "data/weights/resnet18.pth", published("resnet18").state_dict())
    path.write_bytes(path.read_bytes()[:100_000] if content is None else content)
    with pytest.raises(UserError, match=r"resnet18\.pth: not a readable weight file"):
        published_tensors(network("resnet18"), tmp_path, "imagenet")


def test_a_backbone_without_published_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no ImageNet weights for backbone 'narrow'"):
        published_tensors(network("narrow"), tmp_path, "imagenet")


def test_a_file_of_ones_own_starts_a_backbone_that_nobody_published(tmp_path: Path) -> None:
    """Its tensors are called as the backbone calls them."""
    spec = network()
    whole = build(spec, 3, CPU).state_dict()
    tensors = {name.removeprefix("backbone."): value for name, value in whole.items() if name.startswith("backbone.")}
    path = write(tmp_path / "mine.pth", tensors)
    found, file = file_tensors(spec, tmp_path, "mine.pth", hashlib.sha256(path.read_bytes()).hexdigest())
    assert file.file == "mine.pth"
    assert all(found[f"backbone.{name}"].equal(value) for name, value in tensors.items())
