"""A server whose answers want too much memory, and a client that meets many of them; prints its own peak, MiB.

`python -m tests.scraper.http.bombs KIND …` runs both, the client in the process itself, so that its peak is measured.
"""

import asyncio
import contextlib
import functools
import gzip
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import uvloop

from core.errors import TransientError
from tests.scraper.http.clients import running

GOOD = json.dumps({"kind": "Listing", "data": {"after": None, "children": []}}).encode()
MIB = 1024 * 1024
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"


def head(*fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Type: application/json", *fields, "", ""]).encode()


def whole(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    return head(f"Content-Length: {len(body)}", *fields, status=status) + body


def zeros(mib: int, wbits: int) -> bytes:
    """Compress so many MiB of spaces, in little memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join([*(packer.compress(b" " * MIB) for _ in range(mib)), packer.flush()])


def members(count: int) -> bytes:
    """Return so many gzip members of 1 MiB, one behind the other."""
    return gzip.compress(b" " * MIB, 9) * count


#: By name: what comes first, and what then comes again and again until the client closes.
BOMBS: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "gzip": lambda: (whole(zeros(60, 31), "Content-Encoding: gzip"), b""),
    "deflate": lambda: (whole(zeros(60, 15), "Content-Encoding: deflate"), b""),
    "raw deflate": lambda: (whole(zeros(60, -15), "Content-Encoding: deflate"), b""),
    "gzip members": lambda: (whole(members(60), "Content-Encoding: gzip"), b""),
    "length": lambda: (head("Content-Length: 900000000000"), b" " * 65536),
    "endless": lambda: (head("Transfer-Encoding: chunked"), CHUNK),
    "endless without a length": lambda: (head("Connection: close"), b" " * 65536),
    "endless gzip": lambda: (head("Transfer-Encoding: chunked", "Content-Encoding: gzip"), _endless_gzip()),
    "endless error": lambda: (
        head("Transfer-Encoding: chunked", status="503 Busy"),
        b"10000\r\n" + b" " * 65536 + b"\r\n",
    ),
    "children": lambda: (whole(b'{"kind":"Listing","data":{"children":[' + b"{}," * 1_000_000 + b"{}]}}"), b""),
    "deep": lambda: (whole(b"[" * 5_000_000), b""),
    "header": lambda: (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536),
    "headers": lambda: (b"HTTP/1.1 200 OK\r\n", b"X-Y: 1\r\n" * 8192),
    "brotli": lambda: (whole(b"\x8b" * MIB, "Content-Encoding: br"), b""),
}


@functools.cache
def _made(name: str) -> tuple[bytes, bytes]:
    return BOMBS[name]() if name in BOMBS else (whole(GOOD), b"")


def _endless_gzip() -> bytes:
    body = members(1)
    return b"%x\r\n%s\r\n" % (len(body), body)


class Bomber:
    """Answers each request with the bomb that its path names; any other path is answered well."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> "Bomber":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                name = request.split(b" ")[1].decode().split(".json")[0].split("?")[0].strip("/").replace("_", " ")
                first, again = _made(name)
                writer.write(first)
                await writer.drain()
                while again:
                    writer.write(again)
                    await writer.drain()
        writer.close()


def peak() -> float:
    """Return the most memory that this process has had, MiB; not ru_maxrss, which begins with that of the parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


async def meet(kinds: list[str], at_once: int) -> None:
    """Request each kind several times at once, and good answers beside them; print what came of it."""
    outcomes: dict[str, set[str]] = {}
    async with Bomber() as bomber, running(f"http://127.0.0.1:{bomber.port}", timeout=20.0, max_retries=0) as client:

        async def request(kind: str) -> None:
            try:
                await client.get(f"/{kind.replace(' ', '_')}", {})
                outcome = "answered"
            except TransientError as error:
                outcome = f"{type(error).__name__}: {error}"[:90]
            outcomes.setdefault(kind, set()).add(outcome)

        await asyncio.gather(*(request(kind) for kind in [*kinds, "good"] for _ in range(at_once)))
    print(json.dumps({"peak": peak(), "outcomes": {kind: sorted(some) for kind, some in outcomes.items()}}))


if __name__ == "__main__":
    uvloop.run(meet(sys.argv[2:], int(sys.argv[1])))
