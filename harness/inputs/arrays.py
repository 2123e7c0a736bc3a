"""NumPy arrays in `.npy` files: no pickles, and never more memory than the file is long."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from harness.errors import UserError
from harness.inputs.files import MissingFileError, check_regular


def read_array(path: Path) -> NDArray[Any]:
    """Return the array in a `.npy` file, memory-mapped, read-only; an empty one in memory. Raises UserError."""
    try:
        check_regular(path)
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            header = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
            shape, columns_first, kind = header(file)
            begin = file.tell()
        if kind.hasobject:
            raise ValueError("it holds Python objects")
        if 0 in shape:
            return np.empty(shape, kind)
        return np.memmap(path, kind, "r", begin, shape, "F" if columns_first else "C")
    except MissingFileError:
        raise
    except Exception as error:  # the header is parsed as Python: also SyntaxError, TokenError, RecursionError
        why = str(error).removeprefix(f"{path}: ") or type(error).__name__
        raise UserError(f"{path}: not readable as a NumPy array: {why.splitlines()[0]}") from None
