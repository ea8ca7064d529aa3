"""A server with almost no cost: it fetches each answer from the simulator once and keeps it as bytes.

So a client's rate is limited by the client alone. `/_canned/log` returns the requests since the last call, in order.
"""

import asyncio
import json
import sys
from typing import cast

import aiohttp
import uvloop

_LOG = b"/_canned/log"
_END = b"\r\n\r\n"


class Canned:
    """The known answers, and the requests."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self._upstream = upstream
        self._session = session
        self._pending: set[asyncio.Task[None]] = set()
        self.answers: dict[bytes, bytes] = {}
        self.log: list[str] = []

    def ask(self, path: bytes, transport: asyncio.WriteTransport) -> None:
        """Answer at once where the answer is known."""
        if path == _LOG:
            transport.write(_answer(200, "application/json", json.dumps(self.log).encode()))
            self.log.clear()
            return
        self.log.append(path.decode())
        answer = self.answers.get(path)
        if answer is not None:
            transport.write(answer)
            return
        task = asyncio.ensure_future(self._fetch(path, transport))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _fetch(self, path: bytes, transport: asyncio.WriteTransport) -> None:
        async with self._session.get(f"{self._upstream}{path.decode()}", allow_redirects=False) as answer:
            body = await answer.read()
        self.answers[path] = _answer(answer.status, answer.headers.get("Content-Type", "text/html"), body)
        transport.write(self.answers[path])


class Connection(asyncio.Protocol):
    """Reads requests without a body, one after the other."""

    def __init__(self, canned: Canned) -> None:
        self._canned = canned
        self._unread = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for answers."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is none by descent

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self._unread += data
        while _END in self._unread:
            head, _, self._unread = self._unread.partition(_END)
            assert self._transport is not None
            self._canned.ask(head.split(b" ", 2)[1], self._transport)


def _answer(status: int, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Canned\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve(upstream: str) -> None:
    async with aiohttp.ClientSession(headers={"User-Agent": "canned"}) as session:
        canned = Canned(upstream, session)
        server = await asyncio.get_running_loop().create_server(lambda: Connection(canned), "127.0.0.1", 0)
        print(json.dumps({"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}), flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
