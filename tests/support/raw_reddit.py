"""A Reddit whose answers to data requests are written byte by byte: answers that no well-behaved server would send."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.raw_server import RawServer

LISTING = b'{"kind": "Listing", "data": {"after": null, "children": []}}'
TOKEN: dict[str, Any] = {"access_token": "a-token", "token_type": "bearer", "expires_in": 86400, "scope": "*"}

Send = Callable[[bytes], None]
Script = Callable[[Send], None]


def respond(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return one complete answer."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def once(answer: bytes) -> Script:
    """Return a script that sends this answer and nothing else."""
    return lambda send: send(answer)


def token(**changes: Any) -> bytes:
    """Return the answer to a token request."""
    return respond(json.dumps({**TOKEN, **changes}).encode())


@dataclass
class RawReddit(RawServer):
    """One thread per connection. `script` gives each answer for data, `token` each answer to a token request.

    `by_path`, if given, returns the answer for a path and query, in place of the script.
    """

    script: Script = field(default_factory=lambda: once(respond(LISTING)))
    token: bytes = field(default_factory=token)
    by_path: Callable[[str], bytes] | None = None
    heads: list[str] = field(default_factory=list)
    #: seconds (monotonic) at which the other side was seen to close a connection
    closed: list[float] = field(default_factory=list)

    def asked(self, text: str) -> list[str]:
        """Return the heads of the requests that contain this text."""
        return [head for head in self.heads if text in head]

    def talk(self, connection: socket.socket) -> None:
        try:
            while head := _head(connection):
                self.heads.append(head)
                if "/api/v1/access_token" in head:
                    connection.sendall(self.token)
                elif self.by_path is not None:
                    connection.sendall(self.by_path(head.split(" ")[1]))
                else:
                    self.script(connection.sendall)
        finally:
            self.closed.append(time.monotonic())


def _head(connection: socket.socket) -> str:
    """Read one request; its body, if any, is read and dropped."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return ""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    length = next((int(line[15:]) for line in text.splitlines() if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return text
