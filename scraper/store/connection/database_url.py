"""Parses the database URL as people write it into the form of the drivers. Pure."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from core.config.addresses import sqlite_path
from core.config.parsers import InvalidValue
from core.config.postgres_url import SCHEMES, Host, PostgresAddress, read_postgres
from core.errors import PermanentError

#: Connection timeout for one server, seconds, unless the URL gives another `connect_timeout`: with several servers, the
#: next one must not wait long for a dead one.
_CONNECT_TIMEOUT = 10.0
_CONNECT_TIMEOUT_OF_SEVERAL = 4.0

# Known to libpq and not to asyncpg. These only tune the transport: they are left out.
_TUNING = re.compile(r"keepalives(_\w+)?|tcp_user_timeout|sslcompression|sslsni|load_balance_hosts")

# These would protect something, or change the meaning of texts. Their harmless values are left out; any other value is
# never dropped silently.
_GUARDS = {
    "channel_binding": ("prefer", "disable"),
    "gssencmode": ("prefer", "disable"),
    "sslcertmode": ("allow", "disable"),
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8", "auto"),
    "require_auth": (),
    "requirepeer": (),
    "sslcrldir": (),
    "hostaddr": (),
}

# Parameters of SQLAlchemy and asyncpg: 0 for a pooler that hands each transaction to another connection.
_CACHES = ("statement_cache_size", "prepared_statement_cache_size")

# Certificate files, and the values that stand for the machine's certificates.
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
SYSTEM = "system"

# Gapless writes: of the session types that libpq can request, these allow it.
_WRITING = ("any", "primary", "read-write")


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database on one or several servers; `arguments` are asyncpg's, including the password."""

    shown: str
    hosts: tuple[Host, ...]
    arguments: dict[str, Any]
    target: str = "any"  #: the required state of a server, in libpq's words
    files: dict[str, str] = field(default_factory=dict)  #: by parameter name
    uses_system_certificates: bool = False
    left_out: tuple[str, ...] = ()  #: names of parameters that asyncpg does not know and does not need

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"PostgresServer({self.shown})"


def read(url: str) -> SqliteFile | PostgresServer:
    """Parse a database URL. Raises PermanentError if a driver could not follow it."""
    path = sqlite_path(url)
    if path is not None:
        return SqliteFile(path)
    if not url.startswith(SCHEMES):
        raise PermanentError('DATABASE_URL must be "sqlite:///PATH" or "postgresql://user:password@host/name"')
    try:
        return _postgres(read_postgres(url))
    except InvalidValue as error:
        raise PermanentError(f"DATABASE_URL {error}") from None


def _postgres(address: PostgresAddress) -> PostgresServer:
    passed: list[tuple[str, str]] = []
    left_out: list[str] = []
    asked = dict(address.parameters)
    several = len(address.hosts) > 1
    arguments: dict[str, Any] = {"timeout": _CONNECT_TIMEOUT_OF_SEVERAL if several else _CONNECT_TIMEOUT}
    for name, value in address.parameters:
        if name == "connect_timeout":
            arguments["timeout"] = _seconds(value, arguments["timeout"])
        elif name in _CACHES and value.isdecimal():
            arguments[name] = int(value)
        elif name == "target_session_attrs" or (name, value) == ("sslrootcert", SYSTEM):
            continue
        elif _TUNING.fullmatch(name) or value in _GUARDS.get(name, ()):
            left_out.append(name)
        elif name in _GUARDS:
            raise PermanentError(f"DATABASE_URL contains {name}={value}, which asyncpg does not support: remove it")
        elif name in ("user", "password"):
            arguments[name] = value
        elif value:
            passed.append((name, value))
    arguments |= {name: text for name in ("user", "password") if (text := getattr(address, name)) is not None}
    if "application_name" not in asked:
        passed.append(("application_name", "gapless"))
    arguments["dsn"] = f"postgresql:///{quote(address.database or '', safe='')}?{urlencode(passed)}"
    return PostgresServer(
        address.shown,
        address.hosts,
        arguments,
        target=_target(asked.get("target_session_attrs"), several=several),
        files={name: asked[name] for name in _FILES if asked.get(name) and asked[name] != SYSTEM},
        uses_system_certificates=_uses_system_certificates(asked),
        left_out=tuple(left_out),
    )


def _target(asked: str | None, *, several: bool) -> str:
    """Return the required state of a server: with several, a writable one; a single one is taken as it is."""
    if asked is None:
        return "read-write" if several else "any"
    if asked not in _WRITING:
        raise PermanentError(
            f"DATABASE_URL contains target_session_attrs={asked}, but Gapless writes: use read-write or primary"
        )
    return "read-write" if several and asked == "any" else asked


def _uses_system_certificates(asked: dict[str, str]) -> bool:
    if asked.get("sslrootcert") != SYSTEM:
        return False
    mode = asked.get("sslmode", "verify-full")
    if mode != "verify-full":
        raise PermanentError(
            f"DATABASE_URL contains sslrootcert=system with sslmode={mode}, which checks too little: "
            f"the machine's certificates require sslmode=verify-full"
        )
    return True


def _seconds(text: str, usual: float) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise PermanentError(f"DATABASE_URL: connect_timeout={text} is not a number of seconds") from None
    return seconds if seconds > 0 else usual
