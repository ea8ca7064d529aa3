"""The short path through the server, for requests to the crawl world without faults and delays.

A scraper at full speed sends requests faster than a web framework answers. So a connection starts here; with the
first request of any other kind it is handed over permanently to the web server.
"""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, cast
from urllib.parse import parse_qsl

from simulator.answer import Answer
from simulator.crawl.crawl_paths import CrawlRequest, read
from simulator.simulation import Simulation

_WRITE_PAUSE = 0.005
_REASONS = {200: "OK", 302: "Found", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
#: headers that the short path does not handle
_TOO_MUCH = ("content-length", "transfer-encoding", "expect", "upgrade", "connection")

Factory = Callable[[], asyncio.Protocol]


class Express(asyncio.Protocol):
    """One connection, as long as its requests are simple."""

    def __init__(self, simulation: Simulation, web_server: Factory, connections: "set[Express]") -> None:
        self._simulation = simulation
        self._web_server = web_server
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._remote = ""
        self._leaving: list[Answer] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a new connection."""
        # uvloop's transports have no common class
        self._transport = cast("asyncio.Transport", transport)
        self._remote = str((transport.get_extra_info("peername") or ("",))[0])
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Answer a simple request at once; hand everything else over."""
        transport = self._transport
        if transport is None:
            return
        request = _parse(data)
        if request is None or not self._simulation.immediate(request[0].asked):
            self._hand_over(transport, data)
            return
        answer = self._answer(*request)
        transport.writelines((_head(answer), answer.body))
        self._leaving.append(answer)
        asyncio.get_running_loop().call_soon(self._settle)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- given by asyncio
        """Record that what was not written by now never arrives."""
        self._connections.discard(self)
        self._transport = None
        self._settle()

    def abort(self) -> None:
        """Close the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, target: "_Target", sender: "_Sender") -> Answer:
        simulation, authorization = self._simulation, sender.authorization
        now = simulation.now()
        simulation.arrived(target.path, target.asked, authorization, sender.user_agent, now)
        return simulation.reddit.data(
            target.path, target.query, authorization, now, asked=target.asked, remote=self._remote
        )

    def _settle(self) -> None:
        """Count what was sent to the client; check again later while something was not."""
        if not self._leaving:
            return
        transport, traffic = self._transport, self._simulation.traffic
        if transport is not None and not transport.is_closing() and transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_WRITE_PAUSE, self._settle)
            return
        for answer in self._leaving:
            traffic.answered("abandoned" if transport is None else str(answer.status))
            if transport is not None:
                self._simulation.written(answer)
        self._leaving.clear()

    def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        self._settle()
        self._connections.discard(self)
        handler = self._web_server()
        handler.connection_made(transport)
        transport.set_protocol(handler)
        handler.data_received(data)


class _Target(NamedTuple):
    """The request line."""

    path: str
    query: dict[str, str]
    asked: CrawlRequest


class _Sender(NamedTuple):
    """The data from a request's headers."""

    authorization: str | None
    user_agent: str


def _parse(data: bytes) -> tuple[_Target, _Sender] | None:
    """Parse one whole GET request without a body; None for anything else."""
    if not data.startswith((b"GET /r/", b"GET /user/")) or data.find(b"\r\n\r\n") != len(data) - 4:
        return None
    first, _, rest = data.partition(b"\r\n")
    target, sender = _target(first), _sender(rest)
    return None if target is None or sender is None else (target, sender)


@lru_cache(maxsize=4096)
def _target(first: bytes) -> _Target | None:
    line = first.decode("latin-1")
    if not line.endswith(" HTTP/1.1"):
        return None
    path, _, text = line[4:-9].partition("?")
    query = dict(parse_qsl(text))
    asked = read(path, query)
    return None if asked is None else _Target(path, query, asked)


@lru_cache(maxsize=1024)
def _sender(block: bytes) -> _Sender | None:
    """Parse the headers; clients send the same ones repeatedly."""
    lines = block.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if any(name in headers for name in _TOO_MUCH):
        return None
    return _Sender(headers.get("authorization"), headers.get("user-agent", ""))


def _head(answer: Answer) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    return (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\nServer: snooserv\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n{more}\r\n"
    ).encode()
