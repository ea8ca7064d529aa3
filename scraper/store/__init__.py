"""Storage: tables, migrations, batched upserts, and the frontier with its leases."""

from scraper.store.batches.batch import Batch, Found, Lease, Progress, ProxyDelta, RemainingWork, SaveOutcome
from scraper.store.connection.database_errors import RowsRefused, StoreUnavailable
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
