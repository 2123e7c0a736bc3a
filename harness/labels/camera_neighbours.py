"""The nearest neighbours of every image among those of its own camera, and among those of the other cameras; exact.

Images are searched in the order of their cameras, so that every tile of similarities belongs either to one list or to
the other, and each pair of strips is still multiplied once and read twice. Ties go by camera, then by index.
"""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.evaluation.keys import index_of, ranking_keys
from harness.labels import neighbours as search
from harness.labels.neighbours import Neighbours, check_normalized
from harness.matrix import Matrix, as_matrix

if TYPE_CHECKING:
    from torch import Tensor


def neighbours_by_camera(features: Any, cameras: Any, intra: int, inter: int) -> Neighbours:
    """Find two lists for each row of `features` [N, d] (L2-normalized), side by side: [N, intra + inter].

    The first `intra` columns are the nearest images of the same camera, the image itself among them, the other `inter`
    columns those of other cameras; each list is in descending order of similarity and filled up with index -1 and
    similarity -inf where there are fewer. `cameras` [N]: integers or names. Raises UserError for NaN, zero-norm or not
    normalized rows, for cameras that are not one per image, and for less than one neighbour of either kind.
    """
    if intra < 1 or inter < 1:
        raise UserError(f"at least 1 neighbour of the same and of other cameras, not {intra} and {inter}")
    camera = camera_numbers(cameras, len(features))
    order = np.argsort(camera, kind="stable")
    if getattr(getattr(features, "device", None), "type", "cpu") != "cpu":
        import torch

        found = search_on_device(
            features.detach().float()[torch.from_numpy(order).to(features.device)], camera[order], intra, inter
        )
    else:
        matrix = as_matrix(features, "features")
        check_normalized(matrix)
        found = search_on_host(matrix[order], camera[order], intra, inter)
    indices, similarities = np.empty_like(found.indices), np.empty_like(found.similarities)
    indices[order] = np.where(found.indices < 0, -1, order[found.indices])
    similarities[order] = found.similarities
    return Neighbours(indices, similarities, found.search, found.recall)


def camera_numbers(cameras: Any, images: int) -> NDArray[np.int64]:
    """Return the camera of each image as 0 … cameras - 1, in the order of their names. Raises UserError."""
    given = np.asarray(cameras.detach().cpu() if hasattr(cameras, "detach") else cameras)
    if given.shape != (images,):
        raise UserError(f"one camera for each of {images} images, not an array of shape {given.shape}")
    return np.unique(given, return_inverse=True)[1].astype(np.int64)


def search_on_host(matrix: Matrix, camera: NDArray[np.int64], intra: int, inter: int) -> Neighbours:
    """Search images that are sorted by camera, as `nearest_neighbours` does on a CPU."""
    n = len(matrix)
    values, indices = np.full((n, intra + inter), -np.inf, np.float32), np.full((n, intra + inter), -1, np.int32)
    lists = [(values[:, part].copy(), indices[:, part].copy()) for part in (np.s_[:intra], np.s_[intra:])]
    buffer = np.empty(min(n, search.TILE_ROWS) * min(n, search.TILE_COLUMNS), np.float32)
    bounds = np.flatnonzero(np.diff(camera, prepend=-1, append=camera.max() + 1))
    for first, end in itertools.pairwise(bounds.tolist()):
        for top in range(first, end, search.TILE_ROWS):
            rows = matrix[top : min(top + search.TILE_ROWS, end)]
            for start, stop, (near, found) in zip((top, end), (end, n), lists, strict=True):
                for left in range(start, stop, search.TILE_COLUMNS):
                    columns = matrix[left : min(left + search.TILE_COLUMNS, stop)]
                    tile = buffer[: len(rows) * len(columns)].reshape(len(rows), len(columns))
                    np.matmul(rows, columns.T, out=tile)
                    search.merge(tile, top, left, near, found)
    return Neighbours(
        np.hstack([found for _, found in lists]), np.hstack([near for near, _ in lists]), search="exact", recall=1.0
    )


def search_on_device(matrix: "Tensor", camera: NDArray[np.int64], intra: int, inter: int) -> Neighbours:
    """Find the same by blocked products and top-k, by torch where `matrix` is; one copy to the host at the end."""
    import torch

    off = (matrix.norm(dim=1) - 1).abs()
    if not bool((off <= search.NORM_TOLERANCE).all()):
        check_normalized(as_matrix(matrix, "features"))  # which names a row, in the order of cameras
    numbers = torch.from_numpy(camera).to(matrix.device)
    columns = torch.arange(len(matrix), device=matrix.device)
    indices, values = [], []
    height = max(1, search.DEVICE_TILE // len(matrix))
    for top in range(0, len(matrix), height):
        similarity = matrix[top : top + height] @ matrix.T
        same = numbers[top : top + height, None] == numbers
        for width, out in ((intra, ~same), (inter, same)):
            allowed = similarity.masked_fill(out, -torch.inf)
            near = index_of(ranking_keys(allowed, columns).topk(min(width, len(matrix)), dim=1, largest=False).values)
            close = allowed.gather(1, near)
            missing = (0, width - near.shape[1])
            indices.append(torch.nn.functional.pad(near.masked_fill(close == -torch.inf, -1), missing, value=-1))
            values.append(torch.nn.functional.pad(close, missing, value=-torch.inf))
    both = [torch.hstack([torch.vstack(parts[0::2]), torch.vstack(parts[1::2])]).cpu() for parts in (indices, values)]
    return Neighbours(both[0].int().numpy(), both[1].numpy(), search=f"exact on {matrix.device.type}", recall=1.0)
