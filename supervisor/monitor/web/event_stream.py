"""Server-sent events: the last half hour once, then every sample. A client that is too slow is dropped."""

import asyncio

import structlog
from aiohttp import web

from supervisor.monitor.snapshot.snapshot_builder import Snapshot

MAX_CLIENTS = 32

#: Seconds that a client may take to read an event, and the longest silence between two.
_SEND_TIMEOUT_S = 10.0
_KEEPALIVE_S = 5.0

#: A browser reconnects after this time, milliseconds.
_RETRY = b"retry: 2000\n\n"
_KEEPALIVE = b": still here\n\n"


class EventSubscribers:
    """All connected clients."""

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        *,
        max_clients: int = MAX_CLIENTS,
        send_timeout: float = _SEND_TIMEOUT_S,
    ) -> None:
        self._log = log
        self._max_clients = max_clients
        self._send_timeout = send_timeout
        self._latest: Snapshot | None = None
        self._updated = asyncio.Event()
        self._closed = False
        self.clients = 0

    def publish(self, snapshot: Snapshot) -> None:
        """Send a snapshot to every client that is ready; the others get the next one."""
        self._latest = snapshot
        updated, self._updated = self._updated, asyncio.Event()
        updated.set()

    def close(self) -> None:
        """End all event streams before a stop."""
        self._closed = True
        self._updated.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one client until it disconnects."""
        if self.clients >= self._max_clients:
            text = f"{self._max_clients} clients are connected already: close a page, or try again later.\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "30"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self.clients += 1
        try:
            await response.prepare(request)
            await self._send(response, _RETRY + (self._latest.history() + self._latest.event if self._latest else b""))
            while not self._closed:
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
        async with asyncio.timeout(self._send_timeout):
            await response.write(data)

    async def _next(self) -> bytes:
        """Wait for the next snapshot; send a comment as a sign of life meanwhile."""
        updated = self._updated
        try:
            async with asyncio.timeout(_KEEPALIVE_S):
                await updated.wait()
        except TimeoutError:
            return _KEEPALIVE
        return self._latest.event if self._latest is not None else _KEEPALIVE
