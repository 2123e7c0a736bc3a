"""A trained run as a function from pictures to features: `harness.load`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from harness.data.scan import Progress
from harness.errors import UserError
from harness.inputs.files import read_bytes
from harness.inputs.json import parse_sealed
from harness.learning.algorithm import algorithm_class
from harness.learning.data import UnlabeledSet
from harness.learning.device import choose_device
from harness.learning.extract import BATCH
from harness.learning.normalization import IMAGENET
from harness.learning.state import read_tensors
from harness.matrix import Matrix, as_matrix
from harness.paths import project_root, run_folder
from harness.pipeline.records import Input, Record
from harness.specs.method import ResolvedMethod
from harness.specs.registry import load_dataset
from harness.use.calibration import Calibration, read_calibration
from harness.use.pictures import as_list, batches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from harness.learning.algorithm import Algorithm

CHECKPOINT, RECORD, CALIBRATION = "checkpoint.safetensors", "record.json", "calibration.json"


@dataclass(frozen=True)
class Model:
    """A trained run: `embed` pictures with it.

    `record` says how it came about, `input` what it is shown, `checkpoint` is the SHA-256 of its weights' file, by
    which files of features and calibrations name the model that they belong to.
    """

    folder: Path
    record: Record
    input: Input
    checkpoint: str
    embedder: Callable[[npt.NDArray[np.uint8]], Matrix]

    def embed(self, images: Any, progress: Progress | None = None) -> Matrix:
        """Return L2-normalized features of pictures, float32 [N, d], whose inner products are cosine similarities.

        `images`: a path, a Pillow image or an array (uint8, RGB [H, W, 3] or grey [H, W]), or a sequence of these. Each
        is decoded and resized exactly as the run's own data were. Raises UserError naming what cannot be used.
        """
        pictures = as_list(images)
        if not pictures:
            raise UserError("there is no picture to embed")
        parts: list[Matrix] = []
        for pixels in batches(pictures, self.input.height, self.input.width, BATCH):
            parts.append(self.embedder(pixels))
            if progress:
                progress("embed", min(BATCH * len(parts), len(pictures)), len(pictures))
        return np.concatenate(parts)

    @property
    def calibration(self) -> Calibration | None:
        """What `harness calibrate` found, or None if it has not run. Raises UserError if that was of other weights."""
        path = self.folder / CALIBRATION
        found = read_calibration(path)
        if found and found.checkpoint != self.checkpoint:
            raise UserError(f"{path}: belongs to other weights than {CHECKPOINT}; run: harness calibrate again")
        return found

    @property
    def threshold(self) -> float:
        """The similarity from which two pictures are called the same (FPIR 1 %). Raises UserError if not calibrated."""
        found = self.calibration
        if found is None:
            raise UserError(
                f"{self.folder}: is not calibrated, so no similarity means 'same'; "
                f"run: harness calibrate {self.record.key} --dataset NAME, or --pairs FILE"
            )
        return found.same.threshold


@dataclass(frozen=True)
class TrainedRun:
    """What a run's folder holds."""

    folder: Path
    record: Record
    input: Input
    method: ResolvedMethod
    algorithm: type[Algorithm]
    tensors: Mapping[str, Tensor]


def load(folder: Path | str) -> Model:
    """Return the model of a trained run's folder `results/runs/<key>`, on the GPU if there is one.

    >>> import harness
    >>> model = harness.load("results/runs/cluster-contrast__drawn-summer__s0")
    >>> anna, who = model.embed(["anna.png", "who.png"])
    >>> anna.shape, bool(anna @ who > 0.999)  # the same picture twice
    ((192,), True)
    >>> model.record.target, bool(anna @ who >= model.threshold)  # after `harness calibrate`
    ('drawn-summer', True)

    Raises UserError for a folder that holds no run, or a damaged one.
    """
    run = open_run(folder)
    device = choose_device()
    features = run.algorithm.embedder(run.method.compute, run.tensors, device)

    def embedder(images: npt.NDArray[np.uint8]) -> Matrix:
        shown = UnlabeledSet(images, np.zeros(len(images), np.int64), device, run.input.normalization)
        return as_matrix(features(shown), "features")

    with (run.folder / CHECKPOINT).open("rb") as file:
        checkpoint = hashlib.file_digest(file, "sha256").hexdigest()
    return Model(run.folder, run.record, run.input, checkpoint, embedder)


def open_run(folder: Path | str) -> TrainedRun:
    """Return what a trained run's folder holds. Raises UserError for a folder that holds no run, or a damaged one."""
    folder = Path(folder)
    path = folder / CHECKPOINT
    if not path.is_file():
        raise UserError(f"{folder}: holds no trained run: there is no {CHECKPOINT}")
    record = _record(folder / RECORD)
    tensors, metadata = read_tensors(path)
    if metadata.get("key") != record.key:
        raise UserError(f"{path}: belongs to run {metadata.get('key')!r}, the record beside it to {record.key!r}")
    try:
        method = ResolvedMethod.model_validate_json(metadata["method"])
    except (ValidationError, KeyError) as error:
        raise UserError(f"{path}: was written by another version of this program; train the run again") from error
    algorithm = algorithm_class(method.algorithm, path)
    return TrainedRun(folder, record, record.input or _input_of_dataset(folder, record), method, algorithm, tensors)


def find_run(run: str) -> Path:
    """Return the folder of a run given by its folder or, inside a project, by its key. Raises UserError."""
    if (Path(run) / CHECKPOINT).is_file():
        return Path(run)
    if "/" not in run and "__" in run:
        folder = run_folder(project_root(), run)
        if (folder / CHECKPOINT).is_file():
            return folder
        raise UserError(f"{run}: is not trained here; run: dvc repro evaluate@{run}, or dvc pull")
    raise UserError(f"{run}: no trained run; give its folder, or its key as `harness list runs` names it")


def _record(path: Path) -> Record:
    try:
        return parse_sealed(read_bytes(path), path, Record)
    except UserError as error:
        why = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: not a readable record ({why}); train the run again") from error


def _input_of_dataset(folder: Path, record: Record) -> Input:
    """The input of a run whose record does not state it: its project's target does."""
    root = folder.absolute().parents[2]
    try:
        image = load_dataset(record.target, root).image
    except UserError as error:
        raise UserError(
            f"{folder / RECORD}: does not state the size of the images, and {root} has no dataset {record.target!r}"
        ) from error
    return Input(height=image.height, width=image.width, **IMAGENET._asdict())
