"""A Reddit of a few names on raw connections, which says some answers more than once, or says things unasked."""

import asyncio
import json
import re
import ssl
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from scraper.reddit.payload import decode
from scraper.reddit.question import Kind, Question


@dataclass
class Again:
    """After the answer to a path, these bytes (None: the same answer) come once more, so many seconds later."""

    path: str  #: a regular expression
    times: int = 1
    delay: float = 0.0
    data: bytes | None = None
    cut: int | None = None  #: only so many bytes of it


def facts(question: Question) -> Any:
    """What this Reddit says; rules and empty listings do not name what they are about."""
    name, kind = question.name, question.kind
    data = {"id": f"{kind}{name}", "title": name, "subreddit": name, "author": f"author_of_{name}"}
    match kind:
        case Kind.ABOUT:
            return {"kind": "t5", "data": {"display_name": name}}
        case Kind.USER:
            return {"kind": "t2", "data": {"name": name}}
        case Kind.RULES:
            return {"rules": [{"short_name": f"rule of {name}"}]}
        case Kind.SUBMITTED:
            return {"kind": "Listing", "data": {"children": [{"kind": "t3", "data": {**data, "author": name}}]}}
    children = [] if kind is Kind.WEEK else [{"kind": "t3", "data": data}]
    return {"kind": "Listing", "data": {"children": children}}


def decoded(question: Question) -> object:
    """Return the right answer as the client gives it."""
    return decode(json.dumps(facts(question)).encode(), question)


class RepeatingReddit:
    """Keeps connections; `asked` counts requests by path and query."""

    def __init__(self, *again: Again, tls: ssl.SSLContext | None = None, latency: float = 0.01) -> None:
        self.again = list(again)
        self.asked: Counter[str] = Counter()
        self.broken = 0  #: connections that the client closed
        self.repeated = 0  #: answers that were sent again after a delay
        self._tls = tls
        self._latency = latency
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target, agent = head.split(b" ", 2)[1].decode(), _agent(head)
                self.asked[target] += 1
                await asyncio.sleep(self._latency)
                answer = self.answer(target, agent)
                writer.write(answer)
                self._say_again(target, answer, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.broken += 1
        finally:
            writer.close()

    def answer(self, target: str, agent: str) -> bytes:  # noqa: ARG002 (others tell the askers apart)
        """Return the whole answer."""
        return usual_answer(target)

    def _say_again(self, target: str, answer: bytes, writer: asyncio.StreamWriter) -> None:
        for again in self.again:
            if again.times > 0 and re.search(again.path, target):
                again.times -= 1
                data = (answer if again.data is None else again.data)[: again.cut]
                if again.delay == 0:
                    writer.write(data)
                    continue
                task = asyncio.ensure_future(self._later(writer, data, again.delay))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _later(self, writer: asyncio.StreamWriter, data: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        if not writer.is_closing():
            writer.write(data)
            self.repeated += 1


def _agent(head: bytes) -> str:
    lines = head.decode("latin-1").split("\r\n")
    return next((line.split(": ", 1)[1] for line in lines if line.lower().startswith("user-agent:")), "")


def refused(reason: str) -> bytes:
    """Refuse with a reason: nothing in it says who is meant."""
    body = json.dumps({"reason": reason, "error": 403}).encode()
    return b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def usual_answer(target: str) -> bytes:
    parts = urlsplit(target)
    path = unquote(parts.path.removesuffix(".json"))
    for kind in Kind:
        name = path.split("/")[2]
        question = Question(kind, name)
        if question.path == path and ("t" not in question.params or f"t={question.params['t']}" in parts.query):
            body = json.dumps(facts(question)).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            return head.encode() + body
    return b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
