"""The results as a database: a derived index over `results/`, rebuilt at any time, read by pages and terminal."""

from harness.store.database import Store, open_store
from harness.store.ingest import IngestReport, ingest
from harness.store.published import publish

__all__ = ["IngestReport", "Store", "ingest", "open_store", "publish"]
