"""Server-sent events: the last half hour once, then every look; who does not keep up is let go."""

import asyncio

import structlog
from aiohttp import web

from supervisor.monitor.snapshot import Snapshot

MOST_CLIENTS = 32

#: How long a client may take to accept what it is sent, and how long it hears nothing at most, seconds.
_PATIENCE = 10.0
_SILENCE = 5.0

#: A browser that lost us comes back after so many milliseconds.
_PREFACE = b"retry: 2000\n\n"
_STILL_HERE = b": still here\n\n"


class Audience:
    """Everybody who listens."""

    def __init__(
        self, log: structlog.stdlib.BoundLogger, *, most: int = MOST_CLIENTS, patience: float = _PATIENCE
    ) -> None:
        self._log = log
        self._most = most
        self._patience = patience
        self._latest: Snapshot | None = None
        self._news = asyncio.Event()
        self._over = False
        self.clients = 0

    def tell(self, snapshot: Snapshot) -> None:
        """Send a snapshot to everybody who is ready for it; the others get the next one."""
        self._latest = snapshot
        news, self._news = self._news, asyncio.Event()
        news.set()

    def dismiss(self) -> None:
        """End all streams: we are stopping."""
        self._over = True
        self._news.set()

    async def attend(self, request: web.Request) -> web.StreamResponse:
        """Serve one client for as long as it listens."""
        if self.clients >= self._most:
            text = f"{self._most} clients are listening already: close a page, or ask again later.\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "30"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self.clients += 1
        try:
            await response.prepare(request)
            await self._send(response, _PREFACE + (self._latest.past() + self._latest.event if self._latest else b""))
            while not self._over:
                await self._send(response, await self._next())
        except TimeoutError:
            self._log.info("listener_dropped", reason="too slow")
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            self._log.debug("listener_gone")
        finally:
            self.clients -= 1
        return response

    async def _send(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._patience):
            await response.write(data)

    async def _next(self) -> bytes:
        """Wait for the next snapshot; while there is none, tell that we are here."""
        news = self._news
        try:
            async with asyncio.timeout(_SILENCE):
                await news.wait()
        except TimeoutError:
            return _STILL_HERE
        return self._latest.event if self._latest is not None else _STILL_HERE
