"""The same seed gives the same bytes, with one thread or two."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from harness.paths import run_folder
from tests.pipeline.tiny import PROJECT, Tiny, history

CODE = (
    "import sys, torch; from harness.cli import main\n"
    "assert torch.get_num_threads() == int(sys.argv.pop(1)), torch.get_num_threads()\n"
    "main()"
)


def test_another_number_of_threads_gives_the_same_bytes(tiny: Tiny, tmp_path: Path) -> None:
    pairing = tiny.pairing("cluster-contrast")
    undisturbed = tiny.trained(pairing)
    project = tiny.fresh(tmp_path / "project", pairing)
    (project.root / "dvc.yaml").touch()
    number = "2" if torch.get_num_threads() == 1 else "1"
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": number, "NUMBA_NUM_THREADS": number}
    command = [sys.executable, "-c", CODE, number, "train", pairing.key]
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = run_folder(project.root, pairing.key)
    name = "checkpoint.safetensors"
    assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()
    assert history(folder) == history(undisturbed)
