"""One HTTP session, through one proxy or none: persistent connections, and errors translated into ours."""

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
import structlog
from yarl import URL

from core.config.slices import RedditAccess
from core.masking.external import outside
from core.reddit.request_errors import Unreachable
from scraper.http.transport.body_reader import TOKEN_BODY, BodyReader
from scraper.http.transport.guarded_connections import AnswerMemory, TracedResponse, guarded
from scraper.http.transport.route import ProxyRefused, ProxyRejectsUs, Route

log = structlog.stdlib.get_logger(__name__)

#: Seconds after which an unused connection is closed; long, because a quota lets each be used only now and then.
_KEEP_ALIVE = 30.0

#: Seconds after which addresses are resolved again.
_DNS_LIFETIME = 60

#: Connections for tokens and probes, which must get through while all others hang.
_RESERVED_CONNECTIONS = 2

#: Seconds to wait for a connection; the whole time of a request where that is less.
_CONNECT_TIMEOUT = 10.0


def _keep_open() -> None:
    """Leave the connection open: none is known."""


class Answer(NamedTuple):
    """One complete answer."""

    status: int
    headers: Mapping[str, str]  #: names in any case
    body: bytes
    seconds: float  #: from the request to its last byte
    repeated: bool = False  #: its connection brought the same answer for another address before
    discard: Callable[[], None] = _keep_open  #: closes its connection, even if another request uses it now


def uses_tls(access: RedditAccess) -> bool:
    """Return whether requests to Reddit need TLS, and so certificates."""
    return any(url.startswith("https:") for url in (access.reddit_url, access.oauth_url))


class Session:
    """Sends requests; each is answered completely, or fails, within `timeout` seconds. Must be opened within a loop."""

    def __init__(
        self, route: Route, timeout: float, connections: int, clock: Callable[[], float], *, encrypted: bool
    ) -> None:
        """`encrypted`: whether any https:// URL is requested."""
        self._encrypted = encrypted or route.scheme == "https"
        self._route = route
        self._timeout = timeout
        self._connections = connections
        self._clock = clock
        self.distrusted = 0  #: connections closed because of unrequested bytes
        self._memory = AnswerMemory()
        self._bodies = BodyReader()
        self._http: aiohttp.ClientSession | None = None
        self._apart: aiohttp.ClientSession | None = None
        self._library_errors: tuple[type[Exception], ...] = (aiohttp.ClientError, OSError)
        self._proxy = URL(route.url) if route.is_http else None
        authorization = route.authorization if route.is_http else None
        self._proxy_authorization = {"Proxy-Authorization": authorization} if authorization else None

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def open(self) -> None:
        """Create the connection pool; no connection is opened yet."""
        # use SSL_CERT_FILE as it is now, not as it was when aiohttp was imported; one for both: each takes 0.8 MiB
        context: ssl.SSLContext | bool = ssl.create_default_context() if self._encrypted else True
        self._http = self._open(context, keep=True)
        self._apart = self._open(context, keep=False)

    def _open(self, context: ssl.SSLContext | bool, *, keep: bool) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=self._connector(context, keep=keep),
            response_class=TracedResponse,
            timeout=aiohttp.ClientTimeout(
                total=self._timeout,
                sock_connect=min(_CONNECT_TIMEOUT, self._timeout),
                ceil_threshold=float("inf"),  # or it would be rounded up to a whole second
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip, deflate"},
        )

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._http, self._apart = (self._http, self._apart), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    def _count_distrusted(self) -> None:
        self.distrusted += 1
        log.warning("connection_not_trusted", reason="unrequested bytes arrived", count=self.distrusted)

    def _connector(self, context: ssl.SSLContext | bool, *, keep: bool) -> aiohttp.TCPConnector:
        limit = self._connections + _RESERVED_CONNECTIONS
        if self._route.is_socks:
            from scraper.http.transport import socks  # noqa: PLC0415 (only where it is needed: memory)

            self._library_errors += socks.ERRORS
            return socks.connector(self._route, limit, _KEEP_ALIVE if keep else None, context, self._count_distrusted)
        lifetime: dict[str, object] = {"keepalive_timeout": _KEEP_ALIVE} if keep else {"force_close": True}
        return guarded(
            aiohttp.TCPConnector,
            self._count_distrusted,
            limit=limit,
            ttl_dns_cache=_DNS_LIFETIME,
            ssl=context,
            **lifetime,
        )

    async def get(self, url: str, headers: dict[str, str], *, apart: bool = False) -> Answer:
        """Send a GET, with `apart` on a separate connection. Raises only Unreachable (also a proxy's) and TooLarge."""
        return await self._send("GET", url, headers, None, apart=apart)

    async def post(self, url: str, headers: dict[str, str], form: Mapping[str, str]) -> Answer:
        """Send a form. Raises only Unreachable (ProxyRefused, ProxyRejectsUs) and TooLarge."""
        return await self._send("POST", url, headers, form)

    async def _send(
        self, method: str, url: str, headers: dict[str, str], form: Mapping[str, str] | None, *, apart: bool = False
    ) -> Answer:
        http = self._apart if apart else self._http
        if http is None:
            raise RuntimeError("the session is not open: call start() first")
        address = URL(url, encoded=True)
        proxy_headers = None
        if self._proxy_authorization is not None:
            if address.scheme == "https":
                proxy_headers = self._proxy_authorization  # sent with CONNECT
            else:
                headers |= self._proxy_authorization
        began = self._clock()
        try:
            response = await http.request(
                method,
                address,
                headers=headers,
                data=form,
                allow_redirects=False,
                proxy=self._proxy,
                proxy_headers=proxy_headers,
            )
            body = await self._bodies.read(response, TOKEN_BODY if method == "POST" else None)
        except self._library_errors as error:
            # not "from error": aiohttp's own errors contain the headers, and with them secrets
            raise self._translate(error) from None
        if response.status == 407:
            raise ProxyRejectsUs(_REJECTED, 407)
        seconds = self._clock() - began
        if not isinstance(response, TracedResponse):
            return Answer(response.status, response.headers, body, seconds)
        repeated = self._memory.came_before(response, url, body)
        return Answer(response.status, response.headers, body, seconds, repeated, response.discard)

    def _translate(self, error: Exception) -> Unreachable:
        """Translate an error of the layers below into ours."""
        text = outside(error)
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if isinstance(error, aiohttp.ClientHttpProxyError):
            if error.status == 407:
                return ProxyRejectsUs(_REJECTED, 407)
            text = f"the proxy answered {error.status} ({outside(error.message)}): it does not reach Reddit"
            return ProxyRefused(text, error.status)
        if self._route.is_socks and "authenticat" in text:
            return ProxyRejectsUs(f"the proxy does not accept user and password: {text}")
        if isinstance(error, asyncio.IncompleteReadError):
            return Unreachable(
                f"the proxy closed the connection during the SOCKS greeting{_SOCKS_HINT if self._route.user else ''}"
            )
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            return Unreachable(f"no complete answer within {self._timeout:g} s ({type(error).__name__})")
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return Unreachable(f"{what}: set SSL_CERT_FILE if a proxy or server has its own certificate")
        return Unreachable(_refusal(error) or what)


def _refusal(error: Exception) -> str | None:
    """Return which side accepts no connection, and why, where the error is that simple."""
    if not isinstance(error, aiohttp.ClientConnectorError) or isinstance(error.os_error, ssl.SSLError):
        return None
    if not error.os_error.errno or error.os_error.errno < 0:  # of the resolver: its own message is better
        return None
    side = "the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else "Reddit"
    return f"{side} at {error.host}:{error.port} accepts no connection: {os.strerror(error.os_error.errno)}"


_SOCKS_HINT = ", as some do after a wrong user or password: check its url in [[scraper.proxies]]"

_REJECTED = "the proxy does not accept user and password (407): correct its url in [[scraper.proxies]]"
