"""The results as a database: a derived index over `results/`, rebuilt at any time, read by pages and terminal."""

from typing import TYPE_CHECKING

from harness.lazy import lazy_attributes

if TYPE_CHECKING:
    from harness.store.database import Store, open_store
    from harness.store.ingestion import IngestReport, ingest
    from harness.store.published import publish

__all__ = ["IngestReport", "Store", "ingest", "open_store", "publish"]

# Reading needs neither specs nor result files: the first page waits for no more than it uses.
__getattr__ = lazy_attributes(
    __name__,
    {
        "Store": "harness.store.database:Store",
        "open_store": "harness.store.database:open_store",
        "IngestReport": "harness.store.ingestion:IngestReport",
        "ingest": "harness.store.ingestion:ingest",
        "publish": "harness.store.published:publish",
    },
)
