"""The route to Reddit: direct, or through a proxy, whose address is parsed here once; and the errors of a proxy."""

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from core.config.proxies import Proxy
from core.reddit.request_errors import Unreachable


@dataclass(frozen=True, slots=True)
class Route:
    """A proxy's address, split into its parts; an empty host means a direct connection."""

    scheme: str = ""
    host: str = ""
    port: int = 0
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def through(cls, proxy: Proxy | None) -> "Route":
        """Parse the address of a proxy (it is percent-encoded in the configuration)."""
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
        """Whether the proxy speaks HTTP, plain or over TLS."""
        return self.scheme in ("http", "https")

    @property
    def url(self) -> str:
        """The proxy's address, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The value of the Proxy-Authorization header (RFC 7617, UTF-8)."""
        if not self.user and not self.password:
            return None
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def can_answer_itself(self, url: str) -> bool:
        """Return whether an answer from this URL may be the proxy's own: without TLS the proxy sees the request."""
        return self.is_http and url.startswith("http://")


class ProxyRefused(Unreachable):
    """The proxy itself answered: it does not forward the request. `status` is the HTTP status, if any."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class ProxyRejectsUs(ProxyRefused):
    """The proxy does not accept our user and password (407, or the SOCKS equivalent)."""


class ProxyResting(Unreachable):
    """The proxy failed too often and rests: nothing was sent, the task goes back."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the proxy rests for another {seconds:.0f} s, then it is tested again")
        self.seconds = seconds
