"""Files of weights: listed, fetched whole or not at all, brought by hand."""

from __future__ import annotations

import hashlib
import io
from email.message import Message
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from harness.commands.weights import fetch_weights, list_weights, needed
from harness.errors import UserError
from harness.inputs import download as downloads
from harness.inputs.download import download
from harness.learning.pretrained import file_tensors, published_tensors
from harness.specs import Registry
from tests.learning.parts import network
from tests.pipeline.tiny import PROJECT

DATA = b"weights" * 1000
GOOD = f"https://example.org/net-{hashlib.sha256(DATA).hexdigest()[:8]}.pth"


def serve(monkeypatch: pytest.MonkeyPatch, data: bytes = DATA, length: int | None = None) -> None:
    def urlopen(url: str, timeout: float) -> io.BytesIO:
        answer = io.BytesIO(data)
        answer.headers = Message()  # type: ignore[attr-defined]
        answer.headers["Content-Length"] = str(len(data) if length is None else length)  # type: ignore[attr-defined]
        return answer

    monkeypatch.setattr(downloads, "urlopen", urlopen)


def test_a_file_is_fetched_and_told_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    told: list[tuple[str, int, int]] = []
    download(GOOD, tmp_path / "data" / downloads.file_name(GOOD), lambda *done: told.append(done))
    assert (tmp_path / "data" / downloads.file_name(GOOD)).read_bytes() == DATA
    assert told[-1][1] == told[-1][2] == len(DATA) // 1024


@pytest.mark.parametrize(
    ("data", "length", "said"),
    [
        (DATA[:500], len(DATA), "only 500 of 7000 bytes came"),
        (b"other", None, "its name says"),
        (b"", 9, "only 0 of 9"),
    ],
)
def test_nothing_half_fetched_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, length: int | None, said: str
) -> None:
    serve(monkeypatch, data, length)
    with pytest.raises(UserError, match=said):
        download(GOOD, tmp_path / downloads.file_name(GOOD))
    assert not list(tmp_path.iterdir())


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(url: str, timeout: float) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(downloads, "urlopen", urlopen)
    with pytest.raises(UserError, match=r"cannot be fetched \(Name or service not known\); on a machine without"):
        download(GOOD, tmp_path / "net.pth")
    with pytest.raises(UserError, match="only https addresses are"):
        download("http://example.org/net.pth", tmp_path / "net.pth")
    monkeypatch.setenv("HARNESS_OFFLINE", "0")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match="cannot be fetched"):
        published_tensors(network("resnet18"), tmp_path, "imagenet")


def test_what_the_shipped_specs_start_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    registry = Registry.load(PROJECT)
    assert {found.name for found in needed(registry)} >= {"resnet50-0676ba61.pth", "mobilenet_v2-b0353104.pth"}
    assert all(": " in line and " (for " in line for line in list_weights(registry))
    with pytest.raises(UserError, match=r"no spec starts from 'vgg\.pth'"):
        list(fetch_weights(registry, ["vgg.pth"]))


def test_a_run_may_start_from_a_file_of_ones_own(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    own = {f"module.encoder_q.{name}": value for name, value in resnet18().state_dict().items()}
    torch.save({"state_dict": own}, tmp_path / "lup.pth")
    digest = hashlib.sha256((tmp_path / "lup.pth").read_bytes()).hexdigest()
    state, file = file_tensors(network("resnet18"), tmp_path, "lup.pth", digest)
    assert state["backbone.0.weight"].equal(own["module.encoder_q.conv1.weight"])
    assert (file.file, file.sha256) == ("lup.pth", digest)
    with pytest.raises(UserError, match="it is another file"):
        file_tensors(network("resnet18"), tmp_path, "lup.pth", "0" * 64)
    with pytest.raises(UserError, match="no such file; bring it there"):
        file_tensors(network("resnet18"), tmp_path, "no.pth", digest)
    with pytest.raises(UserError, match="is missing; the file holds"):
        file_tensors(network("mobilenet-v2"), tmp_path, "lup.pth", digest)
