"""Parses addresses of PostgreSQL servers: libpq's syntax, and passwords with any character. Pure.

A person pastes a password as it is, or percent-encodes it. Every "@" of an address may be the one that ends user and
password. It is, if a server and a database follow it. If several qualify, the address is ambiguous.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, unquote_plus

from core.config.parsers import Fault, InvalidValue
from core.masking.redact import MASK

SCHEMES = ("postgresql://", "postgres://")

#: Precedes the part of a message that asks for percent-encoding.
ENCODE = 'percent-encode the special characters of addresses, such as "@" (%40), "/" (%2F), "?" (%3F) and "#" (%23)'

_ADVICE = 'must be "sqlite:///PATH" or "postgresql://user:password@host/name"'

_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.%-]+)"
_PLACE = re.compile(
    rf"(?P<hosts>(?:{_HOST})?(?::\d{{0,5}})?(?:,(?:{_HOST})?(?::\d{{0,5}})?)*)"
    r"(?:/(?P<database>[^/?#@]*))?"
    r"(?:\?(?P<query>[A-Za-z_][\w.]*=[^&]*(?:&[A-Za-z_][\w.]*=[^&]*)*)?)?",
    re.ASCII | re.DOTALL,
)
_USER = re.compile(r"[^/?#:]*")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

# A "+" means a space in these; in passwords and paths it is a plain "+", as in libpq.
_WORDS = ("application_name", "options")

# characters that RFC 3986 allows in the part before the "@"
_PLAIN = "!$&'()*+,;=~"

Host = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """An address, split and decoded. Empty texts are None."""

    user: str | None
    password: str | None = field(repr=False)
    hosts: tuple[Host, ...]  #: name, IP address or socket directory; port, None for the default
    database: str | None
    parameters: tuple[tuple[str, str], ...] = field(repr=False)  #: without host, port and dbname

    @property
    def shown(self) -> str:
        """The servers and the database, for display."""
        servers = ",".join(name if port is None else f"{_bracketed(name)}:{port}" for name, port in self.hosts)
        return f"{servers or 'PostgreSQL'}/{self.database or ''}"


def read_postgres(url: str) -> PostgresAddress:
    """Parse an address. Raises InvalidValue, whose text shows no part of a password."""
    user_info, place = _split(url)
    user, _, password = user_info.partition(":")
    pairs = (pair.partition("=") for pair in (place["query"] or "").split("&") if pair)
    given = [(name, unquote_plus(value) if name in _WORDS else decoded(value)) for name, _, value in pairs]
    named = {name: value for name, value in given if name in ("dbname", "database")}
    return PostgresAddress(
        user=decoded(user) or None,
        password=decoded(password) or None,
        hosts=_hosts(place["hosts"], given),
        database=unquote(place["database"] or "") or named.get("dbname") or named.get("database") or None,
        parameters=tuple((name, value) for name, value in given if name not in ("host", "port", "dbname", "database")),
    )


def postgres_url(url: str) -> str:
    """Return the address in the form that every program reads alike: user and password percent-encoded."""
    read_postgres(url)
    scheme, found, rest = url.partition("://")
    user_info, place = _split(url)
    if not user_info:
        return url
    user, colon, password = user_info.partition(":")
    encoded = quote(decoded(user), safe=_PLAIN) + colon + quote(decoded(password), safe=_PLAIN)
    return f"{scheme}{found}{encoded}@{place.group()}" if rest else url


def decoded(text: str) -> str:
    """Decode a user or a password; if a "%" begins no code, the text is used as it is."""
    if _BARE_PERCENT.search(text):
        return text
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def shown_url(url: str) -> str:
    """Return the address without the password; no part of an address that cannot be parsed."""
    try:
        address = read_postgres(url)
    except InvalidValue:
        return "(hidden)"
    user = f"{address.user}{'' if address.password is None else f':{MASK}'}@" if address.user else ""
    return f"postgresql://{user}{address.shown}"


def _split(url: str) -> tuple[str, re.Match[str]]:
    rest = next((url.removeprefix(scheme) for scheme in SCHEMES if url.startswith(scheme)), None)
    if rest is None:
        raise InvalidValue(Fault(_ADVICE))
    readings = list(_readings(rest))
    if not readings:
        advice = f"{_ADVICE}: a host and a database name are required\nin a password, {ENCODE}"
        raise InvalidValue(Fault(advice))
    if len(readings) > 1:
        advice = f"is ambiguous: in user, password and parameters, {ENCODE}"
        raise InvalidValue(Fault(advice))
    return readings[0]


def _readings(rest: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield every way to split what follows the scheme: the part before an "@", and the place after it."""
    ends = [None, *(at for at, character in enumerate(rest) if character == "@")]
    for end in ends:
        user_info, place = ("", rest) if end is None else (rest[:end], rest[end + 1 :])
        match = _PLACE.fullmatch(place)
        if match is not None and _USER.fullmatch(user_info.partition(":")[0]) and _is_whole(match):
            yield user_info, match


def _is_whole(place: re.Match[str]) -> bool:
    query = f"&{place['query'] or ''}"
    has_host = any(host and host[0] != ":" for host in place["hosts"].split(",")) or "&host=" in query
    ports = [int(port) for port in re.findall(r":(\d+)(?:,|\Z)", place["hosts"])]
    return has_host and bool(place["database"] or re.search("&(?:dbname|database)=.", query)) and _are_ports(ports)


def _are_ports(ports: list[int]) -> bool:
    return all(0 < port < 65536 for port in ports)


def _hosts(text: str, given: list[tuple[str, str]]) -> tuple[Host, ...]:
    """Return the servers: of the address itself, or of its parameters `host` and `port`, a list or one each."""
    ports = [port for name, value in given if name == "port" for port in value.split(",")]
    if not all(re.fullmatch(r"\d{1,5}|", port, re.ASCII) for port in ports):
        raise InvalidValue(Fault("port must be a number"))
    among = [host for name, value in given if name == "host" for host in value.split(",")]
    written = text.split(",") if text else among
    if len(ports) not in (0, 1, len(written)):
        raise InvalidValue(
            Fault(f"has {len(written)} hosts and {len(ports)} ports: write one port, or one for each host")
        )
    if not _are_ports([int(port) for port in ports if port]):
        raise InvalidValue(Fault("port must be 1 to 65535"))
    usual = (ports * len(written))[: len(written)] if len(ports) < 2 else ports
    usual += [""] * (len(written) - len(usual))
    return tuple(_host(host, int(port) if port else None) for host, port in zip(written, usual, strict=True))


def _host(text: str, usual: int | None) -> Host:
    text = unquote(text)
    if text.startswith("/") or (text.count(":") > 1 and not text.startswith("[")):
        return text, usual
    match = re.fullmatch(r"(?P<name>\[[^]]*\]|[^:]*)(?::(?P<port>\d*))?", text, re.ASCII)
    if match is None:
        raise InvalidValue(Fault("host must be a name or an IP address, with or without a port"))
    return match["name"].strip("[]") or "localhost", int(match["port"]) if match["port"] else usual


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name
