"""An HTTP proxy that misbehaves on demand: `python -m tests.support.scripted_proxy PORT CONTROL ACCOUNTS MODE`.

It listens on PORT, requires the account in the file ACCOUNTS (none if it is empty), and reads commands on CONTROL:
a line of JSON, `{"mode": …}` or `{}`, is answered by `{"mode": …, "seen": {mode: requests}}`. The modes:

forward  forwards as a proxy should        refuse  the port is closed, open connections are cut
slow     the same, two seconds later      hang    takes connections and sends nothing
reset    resets the connection            407     requires another password, whatever was given
502      cannot reach the server          html    answers 200 with a page of its own

As a bad exit: tokens come through, and everything under /r/ and /user/ is answered by:
challenge  200 and a page with a script      forbidden  403 and JSON without a reason
empty      200 and nothing                   wrong      200 and an empty listing, whatever was requested
mixed      every second answer like `challenge`, the others correct
"""

import asyncio
import base64
import contextlib
import json
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

_SLOW = 2.0
_PAGE = b"<!DOCTYPE html><html><head><title>Your plan has expired</title></head><body>Please pay.</body></html>"
_REPLIES = {
    "407": (b"407 Proxy Authentication Required", b'Proxy-Authenticate: Basic realm="proxy"\r\n', b""),
    "502": (b"502 Bad Gateway", b"Content-Type: text/html\r\n", b"<html><body>Bad gateway</body></html>"),
    "html": (b"200 OK", b"Content-Type: text/html\r\n", _PAGE),
}
_JSON = b"Content-Type: application/json\r\n"
_CHALLENGE = b"<!doctype html><html><head><title>Please wait</title></head><body><script>go()</script></body></html>"
_BAD_EXITS = {
    "challenge": (b"200 OK", b"Content-Type: text/html\r\n", _CHALLENGE),
    "empty": (b"200 OK", _JSON, b""),
    "forbidden": (b"403 Forbidden", _JSON, b'{"message": "Forbidden", "error": 403}'),
    "wrong": (b"200 OK", _JSON, b'{"kind": "Listing", "data": {"after": null, "children": []}}'),
}
_BAD_EXITS["mixed"] = _BAD_EXITS["challenge"]
MODES = ("forward", "slow", "refuse", "hang", "reset", *_REPLIES, *_BAD_EXITS)


class Scripted:
    """The proxy and its present mode."""

    def __init__(self, port: int, account: str, mode: str) -> None:
        self.mode = mode
        self.seen: Counter[str] = Counter()  # `answered`: requests that a bad exit answered itself
        self._port = port
        self._expected = f"Basic {base64.b64encode(account.encode()).decode()}" if account else ""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def turn(self, mode: str) -> None:
        """Switch to another mode."""
        if mode not in MODES:
            raise ValueError(f"{mode} is none of {MODES}")
        self.mode = mode
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
            for writer in list(self._open):
                writer.transport.abort()
        elif mode != "refuse" and self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=512)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            # broken connections are normal for a proxy
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._converse(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "hang":
            await self._hang(reader)
            return
        head = await reader.readuntil(b"\r\n\r\n")
        mode = self.mode
        self.seen[mode] += 1
        if mode == "hang":
            await self._hang(reader)
        elif mode == "reset":
            writer.transport.abort()
        elif mode in _REPLIES or not self._let_in(head):
            await _answer(writer, *_REPLIES[mode if mode in _REPLIES else "407"])
        elif mode in _BAD_EXITS and self._is_struck(mode, head):
            self.seen["answered"] += 1
            await _answer(writer, *_BAD_EXITS[mode])
        else:
            await asyncio.sleep(_SLOW if mode == "slow" else 0)
            await _forward(head, reader, writer)

    def _is_struck(self, mode: str, head: bytes) -> bool:
        path = urlsplit(head.split(b" ", 2)[1].decode("latin-1")).path
        return path.startswith(("/r/", "/user/")) and (mode != "mixed" or self.seen[mode] % 2 == 0)

    async def _hang(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            self.seen["hang"] += b"HTTP/1." in data

    def _let_in(self, head: bytes) -> bool:
        return not self._expected or _header(head, "proxy-authorization") == self._expected

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Execute one command."""
        order = json.loads(await reader.readline() or b"{}")
        if "mode" in order:
            await self.turn(order["mode"])
        writer.write(json.dumps({"mode": self.mode, "seen": dict(self.seen)}).encode() + b"\n")
        await writer.drain()
        writer.close()


async def _answer(writer: asyncio.StreamWriter, status: bytes, headers: bytes, body: bytes) -> None:
    length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    writer.write(b"HTTP/1.1 " + status + b"\r\n" + headers + length + body)
    await writer.drain()


async def _forward(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward one request, or one tunnel: a connection to the server for each, closed with it."""
    lines = head.decode("latin-1").split("\r\n")
    method, target, version = lines[0].split(" ", 2)
    place = urlsplit(f"//{target}" if method == "CONNECT" else target)
    try:
        far_reader, far_writer = await asyncio.open_connection(place.hostname, place.port or 80)
    except OSError:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        path = place._replace(scheme="", netloc="").geturl() or "/"
        kept = [line for line in lines[1:-2] if not line.lower().startswith(("proxy-", "connection:"))]
        far_writer.write("\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode())
    there = asyncio.create_task(_pump(reader, far_writer))
    try:
        await _pump(far_reader, writer)
    finally:
        there.cancel()
        far_writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Forward bytes until the source ends; if it breaks, break the sink as well."""
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:
        sink.transport.abort()


def _header(head: bytes, name: str) -> str:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


async def main(port: int, control: int, account: str, mode: str) -> None:
    """Serve until killed."""
    scripted = Scripted(port, account, mode)
    server = await asyncio.start_server(scripted.control, "127.0.0.1", control)
    await scripted.turn(mode)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_text().strip(), sys.argv[4]))
