"""What errors of the drivers mean."""

import sqlite3
import ssl
from collections.abc import Callable

import asyncpg
import pytest
from sqlalchemy import exc

from core.errors import PermanentError
from scraper.store.connection.database_errors import (
    Fault,
    StoreUnavailable,
    advice_at_start,
    classify,
    is_hopeless,
    is_mixed_up,
    loses_the_connection,
    misses_a_statement,
    reason,
)


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
        (PermanentError("cannot be used (connection was closed): a person must act"), Fault.ROWS, True),
        (StoreUnavailable("the connection was lost"), Fault.BUSY, False),
    ],
)
def test_errors_are_judged_by_their_codes(error: Exception, fault: Fault, hopeless: bool) -> None:
    assert (classify(error), is_hopeless(error)) == (fault, hopeless)


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (_postgres("25006"), True),  # read only
        (_postgres("57P01"), True),  # the server shuts down
        (_postgres("57P02"), True),  # it crashed
        (_postgres("57P03"), True),  # it starts
        (_postgres("57P04"), True),  # the database is dropped
        (_postgres("57P05"), True),  # the session was idle for too long
        (_postgres("08006"), True),
        (_postgres("08P01"), True),
        (ConnectionResetError("reset"), True),
        (TimeoutError(), True),
        (RuntimeError("connection is closed"), True),
        (RuntimeError("another operation is in progress"), True),
        (_postgres("57014"), False),  # this statement was cancelled
        (_postgres("40P01"), False),
        (_postgres("23505"), False),
        (_postgres("53100"), False),
    ],
)
def test_what_a_failover_looks_like(error: Exception, lost: bool) -> None:
    assert loses_the_connection(error) is lost


@pytest.mark.parametrize(("state", "missed"), [("26000", True), ("42P05", True), ("42P01", False)])
def test_what_a_pooler_looks_like(state: str, missed: bool) -> None:
    error = _postgres(state)
    assert misses_a_statement(error) is missed
    assert (classify(error) is Fault.BUSY) is missed


def test_what_a_replaced_database_looks_like() -> None:
    gone = sqlite3.OperationalError("no such table: reddit_posts")
    gone.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert [is_mixed_up(error) for error in (gone, _sqlite(sqlite3.SQLITE_NOTADB), _postgres("42P01"))] == [True] * 3
    assert [is_mixed_up(error) for error in (_sqlite(sqlite3.SQLITE_BUSY), _postgres("23505"))] == [False] * 2


@pytest.mark.parametrize("make", [_sqlite, lambda _code: ConnectionResetError("reset")])
def test_sqlalchemys_wrapping_changes_nothing(make: Callable[[int], Exception]) -> None:
    error = make(sqlite3.SQLITE_FULL)
    wrapped = exc.OperationalError("INSERT …", {"title": "secret"}, error)
    assert classify(wrapped) is Fault.AWAY
    assert reason(wrapped) == f"{type(error).__name__}: {error}"


def test_a_reason_is_one_short_line_without_passwords() -> None:
    text = reason(RuntimeError("could not reach\npostgresql://u:hush@host/x " + "x" * 500))
    assert "hush" not in text
    assert "\n" not in text
    assert len(text) <= 200


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'), "offers no TLS"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate files"),
        (asyncpg.ProtocolViolationError("statement pooling mode: no transactions"), "pool_mode"),
        (asyncpg.InvalidPasswordError("password authentication failed"), "user, password"),
        (asyncpg.InvalidCatalogNameError("no such database"), "database name"),
    ],
)
def test_the_advice_fits_the_error(error: Exception, named: str) -> None:
    assert is_hopeless(error)
    assert named in advice_at_start(error)
    assert ("password" in advice_at_start(error)) == ("asyncpg" in type(error).__module__ and named != "pool_mode")
