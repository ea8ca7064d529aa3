"""What errors of the drivers mean."""

import sqlite3
from collections.abc import Callable

import pytest
from sqlalchemy import exc

from scraper.store.faults import Fault, is_hopeless, judge, reason


def _sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    return error


def _postgres(state: str) -> Exception:
    error = RuntimeError("what PostgreSQL says")
    error.sqlstate = state  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "fault", "hopeless"),
    [
        (_sqlite(sqlite3.SQLITE_BUSY), Fault.BUSY, False),
        (_sqlite(sqlite3.SQLITE_BUSY | 2 << 8), Fault.BUSY, False),  # an extended code
        (_sqlite(sqlite3.SQLITE_FULL), Fault.AWAY, False),
        (_sqlite(sqlite3.SQLITE_IOERR), Fault.AWAY, False),
        (_sqlite(sqlite3.SQLITE_READONLY), Fault.AWAY, True),
        (_sqlite(sqlite3.SQLITE_CANTOPEN), Fault.AWAY, True),
        (_sqlite(sqlite3.SQLITE_NOTADB), Fault.AWAY, True),
        (_sqlite(sqlite3.SQLITE_CONSTRAINT), Fault.ROWS, True),
        (_postgres("40P01"), Fault.BUSY, False),  # deadlock
        (_postgres("40001"), Fault.BUSY, False),  # serialization
        (_postgres("57P01"), Fault.AWAY, False),  # shutting down
        (_postgres("57P03"), Fault.AWAY, False),  # starting up
        (_postgres("53300"), Fault.AWAY, False),  # too many connections
        (_postgres("53100"), Fault.AWAY, False),  # disk full
        (_postgres("25006"), Fault.AWAY, False),  # read only: a standby
        (_postgres("28P01"), Fault.AWAY, True),  # wrong password
        (_postgres("3D000"), Fault.AWAY, True),  # no such database
        (_postgres("42501"), Fault.AWAY, True),  # not allowed
        (_postgres("22P05"), Fault.ROWS, True),
        (_postgres("23502"), Fault.ROWS, True),
        (ConnectionRefusedError("refused"), Fault.AWAY, False),
        (TimeoutError(), Fault.AWAY, False),
        (exc.TimeoutError("no connection came free"), Fault.AWAY, False),
        (RuntimeError("connection is closed"), Fault.AWAY, False),
        (TypeError("str is not valid UTF-8"), Fault.ROWS, True),
    ],
)
def test_errors_are_judged_by_their_codes(error: Exception, fault: Fault, hopeless: bool) -> None:
    assert (judge(error), is_hopeless(error)) == (fault, hopeless)


@pytest.mark.parametrize("make", [_sqlite, lambda _code: ConnectionResetError("reset")])
def test_sqlalchemys_wrapping_changes_nothing(make: Callable[[int], Exception]) -> None:
    error = make(sqlite3.SQLITE_FULL)
    wrapped = exc.OperationalError("INSERT …", {"title": "secret"}, error)
    assert judge(wrapped) is Fault.AWAY
    assert reason(wrapped) == f"{type(error).__name__}: {error}"


def test_a_reason_is_one_short_line_without_passwords() -> None:
    text = reason(RuntimeError("could not reach\npostgresql://u:hush@host/x " + "x" * 500))
    assert "hush" not in text
    assert "\n" not in text
    assert len(text) <= 200
