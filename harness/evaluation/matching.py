"""Matching rules of the protocol: which gallery images are right answers of a query, and which are removed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

Index = NDArray[np.int64]

UNKNOWN_CAMERA = -1


@dataclass(frozen=True)
class Matches:
    """Gallery images of a range of queries, as flat lists: `right` (same identity, to be found) and `removed`.

    Query i owns `right[right_start[i]:right_start[i + 1]]`, in gallery order; the same for `removed`.
    """

    right: Index
    right_start: Index
    removed: Index
    removed_start: Index


@dataclass(frozen=True)
class Labels:
    """Identities and cameras of query and gallery as integer codes, with the gallery grouped by identity."""

    query_ids: Index
    query_cameras: Index
    gallery_cameras: Index
    junk: Index
    grouped: Index
    group_start: Index

    @classmethod
    def read(cls, query_ids: Any, gallery_ids: Any, query_cameras: Any, gallery_cameras: Any, junk: Any) -> "Labels":
        """Turn labels of any kind (integers, strings) into codes. Raises UserError if their lengths or kinds clash."""
        query, gallery, names = _codes(query_ids, gallery_ids, "ids")
        is_junk = np.isin(names.astype(str), [str(value) for value in junk])
        if (query_cameras is None) != (gallery_cameras is None):
            raise UserError("cameras are given for query or gallery only; give both, or None for both")
        if query_cameras is None:
            query_camera = np.full(len(query), UNKNOWN_CAMERA)
            gallery_camera = np.full(len(gallery), UNKNOWN_CAMERA)
        else:
            query_camera, gallery_camera, names = _codes(query_cameras, gallery_cameras, "cameras")
            unknown = names.astype(str) == str(UNKNOWN_CAMERA)
            query_camera = np.where(unknown[query_camera], UNKNOWN_CAMERA, query_camera)
            gallery_camera = np.where(unknown[gallery_camera], UNKNOWN_CAMERA, gallery_camera)
        counts = np.bincount(gallery, minlength=len(is_junk))
        counts_start = np.concatenate([[0], np.cumsum(counts)])
        return cls(
            query_ids=np.where(is_junk[query], -1, query),
            query_cameras=query_camera,
            gallery_cameras=gallery_camera,
            junk=np.flatnonzero(is_junk[gallery]),
            grouped=np.argsort(gallery, kind="stable"),
            group_start=counts_start,
        )

    def check(self, queries: int, gallery: int) -> None:
        """Raise UserError unless there are labels for `queries` queries and `gallery` gallery images."""
        for what, labels, expected in (
            ("query ids", self.query_ids, queries),
            ("query cameras", self.query_cameras, queries),
            ("gallery ids", self.grouped, gallery),
            ("gallery cameras", self.gallery_cameras, gallery),
        ):
            if len(labels) != expected:
                raise UserError(f"{len(labels)} {what} for {expected} images")

    def matches(self, start: int, stop: int) -> Matches:
        """Return the matches of queries `start:stop`. A junk query has none."""
        ids = self.query_ids[start:stop]
        known = ids >= 0
        first = np.where(known, self.group_start[ids], 0)
        size = np.where(known, self.group_start[ids + 1], 0) - first
        owner = np.repeat(np.arange(len(ids)), size)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(size) - size, size)
        items = self.grouped[np.repeat(first, size) + offset]
        camera = self.query_cameras[start:stop][owner]
        same = (camera != UNKNOWN_CAMERA) & (camera == self.gallery_cameras[items])
        return Matches(items[~same], _starts(owner[~same], len(ids)), items[same], _starts(owner[same], len(ids)))


def _starts(owner: Index, length: int) -> Index:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=length))])


def _codes(query: Any, gallery: Any, what: str) -> tuple[Index, Index, NDArray[Any]]:
    query, gallery = _labels(query, f"query {what}"), _labels(gallery, f"gallery {what}")
    if (query.dtype.kind in "iu") != (gallery.dtype.kind in "iu"):
        raise UserError(
            f"query {what} are {query.dtype}, gallery {what} are {gallery.dtype}: give the same kind for both"
        )
    names, codes = np.unique(np.concatenate([query, gallery]), return_inverse=True)
    return codes[: len(query)], codes[len(query) :], names


def _labels(labels: Any, name: str) -> NDArray[Any]:
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu().numpy()
    array = np.asarray(labels)
    if array.ndim != 1:
        raise UserError(f"{name} must be a flat list; their shape is {array.shape}")
    if array.dtype.kind == "f" and (array == np.round(array)).all():
        return array.astype(np.int64)
    if array.dtype.kind == "u" and array.max(initial=0) > np.iinfo(np.int64).max:
        raise UserError(f"{name} hold {array.max()}, which does not fit 64 bits with a sign; number them")
    if array.dtype.kind in "iu":
        return array.astype(np.int64)  # together, unsigned and signed ones would become floats, and -1 no junk
    if array.dtype.kind not in "USO":
        raise UserError(f"{name} must be integers or strings; their type is {array.dtype}")
    return array.astype(str) if array.dtype.kind in "SO" else array
