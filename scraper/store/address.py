"""What a person writes as the database's address, as the drivers take it. Pure."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from core.config.address import sqlite_path
from core.errors import PermanentError

#: How long to wait for a connection, seconds, unless the address says another `connect_timeout`.
_CONNECT_TIMEOUT = 10.0

# What libpq knows and asyncpg does not. These only tune the transport: they are left out.
_TUNING = re.compile(r"keepalives(_\w+)?|tcp_user_timeout|sslcompression|sslsni|load_balance_hosts")

# These would guard against something. Their harmless values are left out; a strict one is not silently dropped.
_GUARDS = {
    "channel_binding": ("prefer", "disable"),
    "gssencmode": ("prefer", "disable"),
    "sslcertmode": ("allow", "disable"),
    "require_auth": (),
    "requirepeer": (),
    "sslcrldir": (),
}

# SQLAlchemy's and asyncpg's own: 0 for a pooler that hands each transaction to another connection.
_CACHES = ("statement_cache_size", "prepared_statement_cache_size")


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database of a server; `arguments` are asyncpg's, the password among them."""

    shown: str
    arguments: dict[str, Any]
    left_out: tuple[str, ...]  # names of parameters that asyncpg does not know and need not

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"PostgresServer({self.shown})"


def read(url: str) -> SqliteFile | PostgresServer:
    """Take an address apart. Raises PermanentError where a driver could not follow it."""
    path = sqlite_path(url)
    if path is not None:
        return SqliteFile(path)
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise PermanentError('DATABASE_URL must be "sqlite:///PATH" or "postgresql://user:password@host/name"')
    return _postgres(parts)


def _postgres(parts: SplitResult) -> PostgresServer:
    passed: list[tuple[str, str]] = []
    left_out: list[str] = []
    # user and password apart: asyncpg would cut a password with an "@" in it at the wrong place
    arguments: dict[str, Any] = {"timeout": _CONNECT_TIMEOUT}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "connect_timeout":
            arguments["timeout"] = _seconds(value)
        elif name in _CACHES and value.isdecimal():
            arguments[name] = int(value)
        elif _TUNING.fullmatch(name) or value in _GUARDS.get(name, ()):
            left_out.append(name)
        elif name in _GUARDS:
            raise PermanentError(f"DATABASE_URL asks for {name}={value}, which asyncpg cannot give: take it out")
        elif name in ("user", "password"):
            arguments[name] = value
        else:
            passed.append((name, value))
    user_info, _, place = parts.netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    arguments |= {name: unquote(text) for name, text in (("user", user), ("password", password)) if text}
    if "application_name" not in dict(passed):
        passed.append(("application_name", "gapless"))
    query = f"?{urlencode(passed)}"
    arguments["dsn"] = f"postgresql://{place}{parts.path}{query}"
    return PostgresServer(f"{place or 'PostgreSQL'}{parts.path}", arguments, tuple(left_out))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise PermanentError(f"DATABASE_URL: connect_timeout={text} is no number of seconds") from None
    return seconds if seconds > 0 else _CONNECT_TIMEOUT
