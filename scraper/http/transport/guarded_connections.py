"""Connections that are kept only while nothing arrives on them that was not asked for.

An answer belongs to a request only by its place on the connection. One answer too many, and each request after it
gets the answer of another. aiohttp parses what arrives on an idle connection, and hands it to the next request.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

#: A server that speaks first on each new connection is not asked more often.
_MOST_TRIES = 3

#: Answers remembered of each connection.
_REMEMBERED = 32

#: Of each end of an answer so many bytes are compared.
_COMPARED = 1024

_UNREQUESTED = "bytes arrived on the connection before anything was asked"


class _Guarded(aiohttp.BaseConnector):
    """Hands out no connection on which something waits to be read."""

    #: told of each connection that is closed because of that
    distrusts: Callable[[], None]

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (its own)
    ) -> "Connection":
        """Return a connection on which nothing arrived since its last answer."""
        for _ in range(_MOST_TRIES):
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection
            connection.close()
            self.distrusts()
        raise aiohttp.ClientConnectionError(_UNREQUESTED)


def guarded(
    kind: type[aiohttp.TCPConnector], distrusts: Callable[[], None], **arguments: object
) -> aiohttp.TCPConnector:
    """Make a guarded pool of this kind of connector."""
    connector: aiohttp.TCPConnector = type(f"Guarded{kind.__name__}", (_Guarded, kind), {})(**arguments)
    connector.distrusts = distrusts  # type: ignore[attr-defined]
    return connector


class TracedResponse(aiohttp.ClientResponse):
    """A response that remembers the connection it came on: aiohttp lets go of it with the last byte."""

    carrier: "ResponseHandler | None" = None
    transport: asyncio.Transport | None = None

    async def start(self, connection: "Connection") -> aiohttp.ClientResponse:
        """Begin to read."""
        self.carrier, self.transport = connection.protocol, connection.transport
        return await super().start(connection)

    def discard(self) -> None:
        """Close the connection, even where another request uses it by now: what comes on it is not trusted."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()


#: Of the last answers of a connection: hashes, and the addresses that they came from.
_Marks = tuple[deque[int], deque[str]]


class Memory:
    """Remembers the last answers of each connection, to notice one that comes twice."""

    def __init__(self) -> None:
        self._answers: WeakKeyDictionary[ResponseHandler, _Marks] = WeakKeyDictionary()

    def came_before(self, response: TracedResponse, url: str, body: bytes) -> bool:
        """Note an answer; tell whether its connection brought the very same to another address before."""
        if response.carrier is None:
            return False
        mark = hash((response.status, response.raw_headers, len(body), body[:_COMPARED], body[-_COMPARED:]))
        known = self._answers.setdefault(response.carrier, (deque(maxlen=_REMEMBERED), deque(maxlen=_REMEMBERED)))
        marks, addresses = known
        repeated = mark in marks and any(
            mark == other and url != address for other, address in zip(marks, addresses, strict=True)
        )
        marks.append(mark)
        addresses.append(url)
        return repeated
