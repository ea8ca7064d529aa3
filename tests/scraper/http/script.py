"""A server that answers as a test's script says: what no simulator would, odd headers, half answers, silence."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

TOKEN = {"access_token": "token-1", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
LISTING = {"kind": "Listing", "data": {"after": None, "children": []}}
HTML = "<!DOCTYPE html><html><body>whoa there, pardner!</body></html>"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `cut` breaks the connection after half of it, `hang` before it, `reset` instead of it."""

    status: int = 200
    body: Any = field(default_factory=lambda: LISTING)
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    reset: bool = False
    cut: bool = False
    after: float = 0.0  #: seconds

    @property
    def raw(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


GOOD = Reply()


class Script:
    """Answers in turn as told by `say`, then always `otherwise`; notes what it was asked."""

    def __init__(self, *replies: Reply, otherwise: Reply = GOOD, tls: ssl.SSLContext | None = None) -> None:
        self.replies = list(replies)
        self.otherwise = otherwise
        self.token: Reply = Reply(body=TOKEN)
        self.first_tokens: list[Reply] = []  #: come before it, one by one
        self.places: dict[str, Reply] = {}  #: by the beginning of the path, before all others
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.tokens = 0
        self.connections: set[object] = set()
        self.at_once = 0
        self.most_at_once = 0
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def say(self, *replies: Reply) -> None:
        self.replies += replies

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/api/v1/access_token", self._give_token)
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _give_token(self, request: web.Request) -> web.StreamResponse:
        self.tokens += 1
        await request.read()
        return await _perform(request, self.first_tokens.pop(0) if self.first_tokens else self.token)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.headers.append(dict(request.headers))
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        reply = next((reply for place, reply in self.places.items() if request.path.startswith(place)), None)
        if reply is None:
            reply = self.replies.pop(0) if self.replies else self.otherwise
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await _perform(request, reply)
        finally:
            self.at_once -= 1


async def _perform(request: web.Request, reply: Reply) -> web.StreamResponse:
    assert request.transport is not None
    if reply.after:
        await asyncio.sleep(reply.after)
    if reply.hang:
        await asyncio.Event().wait()
    if reply.reset:
        request.transport.abort()
        return web.Response()
    headers = {"Content-Type": "text/html" if reply.raw.startswith(b"<") else "application/json", **reply.headers}
    if not reply.cut:
        return web.Response(status=reply.status, body=reply.raw, headers=headers)
    response = web.StreamResponse(status=reply.status, headers={**headers, "Content-Length": str(len(reply.raw))})
    await response.prepare(request)
    await response.write(reply.raw[: len(reply.raw) // 2])
    request.transport.close()
    return response


class Mute:
    """A server that says `first`, whatever it hears (one of them after each piece), and then nothing more."""

    def __init__(self, *first: bytes) -> None:
        self._first = first
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):  # the client closes the connection: the test expects it
                for words in self._first:
                    await reader.read(4096)
                    writer.write(words)
                while await reader.read(4096):
                    pass
        finally:
            writer.close()
