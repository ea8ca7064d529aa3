"""Storage: tables, migrations, batched upserts, and the frontier with its leases."""

from scraper.store.batch import Batch, Found, Outcome, Progress, ProxyDelta
from scraper.store.claims import Claims
from scraper.store.counts import Counts
from scraper.store.errors import RowsRefused, StoreUnavailable
from scraper.store.store import Store
from scraper.store.todo import Lease, Todo

__all__ = [
    "Batch",
    "Claims",
    "Counts",
    "Found",
    "Lease",
    "Outcome",
    "Progress",
    "ProxyDelta",
    "RowsRefused",
    "Store",
    "StoreUnavailable",
    "Todo",
]
