"""The way to Reddit: straight, or through a proxy, whose address is taken apart here once."""

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from core.config.proxies import Proxy


@dataclass(frozen=True, slots=True)
class Route:
    """A proxy's address, without user and password in it; no host: the straight way."""

    scheme: str = ""
    host: str = ""
    port: int = 0
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def through(cls, proxy: Proxy | None) -> "Route":
        """Take the address of a proxy apart (it stands percent-encoded in the configuration)."""
        if proxy is None:
            return cls()
        parts = urlsplit(proxy.url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.scheme, parts.hostname or "", parts.port or 0, user, password)

    @property
    def is_socks(self) -> bool:
        """Whether the proxy speaks SOCKS5."""
        return self.scheme.startswith("socks5")

    @property
    def is_http(self) -> bool:
        """Whether the proxy speaks HTTP, in clear or encrypted."""
        return self.scheme in ("http", "https")

    @property
    def url(self) -> str:
        """The proxy's address, with nothing secret in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The value of the header Proxy-Authorization (RFC 7617, UTF-8)."""
        if not self.user and not self.password:
            return None
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def can_answer_itself(self, url: str) -> bool:
        """Tell whether an answer from this address may be the proxy's own: it reads along, nothing is encrypted."""
        return self.is_http and url.startswith("http://")
