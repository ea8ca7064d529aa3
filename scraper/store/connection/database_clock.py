"""The current time by the database's clock: machines whose clocks differ agree on due times and leases."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection

log = structlog.stdlib.get_logger(__name__)

#: A difference between a machine's clock and the database's that is worth a log line, seconds.
_NOTABLE = 5.0


def machine_clock() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


class DatabaseClock:
    """Reads the database's clock within transactions, and extrapolates between them.

    A SQLite file is on this machine, whose clock is the only one.

    Args:
        fixed: a clock to use in place of the database's, for tests.
    """

    def __init__(
        self,
        fixed: Callable[[], datetime] | None = None,
        *,
        machine: Callable[[], datetime] = machine_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fixed = fixed
        self._machine = machine
        self._monotonic = monotonic
        self._read: tuple[datetime, float] | None = None

    def __call__(self) -> datetime:
        """Return the time of the last reading plus the time passed since."""
        if self._fixed is not None:
            return self._fixed()
        if self._read is None:
            return self._machine()
        moment, at = self._read
        return moment + timedelta(seconds=self._monotonic() - at)

    def read(self, connection: Connection) -> datetime:
        """Read the time, within a transaction."""
        if self._fixed is not None or connection.dialect.name == "sqlite":
            return self._fixed() if self._fixed is not None else self._machine()
        moment: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        if self._read is None:
            self._compare(moment)
        self._read = moment, self._monotonic()
        return moment

    def _compare(self, moment: datetime) -> None:
        seconds = (self._machine() - moment).total_seconds()
        if abs(seconds) >= _NOTABLE:
            hint = "due times and leases use the database's clock; synchronize this machine's clock with NTP"
            log.warning("clock_differs_from_database", ahead_seconds=round(seconds, 1), hint=hint)
