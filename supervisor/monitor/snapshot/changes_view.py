"""Builds the page's data about later changes. Pure."""

from typing import Any

from core.status.changes_status import ChangesStatus
from supervisor.monitor.readiness.changes_reasons import OVERDUE_AFTER_S


def changes_view(changes: ChangesStatus, now: float, *, on: bool) -> dict[str, Any]:
    """Describe the looks, the changes by kind, and what waits; `on`: the process is configured."""
    overdue_s = changes.oldest_overdue_s(now)
    share = changes.share_on_time_1h
    return {
        "on": on,
        "checked": dict(changes.checked),
        "events": dict(changes.changes),
        "on_time": None if share is None else round(100.0 * share, 3),
        "overdue": changes.overdue,
        "overdue_s": round(overdue_s, 1),
        "old": overdue_s > OVERDUE_AFTER_S,
        "duties": dict(changes.duties),
        "spooled": changes.spooled,
    }
