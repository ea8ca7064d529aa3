"""Corrects dates further ahead than any pause of ours: a clock was wrong when they were written. They count as now.

Otherwise one such date would keep a subreddit, a user or a row from ever being fetched or written again.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import BindParameter, ColumnElement, Connection, Dialect, bindparam, delete, literal_column, or_, update

from scraper.store.schema.tables import claims, frontier

log = structlog.stdlib.get_logger(__name__)

#: The longest wait before a new request, unless `refresh_after` is longer.
LONGEST_PAUSE = timedelta(days=31)

#: The longest duration of a lease or a claim at one time.
LONGEST_HOLD = timedelta(hours=1)


def beyond_any_pause(dialect: Dialect) -> ColumnElement[datetime]:
    """Return SQL for the latest credible date of a row, by the database's clock."""
    days = LONGEST_PAUSE.days
    if dialect.name == "sqlite":
        return literal_column(f"strftime('%Y-%m-%d %H:%M:%f', 'now', '+{days} days')")
    return literal_column(f"now() + interval '{days} days'")


class DateStatements:
    """The statements that correct the frontier and the claims."""

    def __init__(self) -> None:
        now: BindParameter[datetime] = bindparam("now")
        free = {"leased_by": None, "leased_until": None}
        too_late = or_(
            frontier.c.due_at > bindparam("latest"),
            frontier.c.settled & (frontier.c.due_at > bindparam("latest_hold")),
            frontier.c.leased_until > bindparam("latest_hold"),
        )
        self._due = update(frontier).where(too_late).values(due_at=now, **free)
        self._avoided = update(frontier).where(frontier.c.avoided_until > bindparam("latest")).values(avoided_until=now)
        self._claims = delete(claims).where(claims.c.until > bindparam("latest_hold"))

    def correct(self, connection: Connection, now: datetime, refresh_after: float) -> int:
        """Correct all rows; return the number of corrections."""
        moments = {
            "now": now,
            "latest": now + max(LONGEST_PAUSE, timedelta(seconds=2.0 * refresh_after)),
            "latest_hold": now + LONGEST_HOLD,
        }
        corrected = 0
        for statement in (self._due, self._avoided, self._claims):
            corrected += connection.execute(statement, moments).rowcount
        if corrected:
            log.warning(
                "future_dates_corrected",
                rows=corrected,
                hint="a clock was ahead when they were written; they count as now",
            )
        return corrected
