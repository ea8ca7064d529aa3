"""Storage: tables, migrations, batched upserts, and the frontier with its leases."""

from scraper.store.batches.batch import Batch, Found, Progress, ProxyDelta, SaveOutcome
from scraper.store.batches.remaining_work import Lease, RemainingWork
from scraper.store.connection.store_errors import RowsRefused, StoreUnavailable
from scraper.store.statements.claims import Claims
from scraper.store.statements.counts import Counts
from scraper.store.store import Store

__all__ = [
    "Batch",
    "Claims",
    "Counts",
    "Found",
    "Lease",
    "Progress",
    "ProxyDelta",
    "RemainingWork",
    "RowsRefused",
    "SaveOutcome",
    "Store",
    "StoreUnavailable",
]
