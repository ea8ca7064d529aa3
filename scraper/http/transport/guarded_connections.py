"""Connections that are kept only while no unrequested bytes arrive on them.

An answer belongs to a request only by its order on the connection. After one answer too many, each request gets the
answer of another. aiohttp parses what arrives on an idle connection, and gives it to the next request.
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

#: How many new connections are tried at most, for a server that sends bytes first on each.
_MOST_TRIES = 3

#: Answers remembered per connection.
_REMEMBERED = 32

#: How many bytes at each end of an answer are compared.
_COMPARED = 1024

_UNREQUESTED = "bytes arrived on the connection before a request was sent"


class _Guarded(aiohttp.BaseConnector):
    """Returns no connection that has unread bytes."""

    #: called for each connection that is closed for this reason
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
    """Create a guarded connection pool of this connector class."""
    connector: aiohttp.TCPConnector = type(f"Guarded{kind.__name__}", (_Guarded, kind), {})(**arguments)
    connector.distrusts = distrusts  # type: ignore[attr-defined]
    return connector


class TracedResponse(aiohttp.ClientResponse):
    """A response that remembers its connection: aiohttp releases it with the last byte."""

    carrier: "ResponseHandler | None" = None
    transport: asyncio.Transport | None = None

    async def start(self, connection: "Connection") -> aiohttp.ClientResponse:
        """Start to read."""
        self.carrier, self.transport = connection.protocol, connection.transport
        return await super().start(connection)

    def discard(self) -> None:
        """Close the connection, even if another request uses it now: its data is not trusted."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()


#: Of the last answers of a connection: hashes, and the addresses that they came from.
_RecentAnswers = tuple[deque[int], deque[str]]


class AnswerMemory:
    """Remembers the last answers of each connection, to detect one that arrives twice."""

    def __init__(self) -> None:
        self._answers: WeakKeyDictionary[ResponseHandler, _RecentAnswers] = WeakKeyDictionary()

    def came_before(self, response: TracedResponse, url: str, body: bytes) -> bool:
        """Record an answer; return whether its connection brought the same answer for another address before."""
        if response.carrier is None:
            return False
        digest = hash((response.status, response.raw_headers, len(body), body[:_COMPARED], body[-_COMPARED:]))
        known = self._answers.get(response.carrier)
        if known is None:
            known = self._answers[response.carrier] = (deque(maxlen=_REMEMBERED), deque(maxlen=_REMEMBERED))
        digests, addresses = known
        repeated = digest in digests and any(
            digest == other and url != address for other, address in zip(digests, addresses, strict=True)
        )
        digests.append(digest)
        addresses.append(url)
        return repeated
