"""Everything a run must remember between epochs, in one object that saves and restores itself exactly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from harness.errors import DiskError, UserError
from harness.inputs.files import MissingFileError, check_regular


class RunState:
    """Modules, optimizers, tensors and JSON-able values by name, and how many epochs are done.

    Random generators are not here: every stream is a function of the seed, the purpose and the epoch.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.modules: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.tensors: dict[str, Tensor] = {}
        self.values: dict[str, Any] = {}

    def save(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the state and the caller's metadata atomically. Raises DiskError if that fails."""
        tensors, state = self.content()
        write_tensors(tensors, path, {**metadata, "state": state})

    def content(self) -> tuple[dict[str, Tensor], str]:
        """Return all tensors by name, those that training goes on to change, and the rest as JSON."""
        tensors = {f"tensor/{name}": value for name, value in self.tensors.items()}
        groups: dict[str, Any] = {}
        for name, module in self.modules.items():
            tensors |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            content = optimizer.state_dict()
            groups[name] = content["param_groups"]
            for index, slots in content["state"].items():
                tensors |= {f"optimizer/{name}/{index}/{slot}": value for slot, value in slots.items()}
        return tensors, json.dumps({"epoch": self.epoch, "values": self.values, "groups": groups})

    def load(self, path: Path) -> None:
        """Restore what `save` wrote into the registered modules and optimizers.

        Raises UserError if the file is damaged or belongs to another architecture.
        """
        tensors, metadata = read_tensors(path)
        meta = json.loads(metadata["state"])
        grouped: dict[str, dict[str, dict[str, Tensor]]] = {"tensor": {}, "module": {}, "optimizer": {}}
        for full_name, value in tensors.items():
            kind, _, rest = full_name.partition("/")
            owner, _, key = rest.partition("/")
            if kind == "tensor":
                self.tensors[rest] = value
            else:
                grouped[kind].setdefault(owner, {})[key] = value
        for name, module in self.modules.items():
            load_into(module, grouped["module"].get(name, {}), path)
        for name, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in grouped["optimizer"].get(name, {}).items():
                index, _, slot = key.partition("/")
                slots.setdefault(int(index), {})[slot] = value
            optimizer.load_state_dict({"state": slots, "param_groups": meta["groups"][name]})
            _lay_out_as_parameters(optimizer)
        self.epoch, self.values = meta["epoch"], meta["values"]


def _lay_out_as_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Give every moment the strides of its parameter (channels-last): CUDA's fused Adam refuses others."""
    for parameter, slots in optimizer.state.items():
        for slot, value in slots.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                slots[slot] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], path: Path | str) -> None:
    """Copy `tensors` into `module`. Raises UserError naming the first difference if the architectures differ."""
    own = module.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        if name not in tensors:
            raise UserError(f"{path}: belongs to another architecture: it has no tensor {name!r}")
        if name not in own:
            raise UserError(f"{path}: belongs to another architecture: the network has no tensor {name!r}")
        if own[name].shape != tensors[name].shape:
            raise UserError(
                f"{path}: belongs to another architecture: {name!r} is {list(tensors[name].shape)} there, "
                f"{list(own[name].shape)} in the network"
            )
    module.load_state_dict(dict(tensors))


def sha256(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of the tensors and over the metadata."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    for name in sorted(metadata):
        digest.update(f"{name} {metadata[name]}\n".encode())
    return digest.hexdigest()


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> str:
    """Write a safetensors file atomically, and return the hash that it states of its own content.

    Raises DiskError (full, read-only) and leaves nothing half-written.
    """
    contiguous = {name: _on_host(value.detach()) for name, value in tensors.items()}
    stated = sha256(contiguous, metadata)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(contiguous, partial, {**metadata, "sha256": stated})
        _sort_header(partial)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):  # a read-only disk refuses this too
            partial.unlink()
        raise DiskError(f"{path}: cannot be written: {error}; free some space or mend the permissions") from error
    return stated


def _on_host(value: Tensor) -> Tensor:
    """A contiguous copy; a checkpoint's tensors may share no memory."""
    return torch.empty(value.shape, dtype=value.dtype).copy_(value)


class CheckpointWriter:
    """Writes states. On a GPU beside the next epoch: what is written is a copy, made on the device in its own order of
    work, so neither the host nor the device waits for the disk. On a CPU `save` returns when the file is there.

    A run that is killed meanwhile continues from the checkpoint before.
    """

    def __init__(self, device: torch.device) -> None:
        self._beside = device.type == "cuda"
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[str] | None = None

    def save(self, state: RunState, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the state and the caller's metadata atomically. Raises DiskError if that, or the save before, fails."""
        self.finish()
        if not self._beside:
            state.save(path, metadata)
            return
        tensors, rest = state.content()
        copies = {name: value.detach().clone() for name, value in tensors.items()}
        self._writing = self._thread.submit(write_tensors, copies, path, {**metadata, "state": rest})

    def finish(self) -> None:
        """Return when what was to be saved is. Raises DiskError if that fails."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()


def _sort_header(path: Path) -> None:
    """Put the metadata of a safetensors file in the order of its keys: the library writes it in a random one.

    Equal tensors and metadata must give equal bytes, or DVC trains anew whatever starts from them. The header is an
    8-byte length and JSON padded with spaces, so the same keys in another order take the same room.
    """
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > size:
            raise SafetensorError(f"its header takes {len(text)} bytes, not {size}")
        file.seek(8)
        file.write(text.ljust(size))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors (on the CPU) and the metadata of a safetensors file that `write_tensors` wrote.

    Raises UserError if it is damaged: one bit that differs from what was written is found.
    """
    try:
        check_regular(path)
    except MissingFileError:
        raise UserError(f"{path}: no such checkpoint; train the run first: harness run {path.parent.name}") from None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({error}); delete it and train again") from None
    if metadata.pop("sha256", None) != sha256(tensors, metadata):
        raise UserError(
            f"{path}: damaged: its content is not what was written (its SHA-256 differs); delete it and train again, "
            "or fetch it again with `dvc pull`"
        )
    return tensors, metadata
