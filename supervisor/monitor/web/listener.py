"""Accept the monitor's connections: within limits, each request complete before aiohttp sees it.

aiohttp limits neither the time of a request's head nor the number of connections. A thin protocol in front of it
buffers a head until it is complete, passes it on, and closes slow connections. One request at a time: when a client
sends several at once, the first is answered and the connection is closed.
"""

import asyncio
import logging
import re
import resource
from collections.abc import Callable
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from supervisor.monitor.web.connection_limits import (
    BAD_REQUEST,
    EVICTED,
    REASONS,
    Connection,
    Connections,
    Limits,
    Phase,
    origin_of,
)
from supervisor.monitor.web.counted_log import ThrottledCountLog

EVENTS_PATH = "/api/events"

#: Bytes of a head buffered here; aiohttp refuses longer ones.
_MAX_HEAD = 65_536
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_MAX_HEAD_END = 4
_BODY_FOLLOWS = re.compile(rb"\n(content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)

_CHECK_INTERVAL_S = 0.5

#: Backlog of the listening socket: a client refused in a burst would wait a second or more.
_BACKLOG = 1024

_TIMEOUT_RESPONSE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Listener:
    """Listens from `listen` to `close`; `connections` are those that are open."""

    def __init__(self, log: structlog.stdlib.BoundLogger, limits: Limits | None = None) -> None:
        """Without `limits`, the limit of file descriptors decides."""
        self.connections = Connections(limits or Limits.of_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
        hint = "these clients sent bad requests, opened too many connections or were too slow; others are served"
        self.dropped = ThrottledCountLog(log, "connections_dropped", hint)
        self._gates: dict[Connection, _Gate] = {}
        self._by_transport: dict[object, Connection] = {}
        self._server: asyncio.AbstractServer | None = None
        self._check_timer: asyncio.TimerHandle | None = None
        self._make: Callable[[], asyncio.Protocol] | None = None

    async def listen(self, make: Callable[[], asyncio.Protocol], host: str, port: int) -> None:
        """Listen on host and port; `make` gives aiohttp's protocol for a connection. Raises OSError."""
        self._make = make
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Gate(self), host, port, backlog=_BACKLOG)

    def close(self) -> None:
        """Stop listening; close the connections without a request."""
        if self._server is not None:
            self._server.close()
        if self._check_timer is not None:
            self._check_timer.cancel()
        for gate in list(self._gates.values()):
            if gate.inner is None:
                gate.transport.abort()

    def middleware(self) -> Middleware:
        """Return middleware that records the phase of a connection."""

        @web.middleware
        async def follow(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._move(request.transport, Phase.LISTENING if request.path == EVENTS_PATH else Phase.WORKING)
            try:
                return await handler(request)
            finally:
                self._move(request.transport, Phase.ANSWERED)
                asyncio.get_running_loop().call_soon(self._answered, request.transport)  # once it is written

        return follow

    def _move(self, transport: object, phase: Phase) -> None:
        connection = self._by_transport.get(transport)
        if connection is not None:
            self.connections.move(connection, phase, _now())

    def _answered(self, transport: object) -> None:
        connection = self._by_transport.get(transport)
        gate = self._gates.get(connection) if connection is not None else None
        if gate is not None:
            gate.answered()

    # calls from a connection

    def opened(self, gate: "_Gate") -> Connection:
        """Add a connection; close another one for it at the limit."""
        connection = Connection(origin_of(gate.transport.get_extra_info("peername")), _now())
        victim = self.connections.add(connection)
        if victim is not None:
            self._drop(victim, EVICTED)
        self._gates[connection] = gate
        self._by_transport[gate.transport] = connection
        self._schedule_check()
        return connection

    def closed(self, connection: Connection, gate: "_Gate") -> None:
        """Remove a connection."""
        self.connections.remove(connection)
        self._gates.pop(connection, None)
        self._by_transport.pop(gate.transport, None)

    def request_begins(self, connection: Connection) -> None:
        """Note that another request begins on a kept connection."""
        if connection.phase in {Phase.IDLE, Phase.ANSWERED}:
            self.connections.move(connection, Phase.HEAD, _now())

    def protocol(self) -> asyncio.Protocol:
        """Return a new aiohttp protocol."""
        assert self._make is not None  # noqa: S101 - set before anything connects
        return self._make()

    # slow connections

    def _schedule_check(self) -> None:
        if self._check_timer is None:
            self._check_timer = asyncio.get_running_loop().call_later(_CHECK_INTERVAL_S, self._check_timeouts)

    def _check_timeouts(self) -> None:
        self._check_timer = None
        now = _now()
        for connection in self.connections.in_phase(Phase.ANSWERED):
            gate = self._gates.get(connection)
            if gate is None or not gate.transport.get_write_buffer_size():
                self.connections.move(connection, Phase.IDLE, now)
        for connection, reason in list(self.connections.overdue(now)):
            self.connections.remove(connection)
            self._drop(connection, reason)
        if self._gates:
            self._schedule_check()

    def _drop(self, connection: Connection, reason: str) -> None:
        """Close a connection that was removed before."""
        gate = self._gates.pop(connection, None)
        if gate is None:
            return
        if reason != REASONS[Phase.IDLE]:
            self.dropped.add(reason, connection.origin)
        if gate.inner is None and reason == REASONS[Phase.HEAD]:
            gate.transport.write(_TIMEOUT_RESPONSE)
            gate.transport.close()
        else:
            gate.transport.abort()


class ServerErrorLog(logging.Logger):
    """The logger of aiohttp's server: invalid HTTP is counted, real errors are logged."""

    def __init__(self, dropped: ThrottledCountLog) -> None:
        super().__init__("aiohttp.server")
        self.parent = logging.getLogger("aiohttp.server")
        self._dropped = dropped

    def exception(self, msg: object, *args: Any, exc_info: Any = True, **more: Any) -> None:  # noqa: ANN401 (as logging has it)
        """Log an error with its traceback, or count it."""
        if isinstance(exc_info, HttpProcessingError):
            self._dropped.add(BAD_REQUEST, origin_of(args[:1]))
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)


class _Gate(asyncio.Protocol):
    """One connection: buffers each head until it is complete, then forwards to aiohttp's protocol."""

    __slots__ = (
        "_body",
        "_collecting",
        "_connection",
        "_discarding",
        "_head",
        "_listener",
        "_pipelined",
        "inner",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self.inner: asyncio.Protocol | None = None
        self._listener = listener
        self._connection: Connection | None = None
        self._head = bytearray()
        self._collecting = True
        self._body = False  # of the current request
        self._pipelined = False  # it arrived before the answer
        self._discarding = False  # aiohttp refuses it: it has no known end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._connection = self._listener.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._collecting:
            self._collect(data)
        elif self._discarding:
            pass  # aiohttp would keep each piece of it until the connection ends
        elif self._body and self.inner is not None:
            self.inner.data_received(data)
        elif len(self._head) <= _MAX_HEAD:
            self._head += data  # a quick client has its answer before this call: see `answered`
        else:
            self._pipelined = True

    def _collect(self, data: bytes) -> None:
        if self._connection is not None:
            self._listener.request_begins(self._connection)
        start = max(0, len(self._head) - _MAX_HEAD_END)
        self._head += data
        end = _HEAD_END.search(self._head, start)
        # aiohttp refuses what is too long or no HTTP
        if end is None and len(self._head) <= _MAX_HEAD and self._head[:1].isalpha():
            return
        length = end.end() if end is not None else len(self._head)
        self._discarding = end is None
        self._body = end is None or _BODY_FOLLOWS.search(self._head, 0, length) is not None
        self._pipelined = not self._body and len(self._head) > length
        whole, self._head = bytes(self._head if self._body else self._head[:length]), bytearray()
        self._collecting = False
        self._forward(whole)

    def _forward(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.inner is None:
            self.inner = self._listener.protocol()
            self.inner.connection_made(self.transport)
        self.inner.data_received(data)

    def answered(self) -> None:
        """Wait for the next request; close after one whose end is unknown."""
        if self._body or self._pipelined:
            self.transport.close()
            return
        self._collecting = True
        if self._head:
            early, self._head = bytes(self._head), bytearray()
            self._collect(early)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self.inner is not None else None

    def pause_writing(self) -> None:
        if self._connection is not None:
            self._connection.blocked_since = _now()
        if self.inner is not None:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        if self._connection is not None:
            self._connection.blocked_since = None
        if self.inner is not None:
            self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._listener.closed(self._connection, self)
        if self.inner is not None:
            self.inner.connection_lost(exc)


def _now() -> float:
    return asyncio.get_running_loop().time()
