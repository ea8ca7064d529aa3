"""Server-sent events: the last half hour once, then every sample. A client that is too slow is dropped."""

import asyncio

import structlog
from aiohttp import web

from supervisor.monitor.snapshot.snapshot_builder import Snapshot

MOST_CLIENTS = 32

#: Seconds that a client may take to read an event, and the longest silence between two.
_PATIENCE = 10.0
_SILENCE = 5.0

#: A browser reconnects after this time, milliseconds.
_PREFACE = b"retry: 2000\n\n"
_STILL_HERE = b": still here\n\n"


class EventSubscribers:
    """All connected clients."""

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
        """Send a snapshot to every client that is ready; the others get the next one."""
        self._latest = snapshot
        news, self._news = self._news, asyncio.Event()
        news.set()

    def dismiss(self) -> None:
        """End all event streams before a stop."""
        self._over = True
        self._news.set()

    async def attend(self, request: web.Request) -> web.StreamResponse:
        """Serve one client until it disconnects."""
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
        """Wait for the next snapshot; send a comment as a sign of life meanwhile."""
        news = self._news
        try:
            async with asyncio.timeout(_SILENCE):
                await news.wait()
        except TimeoutError:
            return _STILL_HERE
        return self._latest.event if self._latest is not None else _STILL_HERE
