"""Proxies of the scraper: each has a name, which also names its process, and an address, which may hold a password."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from core.config.addresses import split
from core.config.parsers import Fault, InvalidValue
from core.config.postgres_url import ENCODE, decoded
from core.masking.redact import show_address

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
# A user such as "ftp:" is more likely an unknown scheme
_ADDRESS = re.compile(
    r"(?:(?P<scheme>https?|socks5h?)://)?(?![a-z][a-z0-9+.-]*://)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
#: The name that means no proxy.
DIRECT = "direct"

_URL_ADVICE = 'must be "username:password@host:port", or the same after http://, https:// or socks5://'


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy; the address always has a scheme and a port, user and password are percent-encoded."""

    name: str
    url: str

    def __repr__(self) -> str:
        return f"Proxy(name={self.name!r}, url={show_address(self.url)!r})"

    def __str__(self) -> str:
        return f"{self.name} ({show_address(self.url)})"


def process_name(proxy: Proxy | None) -> str:
    """Return the process name for a proxy, or for direct requests."""
    return f"scraper-{proxy.name if proxy else DIRECT}"


def proxies(raw: object) -> tuple[Proxy, ...]:
    """Parse the list of [[scraper.proxies]] tables."""
    if not isinstance(raw, list | tuple):
        raise InvalidValue(
            "must be a list of tables: write [[scraper.proxies]], with two brackets, once for each proxy"
        )
    found: list[Proxy] = []
    faults: list[Fault] = []
    for index, item in enumerate(raw, start=1):
        if isinstance(item, Proxy):
            found.append(item)
        elif isinstance(item, Mapping):
            name, wrong_name = _name(item, f"[{index}]", {proxy.name.casefold() for proxy in found})
            url, wrong_url = _url(item, f"[{index}]")
            faults += [*wrong_name, *wrong_url, *_unknown_keys(item, f"[{index}]")]
            found.append(Proxy(name, url))
        else:
            faults.append(Fault('must be a table: name = "a", url = "user:password@host:port"', f"[{index}]", item))
    if faults:
        raise InvalidValue(*faults)
    return tuple(found)


def _name(item: Mapping[str, object], at: str, taken: set[str]) -> tuple[str, list[Fault]]:
    name = item.get("name")
    if name is None:
        advice = 'is missing: give the proxy a name, such as "a"; its process is called scraper-a'
        return "", [Fault(advice, f"{at}.name", missing=True)]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        advice = "must be 1 to 32 letters, digits, - or _, beginning with a letter or digit: it names a process"
        return "", [Fault(advice, f"{at}.name", name)]
    if name.casefold() in taken:
        return name, [
            Fault("is the name of another proxy: each proxy needs its own name", f"{at}.name", name, plain=True)
        ]
    return name, []


def _url(item: Mapping[str, object], at: str) -> tuple[str, list[Fault]]:
    if "url" not in item:
        return "", [Fault(f"is missing: {_URL_ADVICE}", f"{at}.url", missing=True)]
    url = normalised(item["url"])
    if url:
        return url, []
    advice = f"{_URL_ADVICE}; in user and password, {ENCODE}" if "@" in str(item["url"]) else _URL_ADVICE
    return "", [Fault(advice, f"{at}.url", item["url"])]


def _unknown_keys(item: Mapping[str, object], at: str) -> list[Fault]:
    unknown = [name for name in item if name not in ("name", "url")]
    return [Fault("unknown key; a proxy has the keys name and url", f"{at}.{name}", item[name]) for name in unknown]


def normalised(raw: object) -> str | None:
    """Return an address in the form scheme://user:password@host:port; None when that is not possible."""
    if not isinstance(raw, str):
        return None
    match = _ADDRESS.fullmatch(raw.strip())
    if match is None:
        return None
    scheme = (match["scheme"] or "http").lower()
    user_info, at, place = match["rest"].rstrip("/").rpartition("@")
    parts = split(f"{scheme}://{place}")
    if parts is None or re.search(r"\s", place) or not parts.hostname or not parts.port:
        return None
    if parts.path or parts.query or parts.fragment:
        return None
    if not at:
        return f"{scheme}://{place}"
    user, colon, password = user_info.partition(":")
    # Proxy providers issue passwords with any character, encoded or not: normalize both.
    encoded = quote(decoded(user), safe="") + colon + quote(decoded(password), safe="")
    return f"{scheme}://{encoded}@{place}"
