"""A Reddit, or a proxy, that returns what it was sent: in every place of an answer, one after the other."""

import base64
import itertools
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from tests.support.raw_reddit import LISTING, respond, token
from tests.support.raw_server import RawServer

#: Text that controls a terminal, forges a row, hides one, or reverses its direction.
ESCAPES = "\x1b]0;OWNED\x07\x1b[31mRED\r\nsubmissions  2026-01-01T00:00:00Z  a forged row\0\x7f\x9b2J\u202e\u2028\u200b"

#: From the received text to one answer.
Answer = Callable[[str], bytes]


def _line(text: str) -> str:
    """Remove the characters that would end the line of a header."""
    return text.replace("\r", "").replace("\n", "").replace("\0", "")


ANSWERS: dict[str, Answer] = {
    "status line": lambda said: f"HTTP/1.1 2x0 {_line(said)}\r\n\r\n".encode(),
    "header without a colon": lambda said: f"HTTP/1.1 200 OK\r\n{_line(said)}\r\n\r\n".encode(),
    "reason in JSON": lambda said: respond(json.dumps({"reason": said}).encode(), status="403 Forbidden"),
    "short reason in JSON": lambda said: respond(json.dumps({"reason": said[-60:]}).encode(), status="403 Forbidden"),
    "escapes": lambda _: respond(json.dumps({"reason": ESCAPES}).encode(), status="403 Forbidden"),
    "target of a redirect": lambda said: respond(b"", f"Location: http://x/{_line(said)}", status="302 Found"),
    "quoted target": lambda said: respond(b"", f"Location: http://x/{quote(said, safe='')}", status="302 Found"),
    "body of a refusal": lambda said: respond(said.encode(), status="400 Bad Request"),
    "a body that is no JSON": lambda said: respond(said.encode()),
    "JSON of another kind": lambda said: respond(json.dumps({"kind": said, said: 1}).encode()),
    "JSON with other keys": lambda said: respond(json.dumps({said: 1}).encode()),
    "reason phrase": lambda said: respond(b"", status=f"502 {_line(said)}"),
    "rate headers": lambda said: respond(LISTING, f"X-Ratelimit-Remaining: {_line(said)}", "X-Ratelimit-Used: 1"),
    "compression": lambda said: respond(LISTING, f"Content-Encoding: {_line(said)}"),
    "length": lambda said: f"HTTP/1.1 200 OK\r\nContent-Length: {_line(said)}\r\n\r\n{{}}".encode(),
    "size of a chunk": lambda said: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{_line(said)}\r\n".encode(),
    "another protocol": lambda said: f"220 {_line(said)}\r\n".encode(),
}

TOKENS: dict[str, Answer] = {
    "a token": lambda _: token(),
    "JSON without a token": lambda said: respond(json.dumps({"said": said, said: 1}).encode()),
    "no JSON": lambda said: respond(said.encode()),
    "status line": lambda said: f"HTTP/1.1 2x0 {_line(said)}\r\n\r\n".encode(),
}


class Echo(RawServer):
    """One thread per connection, one answer per connection, in rotation. `planted` is returned as well."""

    def __init__(
        self,
        planted: Iterable[str],
        access_token: str,
        answers: Sequence[str] = tuple(ANSWERS),
        tokens: Sequence[str] = tuple(TOKENS),
    ) -> None:
        self._planted = " ".join(planted)
        self._token = access_token
        self._turns = itertools.cycle(answers), itertools.cycle(tokens)
        self.given: Counter[str] = Counter()

    def talk(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
            head += piece
        connection.sendall(self._answer(head.decode("latin-1")))

    def _answer(self, head: str) -> bytes:
        is_token = "/api/v1/access_token" in head.partition("\r\n")[0]
        what = next(self._turns[is_token])
        self.given[what] += 1
        if what == "a token":
            return token(access_token=self._token)
        return (TOKENS if is_token else ANSWERS)[what](self._said(head))

    def _said(self, head: str) -> str:
        """Return the request's headers, as they are and decoded, and the planted text."""
        said = []
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            if name.lower() in {"authorization", "proxy-authorization"}:
                scheme, _, rest = value.partition(" ")
                said += [value, base64.b64decode(rest).decode() if scheme == "Basic" else rest]
        return " ".join([*said, self._planted])
