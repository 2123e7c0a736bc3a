"""ImageNet weights from a file that the test writes in torchvision's own form."""

from pathlib import Path

import pytest
import torch
import torchvision

from harness.errors import UserError
from harness.learning.networks import build
from harness.learning.pretrained import imagenet_tensors
from tests.learning.parts import CPU, network

FILE = "resnet18-f37072fd.pth"
URL = f"https://download.pytorch.org/models/{FILE}"


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def published(path: Path, backbone: str = "resnet18") -> torch.nn.Module:
    """Write a weight file as torchvision publishes it, with random weights; return its network."""
    torch.manual_seed(0)
    net: torch.nn.Module = torchvision.models.get_model(backbone)
    for name, buffer in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    path.parent.mkdir(parents=True)
    torch.save(net.state_dict(), path)
    return net.eval()


@pytest.mark.parametrize("stem_relu", [True, False])
def test_the_backbone_computes_what_torchvision_does(tmp_path: Path, stem_relu: bool) -> None:
    theirs = published(tmp_path / "data/weights" / FILE)
    spec = network(backbone="resnet18", stem_relu=stem_relu)
    ours = build(spec, 0, CPU, imagenet_tensors(spec, tmp_path)).eval()
    theirs.layer4[0].conv1.stride = theirs.layer4[0].downsample[0].stride = (1, 1)  # type: ignore[index, union-attr]
    x = torch.randn(2, 3, 64, 32)
    expected = theirs.bn1(theirs.conv1(x))  # type: ignore[operator]
    expected = theirs.maxpool(expected.relu() if stem_relu else expected)  # type: ignore[operator]
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        expected = theirs.get_submodule(layer)(expected)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(x), expected, atol=1e-4, rtol=1e-4)


def test_every_tensor_of_a_bottleneck_backbone_arrives(tmp_path: Path) -> None:
    theirs = published(tmp_path / "data/weights/resnet50-0676ba61.pth", "resnet50")
    spec = network(backbone="resnet50", pooling="gem")
    tensors = imagenet_tensors(spec, tmp_path)
    ours = [value for name, value in tensors.items() if name.startswith("backbone.")]
    expected = [value for name, value in theirs.state_dict().items() if not name.startswith("fc.")]
    assert len(ours) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))
    assert tensors["pool.p"].tolist() == [3]
    assert (tensors["neck.weight"] == 1).all()


def test_torchvisions_own_cache_is_looked_into(tmp_path: Path) -> None:
    theirs = published(tmp_path / "torch/hub/checkpoints" / FILE)
    tensors = imagenet_tensors(network(backbone="resnet18"), tmp_path / "elsewhere")
    assert torch.equal(tensors["backbone.0.weight"], theirs.state_dict()["conv1.weight"])


def test_a_missing_file_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        imagenet_tensors(network(backbone="resnet18"), tmp_path)
    for part in (FILE, "data/weights/", URL):
        assert part in str(error.value)


@pytest.mark.parametrize("content", [b"", b"half a download", None])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "data/weights" / FILE
    published(path)
    path.write_bytes(path.read_bytes()[:100_000] if content is None else content)
    with pytest.raises(UserError, match=f"{FILE}.*download.*again"):
        imagenet_tensors(network(backbone="resnet18"), tmp_path)


def test_another_networks_weights_under_this_name_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "data/weights" / FILE
    path.parent.mkdir(parents=True)
    torch.save(torchvision.models.resnet34().state_dict(), path)
    spec = network(backbone="resnet18")
    with pytest.raises(UserError, match="another architecture"):
        build(spec, 0, CPU, imagenet_tensors(spec, tmp_path))


@pytest.mark.parametrize("backbone", ["narrow", "resnet50-ibn-a"])
def test_backbones_without_published_weights(tmp_path: Path, backbone: str) -> None:
    with pytest.raises(UserError, match=f"no ImageNet weights for backbone '{backbone}'"):
        imagenet_tensors(network(backbone=backbone), tmp_path)
