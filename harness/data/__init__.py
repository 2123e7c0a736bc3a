"""Datasets on disk: records, manifests, and the prepared cache that training reads."""

from harness.data.prepared import Prepared, Split, open_prepared
from harness.data.reading import read_dataset, read_folder
from harness.data.records import Dataset, ImageRecord

__all__ = ["Dataset", "ImageRecord", "Prepared", "Split", "open_prepared", "read_dataset", "read_folder"]
