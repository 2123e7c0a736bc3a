"""Reader of a prepared folder, all that training and evaluation see of a dataset.

Its `info.json` is read without NumPy and Arrow, so that `harness check`, which needs no more, stays fast.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.inputs.files import MissingFileError, check_regular, read_bytes
from harness.inputs.json import read_json
from harness.inputs.limits import TABLE_BYTES
from harness.inputs.parquet import parse_table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FORMAT = 1
"""Version of the folder's form; a folder of another version must be prepared again."""
KEYS = frozenset({"format", "name", "data_hash", "has_cameras", "height", "width", "files"})


class DamagedError(UserError):
    """A prepared file is not what was written."""


@dataclass(frozen=True)
class Split:
    """One split of a prepared dataset: N images with their labels, in index order."""

    images: NDArray[np.uint8]  # [N, H, W, 3], memory-mapped, read-only
    ids: NDArray[np.int64]  # [N]
    cameras: NDArray[np.int64]  # [N], as in the names; below 0 without camera labels
    paths: list[str]  # relative to the dataset's raw folder

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Prepared:
    """A prepared dataset."""

    folder: Path
    info: dict[str, Any]

    @property
    def name(self) -> str:
        """The dataset's name."""
        return str(self.info["name"])

    @property
    def data_hash(self) -> str:
        """Hash that identifies the content: labels, files and image size."""
        return str(self.info["data_hash"])

    @property
    def has_cameras(self) -> bool:
        """True if the dataset has camera labels."""
        return bool(self.info["has_cameras"])

    @property
    def has_ids(self) -> bool:
        """Whether the training images have identities; stated only where they have none."""
        return bool(self.info.get("has_ids", True))

    @property
    def evaluated(self) -> bool:
        """Whether there are query and gallery images, without which no mAP exists."""
        return bool(self.info["splits"]["query"]["images"])

    @cached_property
    def _manifest(self) -> pa.Table:
        """Manifest of all splits, read on first use."""
        import pyarrow as pa

        path, remedy = self.folder / "manifest.parquet", f"prepare {self.name} again"
        data = read_bytes(path, TABLE_BYTES)
        self._check(path, hashlib.blake2b(data, digest_size=16).hexdigest())
        columns = {"path": pa.string(), "identity": pa.int64(), "camera": pa.int64(), "split": pa.string(),
                   "content": pa.string()}  # fmt: skip
        return parse_table(data, path, columns, remedy)

    def contents(self, name: str) -> list[str]:
        """Return the hash of each image file of a split, in index order: equal ones are copies."""
        import pyarrow.compute as pc

        rows = self._manifest.filter(pc.equal(self._manifest["split"], name))
        return list(rows["content"].to_pylist())

    def split(self, name: str, verified: bool = True) -> Split:
        """Return split `train`, `query` or `gallery`. Raises UserError if the folder is damaged.

        `verified`: read the images once, to compare them with the hash in `info.json`; what only shows some of them
        need not. About a second per GB, of which training and evaluation read every byte anyway.
        """
        import numpy as np
        import pyarrow.compute as pc

        from harness.inputs.arrays import read_array

        path = self.folder / f"{name}.npy"
        rows = self._manifest.filter(pc.equal(self._manifest["split"], name))
        try:
            check_regular(path)
            if verified:
                state = path.stat()
                self._check(path, content_hash(path, state.st_size, state.st_mtime_ns, state.st_ino))
            images = read_array(path)
        except DamagedError:
            raise
        except UserError as error:
            why = str(error).removeprefix(f"{path}: ")
            raise UserError(f"{path}: cannot be read: {why}; prepare {self.name} again") from None
        expected = (rows.num_rows, self.info["height"], self.info["width"], 3)
        if images.shape != expected or images.dtype != np.uint8:
            raise UserError(
                f"{path}: holds {images.dtype} {images.shape}, its manifest says uint8 {expected}; "
                f"prepare {self.name} again"
            )
        ids = rows["identity"].to_numpy().astype(np.int64)
        return Split(images, ids, rows["camera"].to_numpy().astype(np.int64), rows["path"].to_pylist())

    def _check(self, path: Path, digest: str) -> None:
        if digest != self.info["files"].get(path.name):
            raise DamagedError(
                f"{path}: damaged: not the file that info.json describes; prepare {self.name} again: "
                f"dvc repro -s -f prepare@{self.name}"
            )


@lru_cache(maxsize=64)
def content_hash(path: Path, _size: int, _changed: int, _inode: int) -> str:
    """Return the BLAKE2b-128 of a prepared file, read once per process and version of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def open_prepared(folder: Path | str) -> Prepared:
    """Open a prepared folder. Raises UserError if it is missing, incomplete or of another version."""
    folder = Path(folder)
    path = folder / "info.json"
    try:
        info = read_json(path)
    except MissingFileError as error:
        raise UserError(f"{folder}: is not prepared yet; run: dvc repro prepare@{folder.name}") from error
    except UserError as error:
        raise UserError(
            f"{path}: cannot be read: {str(error).removeprefix(f'{path}: ')}; prepare the dataset again"
        ) from error
    if not isinstance(info, dict) or not info.keys() >= KEYS or not isinstance(info["files"], dict):
        raise UserError(f"{path}: does not describe a prepared dataset; prepare it again")
    if info.get("format") != FORMAT:
        raise UserError(f"{folder}: was prepared in form {info.get('format')}, not {FORMAT}; prepare it again")
    return Prepared(folder, info)
