"""SOCKS5 proxies, by aiohttp-socks; imported only where there is such a proxy."""

import ssl

import aiohttp
from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError, ProxyType

from core.errors import PermanentError
from scraper.fetch.route import Route

ERRORS: tuple[type[Exception], ...] = (ProxyConnectionError, ProxyError, ProxyTimeoutError)


def connector(route: Route, connections: int, keep_alive: float, context: ssl.SSLContext) -> aiohttp.TCPConnector:
    """Make the pool of connections. The proxy looks names up itself: ours would tell whom we ask."""
    if not f"{route.user}{route.password}".isascii():
        raise PermanentError("user and password of a SOCKS proxy must be ASCII: use one whose credentials are")
    return ProxyConnector(
        host=route.host,
        port=route.port,
        proxy_type=ProxyType.SOCKS5,
        username=route.user or None,
        password=route.password or None,
        rdns=True,
        limit=connections,
        keepalive_timeout=keep_alive,
        ssl=context,
    )
