"""Environment variables that change how the streams connect to Reddit: proxies and certificates. Pure.

`requests` reads the proxy variables itself (like curl: the lower-case name first). This module finds, shows and
checks them.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import Problem
from core.masking.printable import printable
from core.masking.redact import show_address, url_logins, url_passwords
from core.process import program

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")

#: In this order: the first variable that is set names the certificates that the streams trust.
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Network:
    """The variables that are set, by name."""

    proxies: Mapping[str, str]
    no_proxy: Mapping[str, str]
    certificates: Mapping[str, str]

    @property
    def ca_bundle(self) -> str | None:
        """The file (or directory) of trusted certificates; None for those of `certifi`."""
        return next(iter(self.certificates.values()), None)

    def shown(self) -> dict[str, str]:
        """Return every effective variable for display: passwords are masked."""
        used = {**self.proxies, **(self.no_proxy if self.proxies else {}), **self.certificates}
        return {name: printable(show_address(value)) for name, value in used.items()}

    def secrets(self) -> tuple[str, ...]:
        """Return the passwords in the addresses of proxies, for `core.masking.external.hide`."""
        return tuple(secret for value in self.proxies.values() for secret in url_passwords(value))

    def logins(self) -> tuple[tuple[str, str], ...]:
        """Return user and password of each proxy, as they are sent in a header."""
        return tuple(login for value in self.proxies.values() for login in url_logins(value))

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each value that would make every request fail."""
        for name, value in self.proxies.items():
            if advice := _bad_proxy(value):
                yield Problem(name, f"{advice}; correct it, or unset the variable", source="in the environment")
        for name, value in self.certificates.items():
            if not Path(value).exists():
                advice = "names a file that does not exist: correct the path of the certificates, or unset the variable"
                yield Problem(name, advice, value, "in the environment")


def network(environ: Mapping[str, str]) -> Network:
    """Return the variables. An empty one counts as not set, and hides the one in capitals, as in curl."""
    return Network(
        proxies=dict(_named(environ, _PROXIES)),
        no_proxy=dict(_named(environ, ("no_proxy",))),
        certificates=dict([(name, environ[name]) for name in _CERTIFICATES if environ.get(name)][:1]),
    )


def _named(environ: Mapping[str, str], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        found = name if name in environ else name.upper()
        if found == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
            continue  # in a CGI program the client sets it
        if environ.get(found, "").strip():
            yield found, environ[found]


def _bad_proxy(value: str) -> str | None:
    """Return the error in a proxy's address; the address itself may hold a password and is not repeated."""
    if value[0] in "\"'" or value != value.strip():
        return "must have no quotes and no white space around it"
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "is not an address such as http://host:port"
    if parts.scheme not in _SCHEMES:
        return f"must begin with one of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}"
    if not host:
        return "has no host: write an address such as http://host:port"
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socks") is None:
        return f"is a SOCKS proxy, which needs the package PySocks: {program.pip_install('PySocks')}"
    return None
