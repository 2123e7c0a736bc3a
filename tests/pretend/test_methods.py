"""Every method on a pretend GPU: nothing is refused, no iteration waits, and the numbers are the CPU's."""

from __future__ import annotations

import importlib
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.labels import camera_neighbours, neighbours
from harness.matrix import as_matrix
from harness.pipeline.evaluate import evaluate
from harness.pipeline.records import Scores
from harness.pipeline.training.train import train
from tests.pipeline.tiny import Tiny, drawn_methods, history, interrupt_in_epoch, same_weights, silent
from tests.pretend.accelerator import NAME, pretend_gpu
from tests.pretend.counting import INSIDE, MOST, per_iteration, sections


def algorithm(project: Tiny, method: str) -> Any:
    module, name = project.registry.method(method).algorithm.split(":")
    return getattr(importlib.import_module(module), name)


@pytest.fixture(autouse=True)
def similarities_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's product rounds otherwise than the host's, which can flip a cluster of so few images: check, and go
    on with the host's."""
    on_device = neighbours.search_on_device

    def search(matrix: Any, k: int) -> neighbours.Neighbours:
        found, expected = on_device(matrix, k), neighbours.nearest_neighbours(as_matrix(matrix, "features"), k)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-6)
        return replace(expected, search=found.search)

    monkeypatch.setattr(neighbours, "search_on_device", search)
    by_camera = camera_neighbours.search_on_device

    def camera_search(matrix: Any, camera: Any, intra: int, inter: int) -> neighbours.Neighbours:
        found = by_camera(matrix, camera, intra, inter)
        expected = camera_neighbours.search_on_host(as_matrix(matrix, "features"), camera, intra, inter)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-6)
        return replace(expected, search=found.search)

    monkeypatch.setattr(camera_neighbours, "search_on_device", camera_search)


@pytest.mark.parametrize("method", drawn_methods())
def test_it_trains_stops_resumes_and_evaluates_as_on_a_cpu(
    still: Tiny, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairing = still.pairing(method)
    expected, scores = still.trained(pairing), evaluate(still.registry, pairing)
    project = still.fresh(tmp_path / "gpu", pairing)
    monkeypatch.delenv("HARNESS_DEVICE")
    with pretend_gpu() as seen, sections(algorithm(project, method), seen) as iterations:
        with suppress(KeyboardInterrupt):
            train(project.registry, pairing, interrupt_in_epoch(2))
        folder = train(project.registry, pairing, silent)
        found = evaluate(project.registry, pairing)
    assert same_weights(folder, expected)
    assert history(folder) == history(expected)
    assert found.model_dump(include=set(Scores.model_fields)) == scores.model_dump(include=set(Scores.model_fields))
    record = json.loads((folder / "record.json").read_text())
    assert record["hardware"]["device"] == NAME
    assert record["resumed"] == bool(record["epochs"])
    assert [key for key in seen.waits if key[0] in INSIDE] == []
    if method in MOST:
        count, most = per_iteration(seen, iterations[0]), MOST[method]
        assert count.launches <= most.launches, count
        assert (count.copies, count.copied) <= (most.copies, most.copied), count


@pytest.mark.parametrize("method", ["cluster-contrast", "spcl-uda"])
def test_images_that_do_not_fit_are_streamed(
    still: Tiny, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairing = still.pairing(method)
    project = still.fresh(tmp_path / "gpu", pairing)
    monkeypatch.delenv("HARNESS_DEVICE")
    with pretend_gpu(free_bytes=1_000) as seen, sections(algorithm(project, method), seen):
        folder = train(project.registry, pairing, silent)
    assert same_weights(folder, still.trained(pairing))
    assert [key for key in seen.waits if key[0] in INSIDE] == []
