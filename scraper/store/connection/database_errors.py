"""Errors of the store, and the class of a database's error: wait and retry, or the rows are at fault. Pure."""

import enum
import sqlite3
import ssl

from sqlalchemy import exc

from core.errors import GaplessError, TransientError
from core.masking.external import outside
from scraper.store.connection.certificates import UnusableFileError
from scraper.store.connection.sqlite_engine import FileReplacedError


class StoreUnavailable(TransientError):
    """The database does not answer at present: the call was neither done nor lost, retry later."""


class RowsRefused(GaplessError):
    """The database refuses these rows, and nothing that could be replaced in them is the reason."""


_LONGEST_REASON = 200


class Fault(enum.Enum):
    """The reaction that an error requires."""

    BUSY = "busy"  #: a conflict with other transactions: retry
    AWAY = "away"  #: the database does not answer, or cannot write at present: wait and retry
    ROWS = "rows"  #: the database refuses the values


_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

#: At the start, waiting does not help against these; at run time they may come and go with a disk.
_SQLITE_HOPELESS = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}

_SQLITE_AWAY = _SQLITE_HOPELESS | {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
}

_SQLITE_MIXED_UP = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}

# SQLSTATEs by their class, the first two letters: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES_BUSY = {"40"}  # deadlock, serialization
_POSTGRES_ROWS = {"21", "22", "23", "42"}
_POSTGRES_HOPELESS = {"28", "3D", "3F", "42"}  # wrong password, no such database, schema or setting, no permission

# A failover: the connection is lost, the server shuts down or refuses writes; other connections may be the same.
_POSTGRES_LOST = {"08", "57"}
_READ_ONLY = "25006"
_CANCELED = "57014"  # of the class 57, and only about this one statement
_IN_RECOVERY = "recovery is in progress"

# The connection does not know a statement that was prepared on it: a pooler handed out another connection.
_STATEMENT_MISSED = {"26000", "42P05"}

_UNDEFINED_TABLE = "42P01"

# A pooler's message about a URL that it will never accept
_STATEMENT_POOLING = "statement pooling mode"
_POOLER_REFUSES = ("unsupported startup parameter", "no such database", "no such user", _STATEMENT_POOLING)
_LOCK_NOT_AVAILABLE = "55P03"
_INSUFFICIENT_PRIVILEGE = "42501"


def classify(error: BaseException) -> Fault:
    """Return the class of an error from SQLAlchemy or from a driver."""
    cause = _cause(error)
    if isinstance(cause, TransientError):  # ours, raised while connecting: the next attempt connects in another way
        return Fault.BUSY
    if isinstance(cause, UnusableFileError | FileReplacedError):  # may be in the middle of a renewal or replacement
        return Fault.AWAY
    if isinstance(cause, GaplessError):  # ours, and final: its text may quote an error that would pass
        return Fault.ROWS
    code, state = _sqlite_code(cause), _sqlstate(cause)
    if code is not None:
        return Fault.BUSY if code in _SQLITE_BUSY else Fault.AWAY if code in _SQLITE_AWAY else Fault.ROWS
    if state is not None:
        return _classify_postgres(state)
    if type(cause).__name__ == "InvalidCachedStatementError":  # another process changed the tables; no longer cached
        return Fault.BUSY
    if isinstance(cause, OSError | TimeoutError | EOFError | exc.TimeoutError):  # the last one: no free connection
        return Fault.AWAY
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return Fault.AWAY
    # asyncpg, on a broken connection; its other errors without a state are about the values it was given
    return Fault.AWAY if "connection" in str(cause) or "another operation" in str(cause) else Fault.ROWS


def is_hopeless(error: BaseException) -> bool:
    """Return whether an error that may pass at run time needs a person at the start."""
    cause = _cause(error)
    code, state = _sqlite_code(cause), _sqlstate(cause)
    if code in _SQLITE_HOPELESS or (state or "")[:2] in _POSTGRES_HOPELESS:
        return True
    if (state or "").startswith("08") and any(text in str(cause) for text in _POOLER_REFUSES):
        return True
    return _refuses_tls(cause) or classify(error) is Fault.ROWS


def _refuses_tls(cause: BaseException) -> bool:
    """Return whether both sides can never agree on TLS: a certificate of either is not accepted, or no TLS."""
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return isinstance(cause, ssl.SSLCertVerificationError) or "ALERT" in str(cause).upper()
    return "rejected SSL upgrade" in str(cause)  # asyncpg has no error class of its own for that


def advice_at_start(error: BaseException) -> str:
    """Return what to check when PostgreSQL cannot be used and waiting does not help."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError):
        return "check sslmode and the certificate files in DATABASE_URL, and the certificate of the server"
    if _STATEMENT_POOLING in str(cause):
        return "set pool_mode = transaction (or session) in the configuration of PgBouncer"
    if _refuses_tls(cause):
        return "the server offers no TLS: turn it on there (ssl = on), or change sslmode in DATABASE_URL"
    return "check user, password, host, database name and parameters in DATABASE_URL"


def loses_the_connection(error: BaseException) -> bool:
    """Return whether this connection and all those opened before it must be closed."""
    cause = _cause(error)
    state = _sqlstate(cause)
    if state is None:
        return classify(error) is Fault.AWAY
    if state == _READ_ONLY or (state[:2] in _POSTGRES_LOST and state != _CANCELED):
        return True
    return _IN_RECOVERY in str(cause)


def misses_a_statement(error: BaseException) -> bool:
    """Return whether a prepared statement is missing on its connection: a pooler is between us and the database."""
    cause = _cause(error)
    return _sqlstate(cause) in _STATEMENT_MISSED or (
        (_sqlstate(cause) or "").startswith("08") and "prepared statement" in str(cause)
    )


def is_mixed_up(error: BaseException) -> bool:
    """Return whether a table that existed at the start is gone, or the file is unreadable.

    The latter also when a connection holds one file of the database from before a replacement, and one from after it.
    """
    cause = _cause(error)
    code = _sqlite_code(cause)
    if code is not None:
        return code in _SQLITE_MIXED_UP or (code == sqlite3.SQLITE_ERROR and "no such table: " in str(cause))
    return _sqlstate(cause) == _UNDEFINED_TABLE


def reason(error: BaseException) -> str:
    """Describe the error in one short line, without statements and parameters."""
    cause = _cause(error)
    line = outside(cause, _LONGEST_REASON)
    name = type(cause).__name__
    return f"{name}: {line}"[:_LONGEST_REASON] if line else name


def _classify_postgres(state: str) -> Fault:
    if state[:2] in _POSTGRES_BUSY or state == _LOCK_NOT_AVAILABLE or state in _STATEMENT_MISSED:
        return Fault.BUSY
    if state[:2] in _POSTGRES_ROWS and state != _INSUFFICIENT_PRIVILEGE:
        return Fault.ROWS
    return Fault.AWAY  # connection lost, shutdown, no disk space, memory or connection left, read-only, access refused


def _cause(error: BaseException) -> BaseException:
    """Return the driver's own error: SQLAlchemy's texts contain the statement and may contain its parameters."""
    if not isinstance(error, exc.DBAPIError):
        return error
    return getattr(error.orig, "orig", None) or error.orig or error


def _sqlite_code(cause: BaseException) -> int | None:
    code = getattr(cause, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _sqlstate(cause: BaseException) -> str | None:
    state = getattr(cause, "sqlstate", None)
    return state if isinstance(state, str) else None
