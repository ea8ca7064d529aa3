"""Stores the proxies' counters, which add up over processes, machines and runs."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Dialect, case, func, literal

from core.masking.external import masked
from scraper.store.batches.batch import ProxyDelta
from scraper.store.schema.tables import proxies
from scraper.store.statements.upsert import insert

_SUMS = ("success_count", "error_count", "latency_sum", "latency_count")
_KEPT_WHEN_UNTOLD = ("address", "last_error", "last_error_at")


class ProxyStatements:
    """The statement that adds to a proxy's counters."""

    def __init__(self, dialect: Dialect) -> None:
        statement = insert(dialect, proxies)
        given = statement.excluded
        values = {name: given[name] for name in ("state", "consecutive_failures", "resting_until", "updated_at")}
        values |= {name: proxies.c[name] + given[name] for name in _SUMS}
        values |= {name: func.coalesce(given[name], proxies.c[name]) for name in _KEPT_WHEN_UNTOLD}
        count, total = values["latency_count"], values["latency_sum"]
        values["mean_latency_ms"] = case((count > 0, literal(1000.0) * total / count), else_=None)
        self._add = statement.on_conflict_do_update(index_elements=["name"], set_=values)

    def add(self, connection: Connection, deltas: Sequence[ProxyDelta], now: datetime) -> None:
        """Add the deltas one after the other: a process may report twice in one transaction."""
        for delta in sorted(deltas, key=lambda delta: delta.name):
            mean = 1000.0 * delta.latency_sum / delta.latency_count if delta.latency_count else None
            row = delta._asdict() | {"mean_latency_ms": mean, "updated_at": now}
            # sanitized at their source, and once more here, since others read this table
            for name in ("address", "last_error"):
                row[name] = masked(row[name]) if row[name] else None
            connection.execute(self._add, row)
