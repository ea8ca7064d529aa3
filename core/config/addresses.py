"""Parses addresses: of Reddit, Kafka, the database and a machine."""

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from core.config.parsers import Fault, InvalidValue
from core.config.postgres_url import postgres_url

EMBEDDED = "embedded"  # bootstrap_servers: start a local broker

_PROTOCOL = r"(?:(?:PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)://)?"
_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)"
_SERVER = re.compile(rf"{_PROTOCOL}{_HOST}(?::(?P<port>\d{{1,5}}))?", re.IGNORECASE)
_PLAIN = re.compile(r"(?:[a-z][a-z0-9+]{0,15}:/{0,3})?[a-z0-9._,-]*(?::[0-9]{0,5})?(?:/[a-z0-9._/-]*)?", re.IGNORECASE)
#: Most characters of a topic's name.
LONGEST_TOPIC = 249
_TOPIC = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST_TOPIC}}}", re.ASCII)


def split(url: str) -> SplitResult | None:
    """Split an address; return None when it is not one (urlsplit raises on a bad port or bracket, sometimes late)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts if port != 0 else None


def is_plain(raw: object) -> bool:
    """Return whether a value that is not an address may be shown: nothing in it can be a password."""
    return not isinstance(raw, str) or all(_PLAIN.fullmatch(part.strip()) for part in raw.split(","))


def is_plain_sqlite(raw: object) -> bool:
    """Return the same for a database's address: only a file's address has no password."""
    return isinstance(raw, str) and raw.strip().startswith("sqlite:") and is_plain(raw)


def http_url(raw: object) -> str:
    """Parse the base address of a web server."""
    advice = 'must be the address of a server, such as "https://oauth.reddit.com"'
    if not isinstance(raw, str):
        raise InvalidValue(advice)
    parts = split(raw.strip())
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", raw.strip()):
        raise InvalidValue(advice)
    if parts.query or parts.fragment or parts.username is not None:
        raise InvalidValue(f"{advice}, without user, query or fragment")
    return raw.strip().rstrip("/")


def bootstrap_servers(raw: object) -> str:
    """Parse `host:port,host:port`, or the word that requests a local broker."""
    advice = 'must be "host:port", several separated by commas, or "embedded" for a local broker'
    if not isinstance(raw, str):
        raise InvalidValue(advice)
    servers = [server.strip() for server in raw.split(",")]
    if servers == [EMBEDDED]:
        return EMBEDDED
    wrong = [number for number, server in enumerate(servers, start=1) if not _is_server(server)]
    if wrong:
        raise InvalidValue(*(Fault(advice, at=f" (server {number})" if len(servers) > 1 else "") for number in wrong))
    return ",".join(servers)


def _is_server(server: str) -> bool:
    match = _SERVER.fullmatch(server)
    return match is not None and (match["port"] is None or 0 < int(match["port"]) < 65536)


def topic(raw: object) -> str:
    """Parse the name of a topic by Kafka's rules."""
    if isinstance(raw, str) and _TOPIC.fullmatch(raw) and raw not in (".", ".."):
        return raw
    raise InvalidValue('must be 1 to 249 letters, digits, ".", "_" or "-", such as "reddit-posts"')


def other_topic(raw: object) -> str:
    """Parse the name of a topic that has a default; empty: the default."""
    if raw == "":
        return ""
    try:
        return topic(raw)
    except InvalidValue as wrong:
        raise InvalidValue(f"{wrong}, or empty for the default") from None


def database_url(raw: object) -> str:
    """Parse the address of a SQLite file or of a PostgreSQL database."""
    if not isinstance(raw, str):
        raise InvalidValue('must be "sqlite:///PATH" or "postgresql://user:password@host/name"')
    url = raw.strip()
    if not url.startswith("sqlite:"):
        return postgres_url(url)
    if sqlite_path(url) in (None, Path(":memory:")):
        raise InvalidValue('must name a file that several processes can share, such as "sqlite:///state/reddit.db"')
    return url


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite address; None when the address is of another kind or names no file."""
    if not url.startswith("sqlite:///"):
        return None
    name = url.removeprefix("sqlite:///").partition("?")[0]
    return Path(name) if name else None


def host(raw: object) -> str:
    """Parse the name or IP address of a machine to listen on."""
    if isinstance(raw, str) and (re.fullmatch(_HOST, raw) or re.fullmatch(r"[0-9A-Fa-f:.]+", raw)):
        return raw
    raise InvalidValue(
        'must be a host name or an IP address of this machine, such as "127.0.0.1"; "0.0.0.0" means all addresses'
    )
