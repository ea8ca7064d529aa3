"""SOCKS5 proxies, by aiohttp-socks; imported only when such a proxy is configured."""

import asyncio
import ssl
from collections.abc import Callable

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError, ProxyType

from core.errors import PermanentError
from core.masking.external import outside
from scraper.http.transport.guarded_connections import guarded
from scraper.http.transport.route import Route

# the last: some proxies close the connection during the greeting when the password is wrong
ERRORS: tuple[type[Exception], ...] = (
    ProxyConnectionError,
    ProxyError,
    ProxyTimeoutError,
    asyncio.IncompleteReadError,
)


def connector(
    route: Route,
    connections: int,
    keep_alive: float | None,
    context: ssl.SSLContext | bool,
    distrusts: Callable[[], None],
) -> aiohttp.TCPConnector:
    """Create the connection pool. The proxy resolves names itself: our resolver would reveal the hosts that we contact.

    `keep_alive`: seconds; None closes each connection after its answer.
    """
    if not f"{route.user}{route.password}".isascii():
        raise PermanentError("user and password of a SOCKS proxy must be ASCII: use a proxy with such credentials")
    lifetime: dict[str, object] = {"force_close": True} if keep_alive is None else {"keepalive_timeout": keep_alive}
    return guarded(
        _Connector,
        distrusts,
        host=route.host,
        port=route.port,
        proxy_type=ProxyType.SOCKS5,
        username=route.user or None,
        password=route.password or None,
        rdns=True,
        limit=connections,
        ssl=context,
        **lifetime,
    )


class _Connector(ProxyConnector):
    """Does the TLS inside the tunnel itself.

    When the library is cancelled during the TLS handshake with a target that sends nothing, it waits for that target to
    close the connection, and so forever.
    """

    async def _connect_via_proxy(
        self,
        host: str,
        port: int,
        ssl: ssl.SSLContext | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's own)
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        try:
            tunnel, plain = await super()._connect_via_proxy(host, port, None, timeout)
        except ValueError as error:
            raise ProxyError(f"an answer that is not SOCKS ({outside(error)})") from error
        if ssl is None:
            return tunnel, plain
        protocol = _Encrypted(self._loop, plain)
        try:
            transport = await self._loop.start_tls(tunnel, protocol, ssl, server_hostname=host)
        except BaseException:
            tunnel.abort()
            raise
        if transport is None:
            raise ConnectionResetError("the connection was lost while it was encrypted")
        protocol.connection_made(transport)
        return transport, protocol


class _Encrypted(ResponseHandler):
    """Reads answers from the encrypted connection, and keeps the plain one below it alive."""

    def __init__(self, loop: asyncio.AbstractEventLoop, plain: ResponseHandler) -> None:
        super().__init__(loop)
        self._plain = plain
